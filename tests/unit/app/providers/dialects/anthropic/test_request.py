"""What a request asks for is told as Anthropic takes it, and what was not told is named."""

import json
from typing import Any

import msgspec
import pytest

from app.providers.dialects.anthropic.request import OUTPUT_TOKENS_DEFAULT
from app.providers.dialects.conversation import (
    Image,
    OutputSchema,
    Reasoning,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from tests.unit.app.providers.dialects.anthropic.written import (
    HELLO,
    MODEL,
    NEW_MODEL,
    TOOL,
    assistant,
    encode,
    system,
    user,
    write,
)


def test_a_plain_request_says_no_more_than_it_must() -> None:
    encoded = encode()
    assert json.loads(encoded.body) == {"model": MODEL, "max_tokens": 100, "messages": [HELLO]}
    assert encoded.headers == (("anthropic-version", "2023-06-01"),)
    assert encoded.dropped == ()


def test_the_output_has_a_limit_whatever_the_caller_said() -> None:
    assert write(limit=50, output_tokens_wanted=70)["max_tokens"] == 50
    assert write(limit=None, output_tokens_wanted=70)["max_tokens"] == 70
    assert write(limit=None)["max_tokens"] == OUTPUT_TOKENS_DEFAULT


def test_tools_are_written() -> None:
    strict = {"type": "object", "properties": {"a": {"type": "string"}}}
    tools = (
        Tool(name="f", description="F.", is_cache_point=True),
        Tool(name="g", parameters=msgspec.Raw(msgspec.json.encode(strict)), is_strict=True),
        Tool(name="h", parameters=msgspec.Raw(msgspec.json.encode(strict)), is_strict=False),
    )
    assert write(tools=tools)["tools"] == [
        {
            "name": "f",
            "description": "F.",
            "input_schema": {"type": "object"},
            "cache_control": {"type": "ephemeral"},
        },
        {"name": "g", "input_schema": {**strict, "additionalProperties": False}, "strict": True},
        {"name": "h", "input_schema": strict, "strict": False},
    ]


def test_tools_called_before_and_not_offered_now_are_shown_and_forbidden() -> None:
    body = write(user("a"), assistant(ToolCall("t", "f"), ToolCall("u", "f")), user(ToolResult("t"), ToolResult("u")))
    assert body["tools"] == [{"name": "f", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    ("choice", "is_parallel", "written"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(mode="auto"), None, {"type": "auto"}),
        (ToolChoice(mode="required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice(mode="required"), True, {"type": "any", "disable_parallel_tool_use": False}),
        (ToolChoice(mode="named", name="f"), None, {"type": "tool", "name": "f"}),
        (ToolChoice(mode="none"), False, {"type": "none"}),
    ],
)
def test_the_choice_of_tools_is_written(choice: ToolChoice | None, is_parallel: bool | None, written: Any) -> None:
    body = write(tools=(TOOL,), tool_choice=choice, has_parallel_tool_calls=is_parallel)
    assert body.get("tool_choice") == written


@pytest.mark.parametrize(
    ("choice", "text"),
    [(ToolChoice(mode="named", name="f"), "the tool 'f'"), (ToolChoice(mode="required"), "at least one of the tools")],
)
def test_a_model_that_cannot_be_forced_is_told_in_words_and_the_caller_hears_of_it(
    choice: ToolChoice, text: str
) -> None:
    encoded = encode(system("Be brief."), user("a"), model=NEW_MODEL, tools=(TOOL,), tool_choice=choice)
    body = json.loads(encoded.body)
    assert body["tool_choice"] == {"type": "auto"}
    assert text in body["system"][-1]["text"]
    assert encoded.dropped == ("tool_choice",)


@pytest.mark.parametrize(
    ("model", "asked", "told", "dropped"),
    [
        (MODEL, {"temperature": 0.3}, {"temperature": 0.3}, ()),
        (MODEL, {"temperature": 1.4}, {"temperature": 1.0}, ("temperature",)),
        (MODEL, {"temperature": 0.0, "top_k": 5}, {"temperature": 0.0, "top_k": 5}, ()),
        (MODEL, {"top_p": 0.5}, {"top_p": 0.5}, ()),
        (MODEL, {"temperature": 0.3, "top_p": 0.5}, {"temperature": 0.3}, ("top_p",)),
        (MODEL, {"temperature": 0.3, "top_p": 1}, {"temperature": 0.3}, ()),
        ("claude-opus-4", {"temperature": 0.3, "top_p": 0.5}, {"temperature": 0.3, "top_p": 0.5}, ()),
        (NEW_MODEL, {"temperature": 1, "top_p": 1}, {}, ()),
        (NEW_MODEL, {"temperature": 0, "top_p": 0.5, "top_k": 1}, {}, ("temperature", "top_p", "top_k")),
        (MODEL, {"temperature": 0.3, "top_k": 1, "reasoning": Reasoning(is_on=True)}, {}, ("temperature", "top_k")),
        (MODEL, {"temperature": 1, "top_p": 0.97, "reasoning": Reasoning(is_on=True)}, {"top_p": 0.97}, ()),
        (MODEL, {"top_p": 0.9, "reasoning": Reasoning(is_on=True)}, {}, ("top_p",)),
    ],
)
def test_sampling_is_told_as_far_as_the_model_takes_it(
    model: str, asked: dict[str, Any], told: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    encoded = encode(model=model, **asked)
    body = json.loads(encoded.body)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == told
    assert encoded.dropped == dropped


def test_an_answer_by_schema_is_asked_for() -> None:
    schema = msgspec.Raw(b'{"type":"object","properties":{"a":{"type":"string"}}}')
    encoded = encode(output_schema=OutputSchema(schema=schema, name="answer"), reasoning=Reasoning(effort="low"))
    assert json.loads(encoded.body)["output_config"] == {
        "effort": "low",
        "format": {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "additionalProperties": False,
                "title": "answer",
            },
        },
    }
    assert encoded.dropped == ()


@pytest.mark.parametrize(
    ("fields", "dropped"),
    [
        ({"unnamed": ("seed", "logit_bias")}, ("seed", "logit_bias")),
        ({"stop": ("\n", "END")}, ("stop",)),
        ({"wants_json_object": True}, ("response_format",)),
        ({"output_schema": OutputSchema(schema=msgspec.Raw(b'{"type":"object"}'))}, ("response_format",)),
        ({"tool_choice": ToolChoice(mode="required")}, ("tool_choice",)),
        ({"tool_choice": ToolChoice(mode="none")}, ()),
        (
            {"tools": (Tool(name="f", is_strict=True, parameters=msgspec.Raw(b'{"minProperties":1}')),)},
            ("tools.function.strict",),
        ),
        ({"reasoning": Reasoning(is_on=True, effort="xhigh")}, ("reasoning_effort",)),
    ],
)
def test_what_the_provider_is_not_told_is_named(fields: dict[str, Any], dropped: tuple[str, ...]) -> None:
    assert encode(**fields).dropped == dropped


def test_what_an_image_or_the_system_says_and_cannot_be_told_is_named_once() -> None:
    picture = Image(url="https://a/b.png", detail="high")
    assert encode(user(picture, picture, Image(url="u", detail="auto"))).dropped == ("image_url.detail",)
    assert encode(system("a", Image(url="u")), user("b")).dropped == ("messages.content",)


def test_blank_stops_are_left_out() -> None:
    assert write(stop=("\n", "END"))["stop_sequences"] == ["END"]
    assert "stop_sequences" not in write(stop=("\n",))


@pytest.mark.parametrize("end_user", ["u-1", "4f1c7d52-7b3f-4b59-9d1f-0d3c1c1c1c1c", "abc123"])
def test_an_end_user_is_told(end_user: str) -> None:
    assert write(end_user=end_user)["metadata"] == {"user_id": end_user}


@pytest.mark.parametrize("end_user", ["ann@example.com", "+49 (30) 123-4567", "u" * 300])
def test_an_end_user_whom_the_api_would_refuse_is_told_by_a_digest(end_user: str) -> None:
    told = write(end_user=end_user)["metadata"]["user_id"]
    assert told == write(end_user=end_user)["metadata"]["user_id"]
    assert len(told) == 64
    assert end_user not in told
