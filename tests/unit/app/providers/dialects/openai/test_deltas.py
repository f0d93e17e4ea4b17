"""A stream in OpenAI's words is read into deltas and written from them, and the SDK makes the same answer of it."""

import json
from collections.abc import Sequence
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from app.providers import AnswerMalformed, Cost, FailureKind
from app.providers.dialects.completion import (
    Delta,
    Finish,
    Finished,
    KeepAlive,
    RedactedDelta,
    RefusalDelta,
    SignatureDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
)
from app.providers.dialects.openai import OpenAIDeltaReader, OpenAIDeltaWriter
from app.providers.dialects.sse import Event, EventSplitter, read_event
from billing import Usage
from tests.unit.app.providers.golden import golden

STARTED = Started("chatcmpl-1", "m", 7)
USAGE = Usage(input_tokens=10, output_tokens=4)
COST = Cost(billed_nano_usd=2_500)


def events(raw: bytes) -> list[Event]:
    return [read_event(block) for block in EventSplitter().feed(raw)]


def read(raw: bytes) -> tuple[OpenAIDeltaReader, list[Delta]]:
    reader = OpenAIDeltaReader()
    return reader, [delta for event in events(raw) for delta in reader.read(event)]


def read_choices(*choices: dict[str, Any]) -> tuple[OpenAIDeltaReader, list[Delta]]:
    chunks = [{"id": "chatcmpl-1", "model": "m", "created": 7, "choices": [choice]} for choice in choices]
    return read(b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks))


def said(*deltas: dict[str, Any]) -> list[Delta]:
    reader, read_deltas = read_choices(*({"index": 0, "delta": delta} for delta in deltas))
    assert reader.failure is None
    assert read_deltas[0] == STARTED
    return read_deltas[1:]


def write(deltas: Sequence[Delta], *, wants_usage: bool = True) -> bytes:
    writer = OpenAIDeltaWriter(wants_usage=wants_usage, clock=lambda: 9.5)
    return writer.write(deltas) + writer.ending(USAGE, COST)


def accumulated(raw: bytes) -> ChatCompletion:
    """The answer that the official SDK makes of a stream."""
    state = ChatCompletionStreamState()
    for event in events(raw):
        if event.data and event.data != b"[DONE]":
            state.handle_chunk(ChatCompletionChunk.model_validate_json(event.data, strict=True))
    return state.get_final_completion()


def test_text_usage_and_the_end_are_read() -> None:
    reader, deltas = read(golden("stream.sse"))
    assert deltas[0] == Started("chatcmpl-s1", "gpt-4o-2024-08-06", 1767225600)
    assert deltas[-1] == Finished(Finish.STOP)
    assert all(isinstance(delta, TextDelta) for delta in deltas[1:-1])
    assert reader.usage == Usage(input_tokens=1200, output_tokens=3, cache_read_input_tokens=1024)
    assert reader.is_done


def test_a_tools_arguments_are_read_in_pieces() -> None:
    _, deltas = read(golden("stream.tools.sse"))
    assert deltas[1:] == [
        ToolCallStarted(0, "call_1", "get_weather"),
        ToolArgumentsDelta(0, '{"city":'),
        ToolArgumentsDelta(0, '"Oslo"}'),
        Finished(Finish.TOOL_CALLS),
    ]


def call(
    index: int | None, call_id: str | None = None, name: str | None = None, arguments: Any = None
) -> dict[str, Any]:
    entry: dict[str, Any] = {"function": {"arguments": arguments} | ({"name": name} if name else {})}
    entry |= {"index": index} if index is not None else {}
    return {"tool_calls": [entry | ({"id": call_id} if call_id else {})]}


@pytest.mark.parametrize(
    "deltas",
    [
        [call(0, "a", "look"), call(1, "b", "find"), call(1, None, None, "{}"), call(0, None, None, "[]")],
        [call(0, "a", "look"), call(0, "b", "find", "{}"), call(1, "a2", "x")],
        [call(None, "a", "look"), call(None, "b", "find", {}), call(None, None, None, "")],
        [call(0, "a", "look"), call(0, "a", "look"), call(4, "b", "find", "{}")],
    ],
    ids=["parallel", "one index for all", "no index", "repeated id"],
)
def test_calls_are_told_apart_however_they_are_counted(deltas: list[dict[str, Any]]) -> None:
    found = said(*deltas)
    assert found[:2] == [ToolCallStarted(0, "a", "look"), ToolCallStarted(1, "b", "find")]
    assert found[2] == ToolArgumentsDelta(1, "{}")


def test_a_legacy_call_is_a_call() -> None:
    assert said({"function_call": {"name": "look", "arguments": ""}}, {"function_call": {"arguments": "{}"}}) == [
        ToolCallStarted(0, "call_0", "look"),
        ToolArgumentsDelta(0, "{}"),
    ]


def test_reasoning_is_read_once() -> None:
    text = {"type": "reasoning.text", "index": 0}
    assert said(
        {"reasoning_content": "H", "reasoning_details": [{**text, "text": "H"}]},
        {"reasoning": "m"},
        {"reasoning_details": [{**text, "signature": "c2ln"}, {"type": "reasoning.encrypted", "data": "ZW5j"}]},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "So"}]},
                {"type": "text", "text": "Ok"},
            ]
        },
        {"content": None, "refusal": "No."},
    ) == [
        ThinkingDelta("H"),
        ThinkingDelta("m"),
        SignatureDelta("c2ln"),
        RedactedDelta("ZW5j"),
        ThinkingDelta("So"),
        TextDelta("Ok"),
        RefusalDelta("No."),
    ]


def test_the_end_of_a_refusal_and_of_calls_is_told_by_what_was_said() -> None:
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert read_choices({"delta": {"refusal": "No."}}, end)[1][-1] == Finished(Finish.REFUSED)
    assert read_choices({"delta": call(0, "a", "look")}, end, end)[1][-1] == Finished(Finish.TOOL_CALLS)


def test_a_stream_that_ends_without_a_reason_has_one() -> None:
    chunk = b'data: {"id":"x","choices":[{"delta":{"content":"a"}}]}\n\n'
    reader, deltas = read(chunk + b": alive\n\ndata: [DONE]\n\n")
    assert deltas == [Started("x", None), TextDelta("a"), KeepAlive(), Finished(Finish.STOP)]
    assert reader.is_done


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"error":{"message":"x","code":"rate_limit_exceeded"}}', FailureKind.RATE_LIMITED),
        (b'{"choices":[{"delta":{},"finish_reason":"error"}]}', FailureKind.SERVER),
        (b"{", FailureKind.MALFORMED),
        (b'{"choices":3}', FailureKind.MALFORMED),
        (b"\xff", FailureKind.MALFORMED),
        (b'{"choices":[{"delta":{"content":1}}]}', FailureKind.MALFORMED),
    ],
)
def test_an_event_that_is_no_chunk_is_a_failure(data: bytes, kind: FailureKind) -> None:
    reader = OpenAIDeltaReader()
    assert not reader.read(Event(b"", data))
    assert reader.failure is not None
    assert reader.failure.kind is kind


def test_other_choices_are_not_read() -> None:
    assert read_choices({"index": 1, "delta": {"content": "b"}})[1] == [STARTED]


ALL: list[Delta] = [
    STARTED,
    ThinkingDelta("Let "),
    ThinkingDelta("me"),
    SignatureDelta("c2ln"),
    RedactedDelta("ZW5j"),
    KeepAlive(),
    ThinkingDelta("So"),
    TextDelta('Ümläut "☃"\n'),
    TextDelta("two"),
    ToolCallStarted(0, "c1", "look"),
    ToolArgumentsDelta(0, '{"a":'),
    ToolCallStarted(1, "c2", "find"),
    ToolArgumentsDelta(1, "{}"),
    ToolArgumentsDelta(0, "1}"),
    Finished(Finish.TOOL_CALLS),
]


def test_the_sdk_makes_the_answer_of_a_stream() -> None:
    assert {type(delta) for delta in ALL} | {RefusalDelta} == set(get_args(Delta))
    completion = accumulated(write(ALL))
    assert (completion.id, completion.model, completion.created) == ("chatcmpl-1", "m", 7)
    message: dict[str, Any] = completion.choices[0].message.to_dict()
    message = {name: value for name, value in message.items() if value is not None}
    message["tool_calls"] = [entry["function"] for entry in message["tool_calls"]]
    assert message == {
        "role": "assistant",
        "content": 'Ümläut "☃"\ntwo',
        "reasoning_content": "Let meSo",
        "reasoning_details": [
            {"type": "reasoning.text", "index": 0, "text": "Let me", "signature": "c2ln"},
            {"type": "reasoning.encrypted", "index": 1, "data": "ZW5j"},
            {"type": "reasoning.text", "index": 2, "text": "So"},
        ],
        "tool_calls": [
            {"name": "look", "arguments": '{"a":1}', "parsed_arguments": None},
            {"name": "find", "arguments": "{}", "parsed_arguments": None},
        ],
    }
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.usage is not None
    assert completion.usage.to_dict() == {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "total_tokens": 14,
        "cost": 0.0000025,
    }


def test_usage_is_told_only_when_it_was_asked_for() -> None:
    assert b"usage" not in write(ALL, wants_usage=False)
    assert write(ALL, wants_usage=False).endswith(b"data: [DONE]\n\n")
    assert write(ALL).count(b'"usage"') == 1


def test_a_stream_that_the_provider_did_not_name_has_a_name() -> None:
    first = json.loads(events(write([TextDelta("a")]))[0].data)
    assert (first["id"], first["created"], first["model"]) == ("chatcmpl-9", 9, "")
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert len(events(write([]))) == 3  # who speaks, the usage, the end


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
CONTENT = (
    st.builds(TextDelta, WORDS)
    | st.builds(RefusalDelta, WORDS)
    | st.builds(ThinkingDelta, WORDS)
    | st.builds(SignatureDelta, WORDS)
    | st.builds(RedactedDelta, WORDS)
)


@settings(max_examples=150, deadline=None)
@given(st.lists(CONTENT, max_size=8), st.integers(0, 3), st.data())
def test_deltas_come_back_as_they_were_however_they_are_grouped(
    content: list[Delta], call_count: int, data: st.DataObject
) -> None:
    calls: list[Delta] = [ToolCallStarted(position, f"c{position}", "look") for position in range(call_count)]
    calls += [ToolArgumentsDelta(position, data.draw(WORDS)) for position in range(call_count)]
    has_refused = any(isinstance(delta, RefusalDelta) for delta in content)
    finish = Finish.TOOL_CALLS if calls else Finish.REFUSED if has_refused else Finish.STOP
    deltas: list[Delta] = [STARTED, *content, *calls, Finished(finish)]
    raw = write(deltas)
    reader, again = read(raw)
    assert (again, reader.usage, reader.is_done) == (deltas, USAGE, True)
    cut = data.draw(st.integers(0, len(deltas)))
    writer = OpenAIDeltaWriter(wants_usage=True)
    assert writer.write(deltas[:cut]) + writer.write(deltas[cut:]) + writer.ending(USAGE, COST) == raw
    if finish is not Finish.REFUSED:  # at which the SDK raises an error of its own, as it should
        accumulated(raw)


def test_what_the_reader_refuses_is_kept_from_the_log() -> None:
    reader = OpenAIDeltaReader()
    reader.read(Event(b"", b'{"secret prompt'))
    assert isinstance(reader.failure, AnswerMalformed)
    assert "secret" not in str(reader.failure)
