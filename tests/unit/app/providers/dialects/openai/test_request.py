"""A request in the common form is told to an OpenAI-shaped provider, and what it is not told is named."""

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import completion_create_params
from pydantic import TypeAdapter

from app.providers import VENDORS, decode_chat
from app.providers.dialects.conversation import (
    Conversation,
    Document,
    Encoded,
    Image,
    OutputSchema,
    Part,
    Reasoning,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from app.providers.dialects.openai import read_conversation, write_conversation

HELLO = Turn("user", (Text("Hello"),))
LOOK = Tool(name="look", description="Looks.", parameters=msgspec.Raw(b'{"type":"object"}'))


def encode(
    conversation: Conversation,
    *,
    vendor: str = "openai",
    model: str = "gpt-5.2",
    output_tokens_limit: int | None = None,
) -> Encoded:
    return write_conversation(
        conversation, model=model, output_tokens_limit=output_tokens_limit, vendor=VENDORS[vendor]
    )


def write(*turns: Turn, vendor: str = "openai", model: str = "gpt-5.2", **fields: Any) -> dict[str, Any]:
    encoded = encode(Conversation(turns=turns or (HELLO,), **fields), vendor=vendor, model=model)
    return dict(json.loads(encoded.body))


def dropped(*turns: Turn, vendor: str = "openai", model: str = "gpt-5.2", **fields: Any) -> tuple[str, ...]:
    return encode(Conversation(turns=turns or (HELLO,), **fields), vendor=vendor, model=model).dropped


def test_a_plain_request() -> None:
    assert write(Turn("system", (Text("Be brief."), Text("Be kind."))), HELLO) == {
        "model": "gpt-5.2",
        "messages": [
            {"role": "system", "content": "Be brief.\n\nBe kind."},
            {"role": "user", "content": "Hello"},
        ],
    }


def test_the_limit_goes_where_the_vendor_looks_for_it() -> None:
    conversation = Conversation(turns=(HELLO,), output_tokens_wanted=100)
    assert json.loads(encode(conversation).body)["max_completion_tokens"] == 100
    assert json.loads(encode(conversation, output_tokens_limit=7).body)["max_completion_tokens"] == 7
    assert json.loads(encode(conversation, vendor="deepseek", output_tokens_limit=7).body)["max_tokens"] == 7


def test_a_stream_asks_for_usage_where_the_vendor_knows_how() -> None:
    assert write(is_streamed=True)["stream_options"] == {"include_usage": True}
    mistral = write(is_streamed=True, vendor="mistral")
    assert mistral["stream"] is True
    assert "stream_options" not in mistral


def test_results_follow_their_calls_and_their_media_come_after() -> None:
    calls = (ToolCall("c1", "look", msgspec.Raw(b'{"a": 1}')), ToolCall("c2", "look"))
    results = (
        ToolResult("c1", (Text("snow"), Image(media_type="image/png", data="iVBO"), Text("ice"))),
        ToolResult("c2", (), is_error=True),
        Text("Go on."),
    )
    messages = write(HELLO, Turn("assistant", (Text("I look."), *calls)), Turn("user", results))["messages"]
    assert messages[1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}},
                {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "snow\n\nice"},
        {"role": "tool", "tool_call_id": "c2", "content": "The tool failed."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What the call c1 returned beside its text:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
                {"type": "text", "text": "Go on."},
            ],
        },
    ]


def test_results_alone_make_no_empty_turn() -> None:
    messages = write(Turn("user", (ToolResult("c1", (Text("snow"),)),)))["messages"]
    assert [message["role"] for message in messages] == ["tool"]


def test_media_and_documents() -> None:
    text = base64.b64encode("ümläut".encode()).decode()
    parts = (
        Text("See"),
        Image(url="https://x/y.png", detail="low"),
        Document("application/pdf", "JVBE", None, "a.pdf"),
        Document("application/pdf", "JVBE"),
        Document("text/plain", text, None, "a.txt"),
        Document("text/plain", "/w=="),
    )
    assert write(Turn("user", parts))["messages"][0]["content"] == [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "text", "text": "a.txt:\nümläut"},
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:text/plain;base64,/w=="}},
    ]


@pytest.mark.parametrize(
    ("mode", "written"), [("auto", "auto"), ("none", "none"), ("required", "required"), (None, None)]
)
def test_tools_and_their_choice(mode: str | None, written: str | None) -> None:
    choice = ToolChoice(mode=mode) if mode else None
    fields = write(tools=(LOOK, Tool(name="bare", is_strict=True)), tool_choice=choice, has_parallel_tool_calls=False)
    assert fields.get("tool_choice") == written
    assert fields["parallel_tool_calls"] is False
    assert [tool["function"] for tool in fields["tools"]] == [
        {"name": "look", "description": "Looks.", "parameters": {"type": "object"}},
        {"name": "bare", "strict": True},
    ]


def test_a_named_tool() -> None:
    fields = write(tools=(LOOK,), tool_choice=ToolChoice(mode="named", name="look"))
    assert fields["tool_choice"] == {"type": "function", "function": {"name": "look"}}


def test_nothing_is_said_of_tools_that_are_not_there() -> None:
    assert write(tool_choice=ToolChoice(mode="auto"), has_parallel_tool_calls=True) == write()


def test_the_shape_of_the_answer() -> None:
    schema = msgspec.Raw(b'{"type":"object"}')
    assert write(output_schema=OutputSchema(schema=schema, is_strict=True))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }
    assert write(wants_json_object=True)["response_format"] == {"type": "json_object"}


def closed(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False}


TEXT = {"type": "string", "description": "A word."}


@pytest.mark.parametrize(
    ("schema", "is_held_to"),
    [
        (closed(word=TEXT, more={"type": "array", "items": closed(word=TEXT)}), True),
        (closed(one={"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}) | {"$defs": {"a": closed()}}, True),
        (closed(word=TEXT) | {"required": []}, False),
        (closed(word=TEXT) | {"additionalProperties": True}, False),
        (closed(inner={"type": "object"}), False),
        (closed(items={"type": "array", "items": {"type": "object", "properties": {"a": TEXT}}}), False),
        (closed(one={"anyOf": [{"type": "object"}]}), False),
        (closed(word={**TEXT, "default": "x"}), False),
        (closed(word=True), False),
        ({"anyOf": [closed()]}, False),
        ([], False),
    ],
)
def test_an_answer_is_held_to_a_schema_where_openai_can(schema: object, is_held_to: bool) -> None:
    output = OutputSchema(schema=msgspec.Raw(msgspec.json.encode(schema)))
    assert write(output_schema=output)["response_format"]["json_schema"].get("strict", False) is is_held_to
    assert dropped(output_schema=output) == (() if is_held_to else ("output_config.format",))
    asked = OutputSchema(schema=output.schema, is_strict=False)
    assert write(output_schema=asked)["response_format"]["json_schema"]["strict"] is False
    assert dropped(output_schema=asked) == ()


@pytest.mark.parametrize(
    ("reasoning", "model", "effort", "is_told"),
    [
        (Reasoning(is_on=True, tokens_max=1_024), "gpt-5.2", "low", True),
        (Reasoning(is_on=True, tokens_max=8_192), "gpt-5.2", "medium", True),
        (Reasoning(is_on=True, tokens_max=31_999), "gpt-5.2", "high", True),
        (Reasoning(is_on=True, effort="xhigh"), "gpt-5.2", "xhigh", True),
        (Reasoning(is_on=True, effort="max"), "gpt-5.1", "high", False),
        (Reasoning(is_on=True), "gpt-5.2", None, True),
        (Reasoning(is_on=False), "gpt-5.2", "none", True),
        (Reasoning(is_on=False), "gpt-5-mini", "minimal", False),
        (Reasoning(is_on=False), "gpt-4o", None, True),
        (Reasoning(is_on=True, effort="high"), "openai/gpt-4o", None, False),
        (Reasoning(is_on=True, effort="low"), "gpt-5-pro", "high", False),
        (Reasoning(is_on=True, effort="minimal"), "o3", "low", False),
        (Reasoning(is_on=True, tokens_max=4_096), "mistral-large-latest", None, False),
        (Reasoning(is_on=True, tokens_max=4_096), "deepseek-v3", "medium", True),
    ],
)
def test_an_effort_is_one_that_the_model_takes(
    reasoning: Reasoning, model: str, effort: str | None, is_told: bool
) -> None:
    assert write(reasoning=reasoning, model=model).get("reasoning_effort") == effort
    assert dropped(reasoning=reasoning, model=model) == (() if is_told else ("thinking",))


THOUGHT = Turn("assistant", (Thinking("Hm", "c2ln"), RedactedThinking("ZW5j"), Thinking("So"), Text("Ok")))


def test_thinking_goes_back_where_the_vendor_takes_it() -> None:
    assert "reasoning" not in str(write(HELLO, THOUGHT))
    assert dropped(HELLO, THOUGHT) == ("messages.thinking",)
    assert write(HELLO, THOUGHT, vendor="deepseek")["messages"][1]["reasoning_content"] == "Hm\n\nSo"
    assert write(HELLO, THOUGHT, vendor="openrouter")["messages"][1]["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "Hm", "signature": "c2ln"},
        {"type": "reasoning.encrypted", "index": 1, "data": "ZW5j"},
        {"type": "reasoning.text", "index": 2, "text": "So"},
    ]


def test_what_is_not_told_is_named() -> None:
    cached = (Tool(name="look", is_cache_point=True),)
    stops = ("a", "b", "c", "d", "e")
    names = dropped(top_k=5, stop=stops, tools=cached, end_user="u", unnamed=("mcp",), vendor="mistral")
    assert names == ("mcp", "top_k", "stop_sequences", "metadata.user_id", "cache_control")
    fields = write(stop=stops, end_user="u")
    assert (fields["stop"], fields["user"]) == (["a", "b", "c", "d"], "u")
    assert dropped(Turn("user", (Text("x", is_cache_point=True),))) == ("cache_control",)


NAMES = st.sampled_from(["look", "find", "a-b_c"])
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
JSON = st.dictionaries(WORDS, st.integers() | WORDS, max_size=3).map(
    lambda value: msgspec.Raw(msgspec.json.encode(value))
)
IMAGES = st.builds(Image, media_type=st.just("image/png"), data=st.just("iVBO"), detail=st.none() | st.just("low"))
PDFS = st.builds(Document, st.just("application/pdf"), st.just("JVBE"), st.none(), st.just("a.pdf"))
THOUGHTS = st.builds(Thinking, WORDS, st.none() | st.just("c2ln")) | st.builds(RedactedThinking, WORDS)


@st.composite
def turns(draw: st.DrawFn) -> tuple[Turn, ...]:
    """What OpenAI can say: one text a message, media after it, every call answered at once."""
    said = [Turn("system", (Text(draw(WORDS)),))] if draw(st.booleans()) else []
    for number in range(draw(st.integers(1, 3))):
        media: list[Part] = draw(st.lists(IMAGES | PDFS, max_size=2))
        said.append(Turn("user", (Text(draw(WORDS)), *media)))
        calls = [ToolCall(f"c{number}-{index}", draw(NAMES), draw(JSON)) for index in range(draw(st.integers(0, 2)))]
        thoughts: list[Part] = draw(st.lists(THOUGHTS, max_size=2))
        refusal: list[Part] = draw(st.lists(st.builds(Refusal, WORDS), max_size=1))
        said.append(Turn("assistant", (*thoughts, Text(draw(WORDS)), *refusal, *calls)))
        said += [Turn("user", (ToolResult(call.tool_call_id, (Text(draw(WORDS)),)),)) for call in calls]
    return tuple(said)


CONVERSATIONS = st.builds(
    Conversation,
    turns=turns(),
    tools=st.lists(
        st.builds(
            Tool, name=NAMES, description=st.none() | WORDS, parameters=JSON, is_strict=st.none() | st.booleans()
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
    tool_choice=st.none()
    | st.builds(ToolChoice, mode=st.sampled_from(["auto", "none", "required"]))
    | st.builds(ToolChoice, mode=st.just("named"), name=NAMES),
    has_parallel_tool_calls=st.none() | st.booleans(),
    output_tokens_wanted=st.none() | st.integers(1, 9_999),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    stop=st.lists(WORDS, max_size=4).map(tuple),
    output_schema=st.none() | st.builds(OutputSchema, schema=JSON, name=NAMES, is_strict=st.booleans()),
    reasoning=st.none() | st.builds(Reasoning, is_on=st.just(True), effort=st.sampled_from(["low", "high"])),
    end_user=st.none() | WORDS,
    is_streamed=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(CONVERSATIONS)
def test_what_openai_can_say_comes_back_as_it_was(conversation: Conversation) -> None:
    encoded = encode(conversation, vendor="openrouter")
    assert encoded.dropped == ()
    assert read_conversation(decode_chat(encoded.body)) == conversation


@settings(max_examples=50, deadline=None)
@given(CONVERSATIONS)
def test_a_request_is_of_the_sdks_own_types(conversation: Conversation) -> None:
    body = json.loads(encode(conversation).body)
    params = completion_create_params
    streamed, whole = params.CompletionCreateParamsStreaming, params.CompletionCreateParamsNonStreaming
    checked: dict[str, Any] = TypeAdapter(streamed if conversation.is_streamed else whole).validate_python(body)
    for name in ("messages", "tools"):
        list(checked[name])  # they are checked as they are taken
