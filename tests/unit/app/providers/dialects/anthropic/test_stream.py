"""A stream of Anthropic's is read and forwarded alike however it is cut, and never ends clean after a failure."""

import json

import pytest
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

from app.providers import Cost, FailureKind
from app.providers.dialects.anthropic import AnthropicStreamReader
from app.providers.dialects.sse import EventSplitter, read_event
from billing import Usage
from tests.unit.app.providers.golden import ANTHROPIC_STREAMS
from tests.unit.app.providers.golden import golden as golden_of

COST = Cost(billed_nano_usd=2_500)
STREAM_EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
KNOWN_TO_THE_SDK = ("stream.sse", "stream.tools.sse")


def golden(name: str) -> bytes:
    return golden_of(name, "anthropic")


def read(chunks: list[bytes]) -> tuple[AnthropicStreamReader, bytes]:
    reader = AnthropicStreamReader(wants_usage=True)
    forwarded = b"".join(reader.feed(chunk) for chunk in chunks)
    reader.close()
    return reader, forwarded


def facts(reader: AnthropicStreamReader) -> tuple[object, ...]:
    return (
        reader.response_id,
        reader.model,
        reader.finish_reason,
        reader.usage,
        reader.has_content,
        reader.output_tokens_estimate(),
        repr(reader.failure),
        reader.ending(Usage(), COST),
    )


def event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def begun(**usage: int | None) -> bytes:
    return event("message_start", message={"id": "msg_1", "model": "m", "usage": usage})


def text(words: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": words})


def stopped(reason: str | None = "end_turn", **usage: int | None) -> bytes:
    return event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)


STOP = event("message_stop")


@pytest.mark.parametrize("name", KNOWN_TO_THE_SDK)
def test_the_golden_streams_are_the_sdks_own_and_so_is_what_a_caller_gets(name: str) -> None:
    reader, forwarded = read([golden(name)])
    for stream in (golden(name), forwarded + reader.ending(Usage(), COST)):
        kinds = []
        for block in EventSplitter().feed(stream):
            given = read_event(block)
            kinds.append(given.name.decode())
            if given.name != b"ping":
                STREAM_EVENT.validate_json(given.data)
        assert kinds[0] == "message_start"
        assert kinds[-2:] == ["message_delta", "message_stop"]


@pytest.mark.parametrize("name", [*ANTHROPIC_STREAMS, "stream.error.sse", "stream.cut.sse"])
def test_a_stream_cut_at_any_byte_reads_the_same(name: str) -> None:
    stream = golden(name)
    whole, forwarded = read([stream])
    for cut in range(len(stream) + 1):
        reader, pieces = read([stream[:cut], stream[cut:]])
        assert (facts(reader), pieces) == (facts(whole), forwarded)
    reader, pieces = read([bytes([byte]) for byte in stream])
    assert (facts(reader), pieces) == (facts(whole), forwarded)


@pytest.mark.parametrize("name", ANTHROPIC_STREAMS)
def test_a_stream_stopped_at_any_byte_is_never_taken_for_whole_before_its_finish(name: str) -> None:
    stream = golden(name)
    for cut in range(stream.index(b'"stop_reason":"')):
        reader, _ = read([stream[:cut]])
        assert reader.failure is not None
        assert reader.failure.kind is FailureKind.CUT


def test_a_stream_tells_its_facts() -> None:
    reader, _ = read([golden("stream.sse")])
    assert reader.failure is None
    assert (reader.response_id, reader.model) == ("msg_01", "claude-opus-4-5-20251101")
    assert (reader.finish_reason, reader.has_content) == ("stop", True)
    assert reader.usage == Usage(
        input_tokens=1456, output_tokens=5, cache_read_input_tokens=1024, cache_creation_input_tokens=256
    )


def test_counts_of_the_last_event_are_laid_over_those_of_the_first() -> None:
    reader, _ = read([golden("stream.tools.sse")])
    assert reader.finish_reason == "tool_calls"
    assert reader.usage == Usage(
        input_tokens=68, output_tokens=89, cache_read_input_tokens=7, reasoning_output_tokens=12
    )


@pytest.mark.parametrize(
    "no_content",
    [
        begun(input_tokens=5, output_tokens=1),
        event("ping"),
        b": a comment\n\n",
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("content_block_start", index=0, content_block={"type": "tool_use", "id": "t", "name": "f", "input": {}}),
        text(""),
        event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": ""}),
        event("content_block_stop", index=0),
        stopped(None, output_tokens=1),
        event("message_weather", delta={"text": 1}),
    ],
)
def test_signs_of_life_are_passed_on_and_are_no_content(no_content: bytes) -> None:
    reader = AnthropicStreamReader(wants_usage=True)
    assert reader.feed(no_content) == no_content
    assert not reader.has_content
    assert reader.failure is None


@pytest.mark.parametrize(
    "content",
    [
        text("x"),
        event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "x"}),
        event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "x"}),
        event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": "{"}),
        event("content_block_delta", index=0, delta={"type": "citations_delta", "citation": {}}),
        event("content_block_start", index=0, content_block={"type": "redacted_thinking", "data": "ZW5j"}),
    ],
)
def test_what_the_model_wrote_is_content(content: bytes) -> None:
    reader = AnthropicStreamReader(wants_usage=True)
    assert reader.feed(content) == content
    assert reader.has_content
    assert reader.output_tokens_estimate() >= 1


def test_the_last_events_are_withheld_until_the_ending() -> None:
    reader, forwarded = read([golden("stream.sse")])
    assert b"message_delta" not in forwarded
    assert b"message_stop" not in forwarded
    ending = reader.ending(Usage(), COST)
    last, stop = (read_event(block) for block in EventSplitter().feed(ending))
    assert json.loads(last.data)["usage"] == {"output_tokens": 5, "cost": 0.0000025}
    assert json.loads(last.data)["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert (last.name, stop.name, json.loads(stop.data)) == (
        b"message_delta",
        b"message_stop",
        {"type": "message_stop"},
    )
    assert golden("stream.sse").startswith(forwarded)


def test_events_that_we_do_not_know_pass_byte_for_byte() -> None:
    reader, forwarded = read([golden("stream.tomorrow.sse")])
    assert b'event: message_weather\ndata: {"type":"message_weather","temperature":-3}\n\n' in forwarded
    assert b"snow_delta" in forwarded
    assert (reader.failure, reader.finish_reason) == (None, "a_reason_of_tomorrow")
    assert reader.usage == Usage(
        input_tokens=1456, output_tokens=3, cache_read_input_tokens=1024, cache_creation_input_tokens=256
    )


def test_a_stream_that_breaks_is_charged_by_the_input_that_anthropic_counted() -> None:
    reader, _ = read([begun(input_tokens=100, output_tokens=1, cache_read_input_tokens=50), text("x" * 400)])
    assert reader.failure is not None
    assert reader.usage == Usage(input_tokens=150, output_tokens=100, cache_read_input_tokens=50, is_estimated=True)


@pytest.mark.parametrize(
    "last", [stopped(), stopped(output_tokens=None), event("message_delta", delta={"stop_reason": "x"})]
)
def test_the_count_at_the_start_is_never_taken_for_that_at_the_end(last: bytes) -> None:
    reader, _ = read([begun(input_tokens=100, output_tokens=1), text("x" * 400), last, STOP])
    assert reader.failure is None
    assert reader.usage == Usage(input_tokens=100, output_tokens=100, is_estimated=True)


def test_without_any_count_usage_is_unknown() -> None:
    reader, _ = read([text("x"), stopped(), STOP])
    assert (reader.failure, reader.usage) == (None, None)


def test_counts_that_make_no_sense_are_unknown_and_not_zero() -> None:
    reader, _ = read([begun(input_tokens=-1), text("x"), stopped(output_tokens=3), STOP])
    assert reader.usage is None
    assert json.loads(read_event(EventSplitter().feed(reader.ending(Usage(), COST))[0]).data)["usage"] == {
        "output_tokens": 3,
        "cost": 0.0000025,
    }


def test_a_null_count_does_not_hide_an_earlier_one() -> None:
    reader, _ = read([begun(input_tokens=9), text("x"), stopped(input_tokens=None, output_tokens=3), STOP])
    assert reader.usage == Usage(input_tokens=9, output_tokens=3)


def test_an_error_event_stops_the_stream_without_its_prose() -> None:
    reader, forwarded = read([golden("stream.error.sse") + STOP])
    assert reader.failure is not None
    assert reader.failure.kind is FailureKind.OVERLOADED
    assert b"SECRET-PROSE" not in forwarded + str(reader.failure).encode()
    assert b"message_stop" not in forwarded


@pytest.mark.parametrize("broken", [b"data: {broken\n\n", b"data: []\n\n", b'data: {"type": 3}\n\n', b"data: \xff\n\n"])
def test_what_is_no_event_of_a_message_is_malformed_and_ends_the_stream(broken: bytes) -> None:
    reader, forwarded = read([text("a"), broken, golden("stream.sse")])
    assert (forwarded, reader.failure and reader.failure.kind) == (text("a"), FailureKind.MALFORMED)


def test_nothing_is_forwarded_after_the_end() -> None:
    _, forwarded = read([golden("stream.sse"), golden("stream.sse")])
    assert forwarded.count(b"Snow") == 1


def test_a_stream_that_ends_without_its_stop_after_its_reason_is_whole() -> None:
    reader, _ = read([golden("stream.sse").split(b"event: message_stop")[0]])
    assert reader.failure is None
    assert reader.ending(Usage(), COST).endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_an_empty_stream_is_cut() -> None:
    reader, _ = read([])
    assert reader.failure is not None


def test_what_came_is_estimated_by_events_or_bytes() -> None:
    assert read([text("a"), text("b"), text("c")])[0].output_tokens_estimate() == 3
    assert read([text("x" * 400)])[0].output_tokens_estimate() == 100
    assert read([])[0].output_tokens_estimate() == 0
