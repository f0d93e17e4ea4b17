"""Values made of a schema validate against it."""

from typing import Any

import pytest

from app.sandbox.schemas import instance_of


def make(schema: dict[str, Any], seed: str = "s") -> Any:
    return instance_of(schema, seed=seed, words=["Oslo", "Rome"])


def test_an_object_has_its_required_parts_with_their_types() -> None:
    made = make(
        {
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 12, "maxLength": 14},
                "count": {"type": "integer", "minimum": 3, "maximum": 5},
                "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                "flag": {"type": "boolean"},
                "kind": {"enum": ["a", "b"]},
                "fixed": {"const": 7},
                "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
                "maybe": {"type": ["null", "string"]},
                "day": {"type": "string", "format": "date"},
                "nothing": {"type": "null"},
            },
            "required": ["name"],
        }
    )
    assert 12 <= len(made["name"]) <= 14
    assert 3 <= made["count"] <= 5
    assert 0 < made["share"] < 1
    assert isinstance(made["flag"], bool)
    assert (made["kind"] in ("a", "b"), made["fixed"], made["nothing"]) == (True, 7, None)
    assert len(made["tags"]) == 2
    assert made["maybe"] in ("Oslo", "Rome")
    assert made["day"] == "2026-01-15"


@pytest.mark.parametrize(
    ("schema", "least", "most"),
    [
        ({"type": "integer"}, 0, 10),
        ({"type": "integer", "minimum": 100}, 100, None),
        ({"type": "integer", "maximum": -5}, None, -5),
        ({"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5}, 4, 4),
        ({"type": "integer", "minimum": 1, "multipleOf": 7}, 7, None),
        ({"type": "number", "minimum": 0.1, "maximum": 0.2}, 0.1, 0.2),
    ],
)
def test_numbers_keep_to_their_limits(schema: dict[str, Any], least: float | None, most: float | None) -> None:
    made = make(schema)
    assert least is None or made >= least
    assert most is None or made <= most
    assert isinstance(made, int) or schema["type"] == "number"
    assert "multipleOf" not in schema or made % schema["multipleOf"] == 0


def test_references_and_combinations_are_followed() -> None:
    schema = {
        "$defs": {"place": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
        "type": "object",
        "properties": {
            "here": {"$ref": "#/$defs/place"},
            "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "both": {"allOf": [{"$ref": "#/$defs/place"}, {"properties": {"zip": {"type": "string"}}}]},
        },
    }
    made = make(schema)
    assert set(made["here"]) == {"city"}
    assert isinstance(made["either"], int)
    assert set(made["both"]) == {"city", "zip"}


def test_a_schema_that_holds_itself_ends() -> None:
    node = {
        "type": "object",
        "properties": {
            "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}},
        },
        "required": ["next"],
    }
    assert make({"$defs": {"node": node}, "$ref": "#/$defs/node"})["next"]


@pytest.mark.parametrize(
    "schema",
    [{}, {"type": "object"}, {"type": "array"}, {"$ref": "#/nowhere"}, {"$ref": "#"}, {"type": "odd"}, {"enum": []}],
)
def test_odd_schemas_give_something(schema: dict[str, Any]) -> None:
    make(schema)


def test_the_same_seed_gives_the_same_value() -> None:
    schema = {"type": "object", "properties": {name: {"enum": list(range(50))} for name in "abcdef"}}
    assert make(schema, "1") == make(schema, "1") != make(schema, "2")
