"""Streams are read into deltas; an error or nonsense ends one, what is unknown is passed over."""

import pytest

from app.providers import AnswerMalformed, FailureKind, UpstreamRefused
from app.providers.dialects.anthropic.deltas import AnthropicDeltaReader
from app.providers.dialects.completion import (
    Finish,
    Finished,
    KeepAlive,
    RedactedDelta,
    SignatureDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
)
from app.providers.dialects.sse import Event
from app.providers.dialects.table import interpreter_between
from billing import Usage
from tests.unit.app.providers.dialects.anthropic.events import change, deltas, event, message_start, read, start, stop

LAST_COUNTS = {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 2}}


def test_a_stream_of_text_is_read() -> None:
    reader, found = read(
        message_start(cache_read_input_tokens=60),
        start(0, type="text", text=""),
        event("ping"),
        change(0, "text_delta", text="Hel"),
        change(0, "text_delta", text="lo"),
        stop(0),
        event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 12}),
        event("message_stop"),
    )
    begun = Usage(input_tokens=68, output_tokens=1, cache_read_input_tokens=60, is_estimated=True)
    assert found == [
        Started("msg_1", "claude-opus-5", input_usage=begun),
        KeepAlive(),
        TextDelta("Hel"),
        TextDelta("lo"),
        Finished(Finish.STOP),
    ]
    assert reader.is_done
    assert reader.usage == Usage(input_tokens=68, output_tokens=12, cache_read_input_tokens=60)


def test_reasoning_is_read() -> None:
    assert deltas(
        start(0, type="thinking", thinking="", signature=""),
        change(0, "thinking_delta", thinking="Hm."),
        change(0, "signature_delta", signature="c2ln"),
        stop(0),
        start(1, type="redacted_thinking", data="eHh4"),
        stop(1),
        start(2, type="thinking", thinking="All", signature="at once"),
    ) == [
        ThinkingDelta("Hm."),
        SignatureDelta("c2ln"),
        RedactedDelta("eHh4"),
        ThinkingDelta("All"),
        SignatureDelta("at once"),
    ]


def test_calls_are_counted_and_their_arguments_read() -> None:
    assert deltas(
        start(0, type="text", text="I "),
        start(1, type="tool_use", id="t1", name="f", input={}),
        change(1, "input_json_delta", partial_json=""),
        change(1, "input_json_delta", partial_json='{"a"'),
        change(1, "input_json_delta", partial_json=":1}"),
        stop(1),
        start(2, type="tool_use", id="t2", name="g", input={"b": 2}),
        stop(2),
        start(3, type="tool_use", id="t3", name="h", input={}),
        change(3, "input_json_delta", partial_json=""),
        stop(3),
    ) == [
        TextDelta("I "),
        ToolCallStarted(0, "t1", "f"),
        ToolArgumentsDelta(0, '{"a"'),
        ToolArgumentsDelta(0, ":1}"),
        ToolCallStarted(1, "t2", "g"),
        ToolArgumentsDelta(1, '{"b": 2}'),
        ToolCallStarted(2, "t3", "h"),
        ToolArgumentsDelta(2, "{}"),
    ]


def test_what_is_unknown_is_passed_over() -> None:
    assert not deltas(
        event("of_next_year", index=0),
        start(0, type="server_tool_use", id="s1", name="web_search", input={}),
        change(0, "input_json_delta", partial_json='{"query":"a"}'),
        stop(0),
        change(1, "citations_delta", citation={}),
        change(1, "text_delta", text=""),
        event("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 1}),
        Event(b"", b""),
    )


@pytest.mark.parametrize(
    ("word", "finish"), [("refusal", Finish.REFUSED), ("tool_use", Finish.TOOL_CALLS), ("of_next_year", Finish.STOP)]
)
def test_the_reason_to_stop_is_read(word: str, finish: Finish) -> None:
    assert deltas(event("message_delta", delta={"stop_reason": word, "stop_sequence": "a"}, usage={})) == [
        Finished(finish, "a")
    ]


def test_later_counts_are_laid_over_earlier_ones() -> None:
    reader, _ = read(
        message_start(cache_creation_input_tokens=5),
        event("message_delta", delta={}, usage={"input_tokens": 30, "output_tokens": 4}),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 6}),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage=LAST_COUNTS),
    )
    assert reader.usage == Usage(
        input_tokens=35, output_tokens=7, cache_creation_input_tokens=5, reasoning_output_tokens=2
    )


@pytest.mark.parametrize("last", [(), (event("message_delta", delta={"stop_reason": "end_turn"}, usage={}),)])
def test_the_count_at_the_start_is_not_taken_for_that_of_the_whole(last: tuple[Event, ...]) -> None:
    text = change(0, "text_delta", text="x" * 400)
    reader, _ = read(message_start(), text, *last)
    assert reader.usage == Usage(input_tokens=8, output_tokens=1, is_estimated=True)
    translated = interpreter_between("openai", "anthropic").read_stream(wants_usage=True)
    for one in (message_start(), text, *last):
        translated.feed(b"data: " + one.data + b"\n\n")
    assert translated.usage == Usage(input_tokens=8, output_tokens=100, is_estimated=True)


def test_an_error_ends_the_stream_and_its_prose_is_not_kept() -> None:
    reader, found = read(
        message_start(),
        event("error", error={"type": "overloaded_error", "message": "secret"}),
        change(0, "text_delta", text="more"),
    )
    assert len(found) == 1
    assert isinstance(reader.failure, UpstreamRefused)
    assert reader.failure.kind is FailureKind.OVERLOADED
    assert "secret" not in str(reader.failure)
    assert not reader.is_done


@pytest.mark.parametrize(
    "data",
    [
        b"[DONE]",
        b"{",
        b"[]",
        b"\xff",
        b"{}",
        b'{"type":"message_start"}',
        b'{"type":"content_block_start","index":0}',
        b'{"type":"content_block_delta","index":0}',
        b'{"type":"message_delta"}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","name":"f"}}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t"}}',
        b'{"type":"content_block_delta","index":"a","delta":{"type":"text_delta"}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":1}}',
    ],
)
def test_an_event_that_makes_no_sense_ends_the_stream(data: bytes) -> None:
    reader = AnthropicDeltaReader()
    assert not reader.read(Event(b"", data))
    assert isinstance(reader.failure, AnswerMalformed)
    assert not reader.read(change(0, "text_delta", text="more"))


def test_nothing_is_read_after_the_end() -> None:
    reader, found = read(event("message_stop"), Event(b"", b"[DONE]"), change(0, "text_delta", text="more"))
    assert not found
    assert reader.failure is None
