"""Streams are written as the SDK's own accumulator reads them, however the deltas were grouped."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec
from anthropic.lib.streaming._messages import accumulate_event
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers.dialects.anthropic.deltas import AnthropicDeltaWriter
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
from billing import Usage
from tests.unit.app.providers.dialects.anthropic.events import (
    COST,
    EVENT,
    STARTED,
    USAGE,
    accumulated,
    blocks,
    events_of,
    read,
    write,
)


def test_a_message_is_written_with_its_facts() -> None:
    message = accumulated(write([STARTED, TextDelta("Hello"), Finished(Finish.STOP_SEQUENCE, "END")]))
    assert (message.id, message.model, message.role) == ("msg_1", "claude-opus-5", "assistant")
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (40, 20)
    assert message.usage.cache_read_input_tokens == 60


def test_the_start_tells_the_input_where_it_is_known_and_zeros_elsewhere() -> None:
    def start_usage(*found: Delta) -> Any:
        return json.loads(events_of(write(found))[0].data)["message"]["usage"]

    assert start_usage(STARTED)["input_tokens"] == 9
    assert start_usage(Started(None, None))["input_tokens"] == 0
    assert start_usage(TextDelta("a"))["output_tokens"] == 0


def test_the_end_is_withheld_and_tells_the_amounts() -> None:
    writer = AnthropicDeltaWriter(wants_usage=False)
    begun = writer.write([STARTED, TextDelta("a"), Finished(Finish.STOP)])
    assert [name for name, _ in events_of(begun)] == [
        b"message_start",
        b"content_block_start",
        b"content_block_delta",
        b"content_block_stop",
    ]
    ended = events_of(writer.ending(USAGE, COST))
    assert [name for name, _ in ended] == [b"message_delta", b"message_stop"]
    assert b'"cost":0.00125' in ended[0].data
    assert b'"saved":0.000000007' in ended[0].data


def test_an_empty_stream_is_a_whole_message() -> None:
    message = accumulated(write())
    assert message.id.startswith("msg_")
    assert message.content == []
    assert message.stop_reason == "end_turn"


def test_a_sign_of_life_begins_nothing() -> None:
    writer = AnthropicDeltaWriter(wants_usage=True)
    assert writer.write([KeepAlive()]) == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert writer.write([TextDelta("")]) == b""
    assert writer.write([STARTED]).startswith(b"event: message_start")


def test_each_kind_of_content_has_its_block() -> None:
    assert blocks(
        STARTED,
        ThinkingDelta("H"),
        ThinkingDelta("m."),
        SignatureDelta("c2ln"),
        ThinkingDelta("Then."),
        RedactedDelta("eHh4"),
        TextDelta("So"),
        RefusalDelta(" no."),
        ToolCallStarted(0, "t1", "f"),
        ToolArgumentsDelta(0, '{"a":'),
        ToolArgumentsDelta(0, "1}"),
        ToolCallStarted(1, "t2", "g"),
        ToolArgumentsDelta(1, "{}"),
        TextDelta("After."),
        Finished(Finish.TOOL_CALLS),
    ) == [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "thinking", "thinking": "Then.", "signature": ""},
        {"type": "redacted_thinking", "data": "eHh4"},
        {"type": "text", "text": "So no."},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
        {"type": "text", "text": "After."},
    ]


def test_a_signature_whose_text_is_kept_back_has_a_block_of_its_own() -> None:
    assert blocks(STARTED, SignatureDelta("c2ln"), TextDelta("a"))[0] == {
        "type": "thinking",
        "thinking": "",
        "signature": "c2ln",
    }


def test_a_call_without_an_id_gets_one() -> None:
    assert blocks(STARTED, ToolCallStarted(0, "", "f"))[0]["id"].startswith("toolu_")


def test_calls_that_are_interleaved_follow_one_another() -> None:
    found = [
        STARTED,
        ToolCallStarted(0, "t1", "f"),
        ToolCallStarted(1, "t2", "g"),
        ToolArgumentsDelta(1, '{"b"'),
        ToolArgumentsDelta(0, '{"a"'),
        ToolArgumentsDelta(1, ":2}"),
        ToolCallStarted(2, "t3", "h"),
        ToolArgumentsDelta(0, ":1}"),
        ToolArgumentsDelta(2, '{"c":3}'),
    ]
    written = [
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "t2", "name": "g", "input": {"b": 2}},
        {"type": "tool_use", "id": "t3", "name": "h", "input": {"c": 3}},
    ]
    assert blocks(*found) == written
    assert blocks(*found, Finished(Finish.TOOL_CALLS)) == written
    assert blocks(*found, TextDelta("a")) == [*written, {"type": "text", "text": "a"}]


def test_a_call_is_closed_as_soon_as_the_next_begins() -> None:
    writer = AnthropicDeltaWriter(wants_usage=True)
    writer.write([STARTED, ToolCallStarted(0, "t1", "f"), ToolArgumentsDelta(0, '{"a":1}')])
    assert [name for name, _ in events_of(writer.write([ToolCallStarted(1, "t2", "g")]))] == [
        b"content_block_stop",
        b"content_block_start",
    ]


def test_arguments_that_text_cut_in_two_reach_their_call() -> None:
    stream = write(
        [
            STARTED,
            ToolCallStarted(0, "t1", "f"),
            ToolArgumentsDelta(0, '{"a"'),
            TextDelta("hm"),
            ToolArgumentsDelta(0, ":1}"),
        ]
    )
    message: Any = None
    buffers: dict[int, bytes] = {}
    for _, data in events_of(stream):
        parsed = EVENT.validate_json(data)
        message = accumulate_event(event=parsed, current_snapshot=message, json_bufs=buffers)
    assert message.content[0].input == {"a": 1}


def test_arguments_of_a_call_that_never_began_are_passed_over() -> None:
    assert blocks(STARTED, ToolArgumentsDelta(3, "{}"), TextDelta("a")) == [{"type": "text", "text": "a"}]


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
names = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)


@st.composite
def streams(draw: st.DrawFn) -> list[Delta]:
    """Deltas in an order that a provider may send them in."""
    found: list[Delta] = [Started(draw(names.map("msg_".__add__)), draw(texts), input_usage=draw(st.none() | usages))]
    calls = 0
    for kind in draw(st.lists(st.sampled_from(["text", "thinking", "redacted", "call", "ping"]), max_size=6)):
        match kind:
            case "text":
                found += map(TextDelta, draw(st.lists(texts, min_size=1, max_size=3)))
            case "thinking":
                found += map(ThinkingDelta, draw(st.lists(texts, max_size=3)))
                found.append(SignatureDelta(draw(texts)))
            case "redacted":
                found.append(RedactedDelta(draw(texts)))
            case "call":
                arguments = json.dumps(draw(st.dictionaries(texts, texts, max_size=2)))
                cut = draw(st.integers(1, len(arguments)))
                found.append(ToolCallStarted(calls, draw(names), draw(names)))
                found += [ToolArgumentsDelta(calls, part) for part in (arguments[:cut], arguments[cut:]) if part]
                calls += 1
            case "ping":
                found.append(KeepAlive())
    found.append(Finished(draw(st.sampled_from(Finish)), draw(st.none() | texts)))
    return found


usages = st.builds(
    lambda read, rest, output: Usage(input_tokens=read + rest, cache_read_input_tokens=read, output_tokens=output),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9),
)


def joined(found: Iterable[Delta]) -> list[Delta]:
    """The deltas with neighbouring texts joined, and the input of a message's start counted as it is on the wire."""
    whole: list[Delta] = []
    for delta in found:
        last = whole[-1] if whole else None
        if isinstance(delta, TextDelta) and isinstance(last, TextDelta):
            whole[-1] = TextDelta(last.text + delta.text)
        elif isinstance(delta, Started):
            begun = msgspec.structs.replace(delta.input_usage or Usage(), is_estimated=True)
            whole.append(msgspec.structs.replace(delta, input_usage=begun))
        else:
            whole.append(delta)
    return whole


@settings(max_examples=60)
@given(found=streams(), usage=usages)
def test_what_is_written_is_read_again(found: list[Delta], usage: Usage) -> None:
    stream = write(found, usage=usage)
    reader, again = read(*events_of(stream))
    assert joined(again) == joined(found)
    assert reader.is_done
    assert reader.usage == usage
    accumulated(stream)


@settings(max_examples=60)
@given(found=streams(), data=st.data())
def test_the_bytes_do_not_depend_on_how_deltas_were_grouped(found: list[Delta], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(found)), max_size=4)))
    groups = [found[a:b] for a, b in zip([0, *cuts], [*cuts, len(found)], strict=True)]
    assert write(*groups) == write(found) == write(*([delta] for delta in found))
