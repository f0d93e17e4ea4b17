"""Anthropic's words are read without loss: what has no place is named, what cannot be told is refused."""

import base64
from typing import Any

import msgspec
import pytest

from app.providers import BodyInvalid
from app.providers.dialects.anthropic.body import decode_messages
from app.providers.dialects.anthropic.conversation import read_conversation
from app.providers.dialects.conversation import (
    Conversation,
    Document,
    Image,
    OutputSchema,
    Part,
    Reasoning,
    RedactedThinking,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)

USER = {"role": "user", "content": "Hello"}
CACHED = {"type": "ephemeral"}


def read(betas: tuple[str, ...] = (), **fields: Any) -> Conversation:
    body = {"model": "auto", "max_tokens": 100, "messages": [USER], **fields}
    return read_conversation(decode_messages(msgspec.json.encode(body), betas=betas))


def parts(*blocks: Any) -> tuple[Part, ...]:
    return read(messages=[{"role": "user", "content": list(blocks)}]).turns[0].parts


def test_a_plain_request_is_read() -> None:
    assert read() == Conversation(turns=(Turn("user", (Text("Hello"),)),), output_tokens_wanted=100)


def test_the_system_comes_first_as_text_or_as_blocks() -> None:
    assert read(system="Be brief.").turns[0] == Turn("system", (Text("Be brief."),))
    blocks = [{"type": "text", "text": "Be brief.", "cache_control": CACHED}, {"type": "text", "text": "Be kind."}]
    assert read(system=blocks).turns[0] == Turn("system", (Text("Be brief.", True), Text("Be kind.")))


def test_a_word_of_the_system_in_the_midst_stays_in_its_place() -> None:
    turns = read(messages=[USER, {"role": "system", "content": "Now in French."}]).turns
    assert [turn.role for turn in turns] == ["user", "system"]


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "text", "text": "a"}, Text("a")),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
            Image("image/png", "aGk="),
        ),
        ({"type": "image", "source": {"type": "url", "url": "https://a/b.png"}}, Image(url="https://a/b.png")),
        (
            {
                "type": "document",
                "title": "A",
                "cache_control": CACHED,
                "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
            },
            Document("application/pdf", "aGk=", None, "A", True),
        ),
        ({"type": "document", "source": {"type": "url", "url": "https://a/b"}}, Document(url="https://a/b")),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"}},
            Document("text/plain", base64.b64encode("Grüße".encode()).decode()),
        ),
        (
            {"type": "document", "source": {"type": "content", "content": "Grüße"}},
            Document("text/plain", base64.b64encode("Grüße".encode()).decode()),
        ),
        (
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1]}},
            ToolCall("toolu_1", "f", msgspec.Raw(b'{"a":[1]}')),
        ),
        ({"type": "tool_result", "tool_use_id": "toolu_1"}, ToolResult("toolu_1")),
        (
            {
                "type": "tool_result",
                "tool_use_id": "toolu_1",
                "content": "no",
                "is_error": True,
                "cache_control": CACHED,
            },
            ToolResult("toolu_1", (Text("no"),), True, True),
        ),
        (
            {
                "type": "tool_result",
                "tool_use_id": "toolu_1",
                "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
                ],
            },
            ToolResult("toolu_1", (Text("see"), Image(url="https://a/b.png"))),
        ),
        ({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}, Thinking("Hm.", "c2ln")),
        ({"type": "thinking", "thinking": "Hm.", "signature": ""}, Thinking("Hm.")),
        ({"type": "redacted_thinking", "data": "eHh4"}, RedactedThinking("eHh4")),
    ],
)
def test_each_block_is_read(block: dict[str, Any], part: Part) -> None:
    assert parts(block) == (part,)


def test_a_document_of_blocks_stands_in_its_place_as_its_blocks() -> None:
    source = {"type": "content", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    assert parts({"type": "document", "title": "T", "source": source}) == (Text("T"), Text("a"), Text("b"))


def test_tools_are_read() -> None:
    tool = {
        "name": "f",
        "description": "F.",
        "input_schema": {"type": "object"},
        "strict": True,
        "cache_control": CACHED,
    }
    assert read(tools=[tool, {"type": "custom", "name": "g", "input_schema": {}}]).tools == (
        Tool(
            name="f",
            description="F.",
            parameters=msgspec.Raw(b'{"type":"object"}'),
            is_strict=True,
            is_cache_point=True,
        ),
        Tool(name="g"),
    )


@pytest.mark.parametrize(
    ("choice", "read_choice", "is_parallel"),
    [
        ({"type": "auto"}, ToolChoice(mode="auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice(mode="required"), False),
        ({"type": "tool", "name": "f", "disable_parallel_tool_use": False}, ToolChoice(mode="named", name="f"), True),
        ({"type": "none"}, ToolChoice(mode="none"), None),
    ],
)
def test_the_choice_of_tools_is_read(choice: dict[str, Any], read_choice: ToolChoice, is_parallel: bool | None) -> None:
    conversation = read(tool_choice=choice)
    assert (conversation.tool_choice, conversation.has_parallel_tool_calls) == (read_choice, is_parallel)


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Reasoning(is_on=True, tokens_max=2000)),
        ({"thinking": {"type": "adaptive"}}, Reasoning(is_on=True)),
        ({"thinking": {"type": "disabled"}}, Reasoning(is_on=False)),
        ({"thinking": {"type": "between_tools"}}, Reasoning(is_on=False)),
        ({"output_config": {"effort": "max"}}, Reasoning(effort="max")),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            Reasoning(is_on=True, effort="low"),
        ),
    ],
)
def test_thinking_is_read(fields: dict[str, Any], reasoning: Reasoning) -> None:
    assert read(max_tokens=4000, **fields).reasoning == reasoning


def test_the_settings_are_read() -> None:
    schema = {"type": "json_schema", "schema": {"type": "object"}}
    conversation = read(
        stop_sequences=["a", "b"],
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        stream=True,
        metadata={"user_id": "u"},
        output_config={"format": schema},
    )
    assert conversation == Conversation(
        turns=(Turn("user", (Text("Hello"),)),),
        output_tokens_wanted=100,
        stop=("a", "b"),
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        is_streamed=True,
        end_user="u",
        output_schema=OutputSchema(schema=msgspec.Raw(b'{"type":"object"}')),
    )
    assert read(output_format=schema).output_schema == conversation.output_schema


@pytest.mark.parametrize(
    ("fields", "unnamed"),
    [
        ({"context_management": {"edits": []}}, ("context_management",)),
        ({"diagnostics": {}}, ("diagnostics",)),
        ({"cache_control": CACHED}, ("cache_control",)),
        ({"service_tier": "auto", "speed": None, "inference_geo": "global"}, ()),
        ({"betas": ("a-2026-01-01",)}, ("anthropic-beta",)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, ("thinking.display",)),
        ({"thinking": {"type": "adaptive", "display": "summarized"}}, ()),
        ({"output_config": {"task_budget": {"type": "tokens", "total": 9}}}, ("output_config.task_budget",)),
        ({"tools": [{"name": "f", "input_schema": {}, "input_examples": [{}]}] * 2}, ("tools.input_examples",)),
        ({"tools": [{"name": "f", "input_schema": {}, "defer_loading": False, "input_examples": []}]}, ()),
    ],
)
def test_what_has_no_place_is_named_once(fields: dict[str, Any], unnamed: tuple[str, ...]) -> None:
    assert read(**fields).unnamed == unnamed


def test_what_a_block_says_and_has_no_place_is_named() -> None:
    text = {"type": "text", "text": "a", "citations": []}
    image = {"type": "image", "source": {"type": "url", "url": "u"}, "transformations": {"oversized_image": "error"}}
    document = {
        "type": "document",
        "source": {"type": "url", "url": "u"},
        "citations": {"enabled": True},
        "context": "From 1999.",
    }
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    conversation = read(messages=[{"role": "user", "content": [text, document, result]}])
    assert conversation.unnamed == ("content.citations", "content.context", "content.transformations")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "search_result", "source": "a"}]}]}, "messages.0.content"),
        ({"messages": [USER, {"role": "user", "content": [{"type": "tool_use", "id": 1}]}]}, "messages.1.content"),
        ({"temperature": "warm"}, "temperature"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools.0.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice"),
        ({"tool_choice": {"type": "some"}}, "tool_choice"),
        ({"output_config": {"effort": "some"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "file_1"}}]}
                ]
            },
            "messages.0.content",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "document", "source": {"type": "file", "file_id": "file_1"}}]}
                ]
            },
            "messages.0.content",
        ),
    ],
)
def test_what_cannot_be_told_is_refused_by_its_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BodyInvalid) as caught:
        read(**fields)
    assert caught.value.param is not None
    assert caught.value.param.startswith(param)
    assert "file_1" not in caught.value.message
