"""A stream is read and forwarded alike however it is cut, and never ends clean after a failure."""

import json

import pytest

from app.providers import Cost, FailureKind
from app.providers.dialects.openai import OpenAIStreamReader
from billing import Usage
from tests.unit.app.providers.golden import STREAMS, golden

COST = Cost(billed_nano_usd=2_500)


def read(chunks: list[bytes], *, wants_usage: bool = True) -> tuple[OpenAIStreamReader, bytes]:
    reader = OpenAIStreamReader(wants_usage=wants_usage)
    forwarded = b"".join(reader.feed(chunk) for chunk in chunks)
    reader.close()
    return reader, forwarded


def facts(reader: OpenAIStreamReader) -> tuple[object, ...]:
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


@pytest.mark.parametrize("wants_usage", [False, True])
@pytest.mark.parametrize("choices", ["[]", '[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]'])
def test_what_the_vendor_charges_is_not_the_callers_to_read(choices: str, wants_usage: bool) -> None:
    usage = '{"prompt_tokens":3,"completion_tokens":2,"cost":0.7,"cost_details":{"a":0.6},"cost_in_usd_ticks":5}'
    text = f'data: {{"choices":{choices},"usage":{usage}}}\n\ndata: [DONE]\n\n'.encode()
    reader, forwarded = read([text], wants_usage=wants_usage)
    assert reader.usage == Usage(input_tokens=3, output_tokens=2)
    seen = forwarded + reader.ending(Usage(), COST)
    assert [word for word in (b"0.7", b"0.6", b"ticks") if word in seen] == []
    assert (b'"prompt_tokens":3' in seen) is (wants_usage or choices != "[]")


@pytest.mark.parametrize("name", [*STREAMS, "stream.error.sse", "stream.cut.sse"])
def test_a_stream_cut_at_any_byte_reads_the_same(name: str) -> None:
    text = golden(name)
    whole, forwarded = read([text])
    for cut in range(len(text) + 1):
        reader, pieces = read([text[:cut], text[cut:]])
        assert (facts(reader), pieces) == (facts(whole), forwarded)
    reader, pieces = read([bytes([byte]) for byte in text])
    assert (facts(reader), pieces) == (facts(whole), forwarded)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_stopped_at_any_byte_is_never_taken_for_whole_before_its_finish(name: str) -> None:
    text = golden(name)
    for cut in range(text.index(b'"finish_reason":"')):
        reader, _ = read([text[:cut]])
        assert reader.failure is not None
        assert reader.failure.kind is FailureKind.CUT


def test_a_stream_tells_its_facts() -> None:
    reader, _ = read([golden("stream.sse")])
    assert reader.failure is None
    assert (reader.response_id, reader.model) == ("chatcmpl-s1", "gpt-4o-2024-08-06")
    assert (reader.finish_reason, reader.has_content) == ("stop", True)
    assert reader.usage == Usage(input_tokens=1200, output_tokens=3, cache_read_input_tokens=1024)


def test_content_has_not_begun_with_the_role() -> None:
    reader = OpenAIStreamReader(wants_usage=False)
    first, second, *_ = golden("stream.sse").split(b"\n\n")
    assert reader.feed(first + b"\n\n")
    assert not reader.has_content
    reader.feed(second + b"\n\n")
    assert reader.has_content


def test_tool_calls_are_content() -> None:
    reader, forwarded = read([golden("stream.tools.sse")])
    assert reader.has_content
    assert forwarded.count(b"tool_calls") == 4
    assert reader.finish_reason == "tool_calls"


def test_done_and_usage_are_withheld_until_the_ending() -> None:
    reader, forwarded = read([golden("stream.sse")])
    assert b"[DONE]" not in forwarded
    assert b'"prompt_tokens"' not in forwarded
    ending = reader.ending(Usage(), COST)
    usage_event, done = ending.decode().strip().split("\n\n")
    assert done == "data: [DONE]"
    assert json.loads(usage_event.removeprefix("data: "))["usage"]["cost"] == 0.0000025
    events = forwarded + ending
    assert [part for part in events.split(b"\n\n") if part][:4] == golden("stream.sse").split(b"\n\n")[:4]


def test_the_usage_chunk_is_stripped_when_the_caller_did_not_ask() -> None:
    reader, forwarded = read([golden("stream.sse")], wants_usage=False)
    assert reader.ending(Usage(), COST) == b"data: [DONE]\n\n"
    assert b'"choices":[]' not in forwarded
    assert reader.usage is not None


def test_usage_beside_a_choice_is_read_and_given_again_in_a_chunk_of_its_own() -> None:
    reader, forwarded = read([golden("stream.mistral.sse")])
    assert reader.usage == Usage(input_tokens=9, output_tokens=2)
    assert b'"finish_reason":"stop"' in forwarded
    chunk = json.loads(reader.ending(reader.usage, COST).split(b"\n\n")[0].removeprefix(b"data: "))
    assert (chunk["choices"], chunk["id"]) == ([], "m-1")
    assert chunk["usage"] == {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "cost": 0.0000025}


def test_comments_pass_and_the_vendors_own_cost_does_not() -> None:
    reader, forwarded = read([golden("stream.openrouter.sse")])
    assert forwarded.startswith(b": OPENROUTER PROCESSING\n\n")
    assert b"0.5" not in reader.ending(Usage(), COST)


def test_an_error_event_stops_the_stream_without_its_prose() -> None:
    reader, forwarded = read([golden("stream.error.sse") + b"data: [DONE]\n\n"])
    assert reader.failure is not None
    assert reader.failure.kind is FailureKind.OVERLOADED
    assert b"SECRET-PROSE" not in forwarded + str(reader.failure).encode()
    assert forwarded.count(b"data:") == 1


def test_nothing_is_forwarded_after_a_failure_or_after_the_end() -> None:
    reader, forwarded = read([b"data: {broken\n\n", golden("stream.sse")])
    assert (forwarded, reader.failure and reader.failure.kind) == (b"", FailureKind.MALFORMED)
    _, forwarded = read([golden("stream.sse"), golden("stream.sse")])
    assert forwarded.count(b"Snow") == 1


def test_a_stream_that_ends_without_done_after_its_finish_is_whole() -> None:
    reader, _ = read([golden("stream.sse").split(b"data: [DONE]")[0]])
    assert reader.failure is None


def test_done_without_its_blank_line_is_done() -> None:
    reader, _ = read([b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\ndata: [DONE]'])
    assert reader.failure is None


def test_with_two_choices_one_finish_is_not_the_end() -> None:
    def event(index: int, finish: str) -> bytes:
        return b'data: {"choices":[{"index":%d,"delta":{"content":"x"},"finish_reason":%s}]}\n\n' % (
            index,
            finish.encode(),
        )

    cut, _ = read([event(0, '"stop"'), event(1, "null")])
    assert cut.failure is not None
    whole, _ = read([event(0, '"stop"'), event(1, '"length"')])
    assert (whole.failure, whole.finish_reason) == (None, "stop")


def test_an_empty_stream_is_cut() -> None:
    reader, _ = read([])
    assert reader.failure is not None


def test_what_came_is_estimated_by_events_or_bytes() -> None:
    def reader_after(*contents: str) -> OpenAIStreamReader:
        events = [json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}) for text in contents]
        return read([f"data: {event}\n\n".encode() for event in events])[0]

    assert reader_after("a", "b", "c").output_tokens_estimate() == 3
    assert reader_after("x" * 400).output_tokens_estimate() == 100
    assert reader_after().output_tokens_estimate() == 0


def test_the_last_of_several_usages_counts() -> None:
    choices = [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]
    events = [{"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": count}} for count in (1, 2)]
    reader, _ = read([f"data: {json.dumps(event)}\n\n".encode() for event in events])
    assert reader.usage == Usage(input_tokens=5, output_tokens=2)
