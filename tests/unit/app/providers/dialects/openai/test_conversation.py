"""A request in OpenAI's words is read whole: each field has a place, is heeded elsewhere, or is named."""

import json
from typing import Any

import msgspec
import pytest

from app.providers import BodyInvalid, decode_chat
from app.providers.dialects.conversation import (
    Conversation,
    Document,
    Image,
    OutputSchema,
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
from app.providers.dialects.openai import read_conversation
from tests.unit.app.providers.golden import golden

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
FIND = {"type": "function", "function": {"name": "find", "description": "Finds.", "strict": True}}


def read(messages: list[dict[str, Any]] = HELLO, **fields: Any) -> Conversation:
    return read_conversation(decode_chat(json.dumps({"model": "m", "messages": messages, **fields}).encode()))


def parts_of(content: list[dict[str, Any]]) -> tuple[object, ...]:
    return read([{"role": "user", "content": content}]).turns[0].parts


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def test_roles_keep_their_order_and_a_developer_speaks_as_the_system() -> None:
    roles = ("system", "user", "developer", "assistant", "user")
    turns = read([{"role": role, "content": role} for role in roles]).turns
    assert [(turn.role, turn.parts) for turn in turns] == [
        ("system", (Text("system"),)),
        ("user", (Text("user"),)),
        ("system", (Text("developer"),)),
        ("assistant", (Text("assistant"),)),
        ("user", (Text("user"),)),
    ]


def test_parts_are_read_in_order() -> None:
    assert parts_of(
        [
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
            {"type": "image_url", "image_url": "data:image/png;base64,iVBO"},
            {"type": "text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit"}},
        ]
    ) == (
        Text("a", is_cache_point=True),
        Image(url="https://x/y.png", detail="low"),
        Image(media_type="image/png", data="iVBO"),
        Text("b", is_cache_point=True),
    )


@pytest.mark.parametrize(
    ("file", "document"),
    [
        (
            {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"},
            Document("application/pdf", "JVBE", None, "a.pdf"),
        ),
        ({"file_data": "JVBE"}, Document("application/pdf", "JVBE")),
        ({"file_data": "aGk=", "filename": "A.TXT"}, Document("text/plain", "aGk=", None, "A.TXT")),
        ({"file_data": "https://x/a.pdf"}, Document(url="https://x/a.pdf")),
        ({"file_data": "data:text/plain,a%20b"}, Document("text/plain", "YSBi")),
        ({"file_data": "data:;charset=utf-8;base64,YSBi"}, Document("text/plain", "YSBi")),
    ],
)
def test_a_file_is_a_document(file: dict[str, str], document: Document) -> None:
    assert parts_of([{"type": "file", "file": file}]) == (document,)


def test_an_assistant_says_all_that_it_said() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"deep": true}'}}
    message = {
        "role": "assistant",
        "content": [{"type": "text", "text": "Hm."}, {"type": "refusal", "refusal": "No."}],
        "refusal": "Never.",
        "tool_calls": [call, {**call, "id": "c2", "function": {"name": "look", "arguments": ""}}],
    }
    assert read([*HELLO, message]).turns[1] == Turn(
        "assistant",
        (
            Text("Hm."),
            Refusal("No."),
            Refusal("Never."),
            ToolCall("c1", "look", msgspec.Raw(b'{"deep": true}')),
            ToolCall("c2", "look", msgspec.Raw(b"{}")),
        ),
    )


def test_thinking_comes_back_as_it_was_signed() -> None:
    details = [
        {"type": "reasoning.text", "text": "Let me see.", "signature": "c2ln", "index": 0, "format": "anthropic"},
        {"type": "reasoning.encrypted", "data": "ZW5j", "index": 1},
        {"type": "reasoning.text", "signature": "b25seQ==", "index": 2},
    ]
    message = {
        "role": "assistant",
        "content": "Ok",
        "reasoning_content": "Let me see.",
        "reasoning_details": details,
    }
    assert read([*HELLO, message]).turns[1].parts == (
        Thinking("Let me see.", "c2ln"),
        RedactedThinking("ZW5j"),
        Thinking("", "b25seQ=="),
        Text("Ok"),
    )


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thinking_without_details_has_no_signature(name: str) -> None:
    assert read([*HELLO, {"role": "assistant", "content": "Ok", name: "Hm"}]).turns[1].parts == (
        Thinking("Hm"),
        Text("Ok"),
    )


def test_results_of_tools_are_the_users() -> None:
    turns = read(
        [
            *HELLO,
            {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "snow"}]},
        ]
    ).turns
    assert turns[2] == Turn("user", (ToolResult("c1", (Text("snow"),)),))


def test_legacy_functions_find_their_results() -> None:
    conversation = read(
        [
            *HELLO,
            {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": '{"a":1}'}},
            {"role": "function", "name": "look", "content": "snow"},
        ],
        functions=[{"name": "look", "parameters": {"type": "object"}}],
        function_call={"name": "look"},
    )
    assert conversation.turns[1].parts == (ToolCall("call_1", "look", msgspec.Raw(b'{"a":1}')),)
    assert conversation.turns[2].parts == (ToolResult("call_1", (Text("snow"),)),)
    assert conversation.tools == (Tool(name="look", parameters=raw({"type": "object"})),)
    assert conversation.tool_choice == ToolChoice(mode="named", name="look")
    assert conversation.unnamed == ("functions",)  # the answer comes as `tool_calls`


def test_a_call_with_free_text_keeps_it() -> None:
    call = {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": 'select "a"'}}
    assert read([*HELLO, {"role": "assistant", "tool_calls": [call]}]).turns[1].parts == (
        ToolCall("c1", "sql", msgspec.Raw(b'{"input":"select \\"a\\""}')),
    )


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ("auto", ToolChoice(mode="auto")),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        ("any", ToolChoice(mode="required")),
        (None, None),
        ({"type": "function", "function": {"name": "look"}}, ToolChoice(mode="named", name="look")),
    ],
)
def test_tool_choices(given: object, choice: ToolChoice | None) -> None:
    conversation = read(tools=[LOOK, FIND], tool_choice=given, parallel_tool_calls=False)
    assert conversation.tool_choice == choice
    assert conversation.has_parallel_tool_calls is False
    assert conversation.tools == (
        Tool(name="look", parameters=raw({"type": "object"})),
        Tool(name="find", description="Finds.", is_strict=True),
    )


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_tools_that_are_not_allowed_are_not_offered(mode: str) -> None:
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [FIND]}}
    conversation = read(tools=[LOOK, FIND], tool_choice=allowed)
    assert [tool.name for tool in conversation.tools] == ["find"]
    assert conversation.tool_choice == ToolChoice(mode=mode)


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({}, None),
        ({"reasoning_effort": "high"}, Reasoning(is_on=True, effort="high")),
        ({"reasoning_effort": "none"}, Reasoning(is_on=False, effort="none")),
        ({"reasoning": {"max_tokens": 2000}}, Reasoning(is_on=True, tokens_max=2000)),
        ({"reasoning": {"effort": "low"}}, Reasoning(is_on=True, effort="low")),
        ({"reasoning": {"enabled": False}}, Reasoning(is_on=False)),
        ({"reasoning": {}}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, Reasoning(is_on=True, tokens_max=1024)),
        ({"thinking": {"type": "disabled"}}, Reasoning(is_on=False)),
    ],
)
def test_reasoning_is_read_however_it_is_asked_for(fields: dict[str, Any], reasoning: Reasoning | None) -> None:
    conversation = read(**fields)
    assert conversation.reasoning == reasoning
    assert conversation.unnamed == ()


def test_the_shape_of_the_answer() -> None:
    schema = {"type": "object", "properties": {"word": {"type": "string"}}}
    json_schema = {"name": "word", "description": "One.", "schema": schema, "strict": True}
    conversation = read(response_format={"type": "json_schema", "json_schema": json_schema})
    assert conversation.output_schema == OutputSchema(
        schema=raw(schema), name="word", description="One.", is_strict=True
    )
    assert read(response_format={"type": "json_object"}).wants_json_object
    assert read(response_format={"type": "text"}) == read()
    assert read(response_format={"type": "grammar"}).unnamed == ("response_format",)


def test_sampling_limits_and_user() -> None:
    conversation = read(
        temperature=1.5,
        top_p=0.9,
        top_k=40,
        stop="END",
        max_tokens=5,
        max_completion_tokens=7,
        user="u",
        safety_identifier="s",
        stream=True,
        stream_options={"include_usage": True},
    )
    assert (conversation.temperature, conversation.top_p, conversation.top_k) == (1.5, 0.9, 40)
    assert (conversation.stop, conversation.output_tokens_wanted) == (("END",), 7)
    assert (conversation.end_user, conversation.is_streamed) == ("s", True)
    assert conversation.unnamed == ()
    assert read(stop=["a", "b"]).stop == ("a", "b")


def test_what_has_no_place_is_named() -> None:
    fields = {
        "seed": 1,
        "logit_bias": {"1": 2},
        "frequency_penalty": 0.5,
        "presence_penalty": 1,
        "store": True,
        "verbosity": "low",
        "prediction": {"type": "content", "content": "x"},
        "prompt_cache_key": "k",
        "min_p": 0.1,
        "reasoning": {"effort": "low", "exclude": True},
    }
    names = {*fields, "reasoning.exclude", "messages.name"} - {"reasoning"}
    assert set(read([{"role": "user", "name": "Ada", "content": "Hi"}], **fields).unnamed) == names


@pytest.mark.parametrize(("ttl", "names"), [("1h", ("cache_control.ttl",)), ("5m", ()), (None, ())])
def test_how_long_to_cache_is_named_where_it_cannot_be_told(ttl: str | None, names: tuple[str, ...]) -> None:
    cached = {"cache_control": {"type": "ephemeral", "ttl": ttl}}
    assert read([{"role": "user", "content": [{"type": "text", "text": "a", **cached}]}]).unnamed == names
    conversation = read(tools=[{**LOOK, **cached}])
    assert (conversation.unnamed, conversation.tools[0].is_cache_point) == (names, True)


def test_what_says_nothing_is_not_named() -> None:
    assert (
        read(
            n=1,
            frequency_penalty=0,
            presence_penalty=0.0,
            logit_bias={},
            logprobs=False,
            store=False,
            seed=None,
            modalities=["text"],
            service_tier="auto",
            metadata={"team": "search"},
        ).unnamed
        == ()
    )


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"top_k": 10**30}, "top_k"),
        ({"reasoning": {"max_tokens": -1}}, "reasoning.max_tokens"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0]"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "function", "name": "x", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "x"}]}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "user", "content": [{"type": "video_url"}]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
            "messages[0].content[0]",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:x"}]}]},
            "messages[0].content[0]",
        ),
    ],
)
def test_what_the_provider_would_refuse_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    body = decode_chat(json.dumps({"model": "m", "messages": HELLO, **fields}).encode())
    with pytest.raises(BodyInvalid) as caught:
        read_conversation(body)
    assert caught.value.param == param


def test_the_golden_request_is_read_whole() -> None:
    conversation = read_conversation(decode_chat(golden("request.json")))
    assert [turn.role for turn in conversation.turns] == ["system", "user", "assistant", "user", "user"]
    assert conversation.turns[1].parts[1] == Image("image/png", "iVBORw0KGgo=", None, "low")
    assert (conversation.top_k, conversation.end_user, conversation.unnamed) == (40, "u-1", ())
