"""Schemas are fitted to what the API takes, and what it does not enforce is still told to the model."""

from typing import Any

import msgspec
import pytest

from app.providers import BodyInvalid
from app.providers.dialects.anthropic.schema import closed_schema, object_schema


def raw(schema: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(schema))


def closed(schema: Any, **fields: str) -> tuple[Any, bool]:
    written, is_whole = closed_schema(raw(schema), **fields)
    return msgspec.json.decode(written), is_whole


STRICT = {
    "type": "object",
    "properties": {
        "name": {"type": ["string", "null"], "description": "Whose."},
        "kind": {"enum": ["a", "b"]},
        "when": {"type": "string", "format": "date"},
        "all": {"type": "array", "items": {"$ref": "#/$defs/one"}, "minItems": 1},
        "any": {"anyOf": [{"type": "integer"}, {"const": 1}]},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"one": {"type": "object", "properties": {"n": {"type": "number"}}, "additionalProperties": False}},
}


def test_a_schema_that_the_api_takes_stays_byte_for_byte() -> None:
    assert closed_schema(raw(STRICT)) == (raw(STRICT), True)


def test_every_object_is_closed_however_deep() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    nested = {"type": "object", "properties": {"list": {"type": "array", "items": inner}}, "definitions": {"d": inner}}
    written, is_whole = closed(nested)
    assert is_whole
    assert written["additionalProperties"] is False
    assert written["properties"]["list"]["items"]["additionalProperties"] is False
    assert written["definitions"]["d"]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 9}, '{"minimum":1,"maximum":9}'),
        ({"type": "string", "pattern": "^a", "description": "A."}, 'A.\n\n{"pattern":"^a"}'),
        ({"type": "string", "format": "iban"}, '{"format":"iban"}'),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, '{"minItems":2}'),
        ({"type": "array", "items": [{"type": "string"}]}, '{"items":[{"type":"string"}]}'),
        ({"type": "object", "additionalProperties": {"type": "string"}}, '{"additionalProperties":{"type":"string"}}'),
    ],
)
def test_what_is_not_enforced_moves_into_the_description(schema: Any, told: str) -> None:
    written, is_whole = closed(schema)
    assert not is_whole
    assert written["description"] == told
    assert not written.keys() & {"minimum", "pattern", "additionalItems"}


@pytest.mark.parametrize("schema", [{"type": "object"}, {"type": "object", "additionalProperties": True}])
def test_an_object_of_any_fields_cannot_be_said(schema: Any) -> None:
    assert closed(schema) == ({"type": "object", "additionalProperties": False}, False)


def test_examples_are_told_and_cost_no_promise() -> None:
    assert closed({"type": "string", "examples": ["a"]}) == (
        {"type": "string", "description": '{"examples":["a"]}'},
        True,
    )
    assert closed({"$schema": "x", "$id": "y", "$comment": "z", "type": "string"}) == ({"type": "string"}, True)


def test_one_of_reads_as_any_of() -> None:
    assert closed({"oneOf": [{"type": "string"}, True]}) == ({"anyOf": [{"type": "string"}, True]}, True)


def test_a_property_called_like_a_keyword_is_no_keyword() -> None:
    schema = {"type": "object", "properties": {"minimum": {"type": "string"}, "format": {"type": "string"}}}
    written, is_whole = closed(schema)
    assert is_whole
    assert list(written["properties"]) == ["minimum", "format"]


def test_a_name_and_a_description_are_added_where_there_are_none() -> None:
    assert closed({"type": "string"}, title="answer", description="D.")[0] == {
        "type": "string",
        "title": "answer",
        "description": "D.",
    }
    assert closed({"type": "string", "title": "a"}, title="b")[0]["title"] == "a"


@pytest.mark.parametrize("schema", [True, [], "text", {"format": ["a"], "minItems": {}, "properties": [], "anyOf": {}}])
def test_a_schema_that_is_none_is_left_to_the_provider(schema: Any) -> None:
    closed(schema)


def test_a_schema_nested_too_deeply_is_refused() -> None:
    deep = b'{"items":' * 5_000 + b"{}" + b"}" * 5_000
    with pytest.raises(BodyInvalid):
        closed_schema(msgspec.Raw(deep))


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (b"{}", b'{"type":"object"}'),
        (b'{"properties":{}}', b'{"type":"object","properties":{}}'),
        (b'{"type": "object"}', b'{"type": "object"}'),
        (b'{"type":null,"a":1}', b'{"type":"object","a":1}'),
        (b"[]", b"[]"),
        (b"true", b"true"),
    ],
)
def test_a_tool_takes_an_object(given: bytes, written: bytes) -> None:
    assert bytes(object_schema(msgspec.Raw(given))) == written
