"""The sandbox refuses what Anthropic's API refuses, so that a translation's mistakes show."""

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.anthropic_wire import ANTHROPIC_WIRE
from app.sandbox.errors import RequestRefused
from app.sandbox.signatures import sign

VERSION: Final = {"anthropic-version": "2023-06-01"}
USE: Final[Any] = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
USE_2: Final[Any] = USE | {"id": "toolu_2"}
RESULT: Final[Any] = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}
RESULT_2: Final[Any] = RESULT | {"tool_use_id": "toolu_2"}
SAY: Final[Any] = {"type": "text", "text": "Hello"}
TOOL: Final[Any] = {"name": "f", "input_schema": {"type": "object"}}
THOUGHT: Final[Any] = {"type": "thinking", "thinking": "hm", "signature": sign("hm", seed="")}
ENABLED: Final[Any] = {"thinking": {"type": "enabled", "budget_tokens": 1_024}}
CLOSED: Final[Any] = {"type": "object", "properties": {}, "additionalProperties": False}


def turns(*said: Any) -> dict[str, Any]:
    """Messages in turn, the user's first."""
    return {"messages": [{"role": ("user", "assistant")[at % 2], "content": each} for at, each in enumerate(said)]}


def schema(shape: Any) -> dict[str, Any]:
    return {"output_config": {"format": {"type": "json_schema", "schema": shape}}}


def problem(**fields: Any) -> str | None:
    body = {"model": "swift-mini", "max_tokens": 2_000, **turns("Hello"), **fields}
    try:
        ANTHROPIC_WIRE.read(
            json.dumps({name: value for name, value in body.items() if value is not ...}).encode(), VERSION
        )
    except RequestRefused as refused:
        return str(refused)
    return None


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"max_tokens": ...}, "max_tokens: Field required"),
        ({"max_tokens": -1}, "max_tokens: Input should be"),
        ({"messages": []}, "at least one message"),
        ({"messages": ...}, "missing required field `messages`"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "Invalid enum value 'tool'"),
        ({"messages": [{"role": "user", "content": "x", "name": "Ann"}]}, "unknown field `name`"),
        ({"temperature": 1.5}, "temperature: range: 0..1"),
        ({"stop_sequences": ["\n"]}, "must contain non-whitespace"),
        ({"n": 2}, "unknown field `n`"),
        (turns(""), "non-empty content"),
        (turns([]), "non-empty content"),
        (turns([SAY | {"text": ""}]), "text content blocks must be non-empty"),
        (turns([SAY | {"text": " "}]), "non-whitespace text"),
        (turns("Hello", "I say "), "trailing whitespace"),
        (turns([{"type": "image_url"}]), "Input tag 'image_url'"),
        (turns([{"type": "image"}]), "image.source: Field required"),
        (turns([{"type": "image", "source": {"type": "base64", "data": "x"}}]), "media_type: Field required"),
        (turns([{"type": "image", "source": {"type": "base64", "data": "x", "media_type": "text/x"}}]), "image's type"),
        (turns([{"type": "image", "source": {"type": "odd"}}]), "source.odd.type"),
        (turns([USE]), "not permitted in user messages"),
        (turns("Hello", [RESULT]), "not permitted in assistant messages"),
        (turns("Hello", [USE], "go on"), "without `tool_result` blocks immediately after: toolu_1"),
        (turns("Hello", [USE, USE_2], [RESULT]), "immediately after: toolu_2"),
        (turns("Hello", [USE], [SAY, RESULT]), "without `tool_result` blocks immediately after"),
        (turns("Hello", [USE]), "without `tool_result` blocks immediately after"),
        (turns([RESULT]), "unexpected `tool_use_id`"),
        (turns("Hello", [USE], [RESULT, RESULT_2]), "unexpected `tool_use_id` found in `tool_result` blocks: toolu_2"),
        (turns("Hello", [USE, USE], [RESULT]), "must be unique"),
        ({"tools": [{"name": "f"}]}, "input_schema: Field required"),
        ({"tools": [{"name": "f", "input_schema": {}}]}, "Input should be 'object'"),
        ({"tools": [TOOL | {"name": "a.b"}]}, "String should match pattern"),
        ({"tools": [TOOL, TOOL]}, "names must be unique"),
        ({"tools": [{"type": "function", "function": {}}]}, "Invalid request"),
        ({"tool_choice": {"type": "auto"}}, "while providing tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "'g' not found"),
        ({"tools": [TOOL], "tool_choice": "required"}, "Invalid request"),
        ({"thinking": {"type": "enabled"}}, "budget_tokens: Field required"),
        ({"thinking": {"type": "enabled", "budget_tokens": 100}}, "greater than or equal to 1024"),
        (ENABLED | {"max_tokens": 1_024}, "`max_tokens` must be greater"),
        (ENABLED | {"temperature": 0.5}, "`temperature` may only be set to 1"),
        (ENABLED | {"top_k": 5}, "`top_k` must be unset"),
        (ENABLED | {"tools": [TOOL], "tool_choice": {"type": "any"}}, "forces tool use"),
        (ENABLED | turns("Hello", [USE], [RESULT]), "Expected `thinking`"),
        (turns("Hello", [THOUGHT | {"thinking": "hm."}, SAY], "Hello"), "messages.1.content.0: Invalid `signature`"),
        (schema(CLOSED | {"additionalProperties": True}), "'additionalProperties' must be explicitly set to false"),
        (schema(CLOSED | {"properties": {"a": {"type": "object"}}}), "'additionalProperties'"),
        (schema(CLOSED | {"$defs": {"a": {"type": "object"}}}), "'additionalProperties'"),
        (schema({"type": "array", "items": {"anyOf": [{"type": "object"}]}}), "'additionalProperties'"),
        ({"output_config": {"format": {"type": "json_object"}}}, "Invalid request"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_with_the_reason(fields: dict[str, Any], says: str) -> None:
    assert says in (problem(**fields) or "")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"system": [SAY | {"cache_control": {"type": "ephemeral"}}], "metadata": {"user_id": "u"}, "top_k": 3},
        turns("Hello", "I say", "and?", "then"),
        {"messages": [{"role": "user", "content": "Hello"}, {"role": "user", "content": [SAY]}]},
        turns("Hello", [SAY, USE, USE_2], [RESULT_2, RESULT, SAY], [SAY]),
        turns("Hello", [USE], [{"type": "tool_result", "tool_use_id": "toolu_1"}]),
        {
            "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": [USE]},
                {"role": "assistant", "content": [USE_2]},
                {"role": "user", "content": [RESULT]},
                {"role": "user", "content": [RESULT_2]},
            ]
        },
        ENABLED | turns("Hello", [THOUGHT, USE], [RESULT]),
        ENABLED | turns("Hello", [USE], [RESULT], "done", "thanks"),
        {"thinking": {"type": "adaptive"}} | turns("Hello", [USE], [RESULT]),
        {
            "tools": [TOOL, {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}],
            "tool_choice": {"type": "none"},
        },
        schema(CLOSED | {"properties": {"type": {"type": "string"}, "object": CLOSED}}),
    ],
)
def test_a_right_request_is_taken(fields: dict[str, Any]) -> None:
    assert problem(**fields) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "content"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["messages", "system", "tools", "thinking", "output_config"]), json_values))
def test_nonsense_is_refused_and_never_breaks(fields: dict[str, Any]) -> None:
    problem(**fields)
