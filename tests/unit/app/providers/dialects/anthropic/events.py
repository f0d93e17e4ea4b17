"""Anthropic's events, and what readers, writers and the SDK make of them."""

import json
from collections.abc import Sequence
from typing import Any

import pydantic
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import ParsedMessage, RawMessageStreamEvent

from app.providers import Cost
from app.providers.dialects.anthropic.deltas import AnthropicDeltaReader, AnthropicDeltaWriter
from app.providers.dialects.completion import (
    Delta,
    Started,
)
from app.providers.dialects.sse import Event, EventSplitter, read_event
from billing import Usage

USAGE = Usage(input_tokens=100, output_tokens=20, cache_read_input_tokens=60)
COST = Cost(billed_nano_usd=1_250_000, saved_nano_usd=7)
STARTED = Started("msg_1", "claude-opus-5", input_usage=Usage(input_tokens=9, output_tokens=1))
EVENT: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(RawMessageStreamEvent)


def event(kind: str, **fields: Any) -> Event:
    return Event(kind.encode(), json.dumps({"type": kind, **fields}).encode())


def message_start(**usage: int) -> Event:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5", "content": []}
    return event("message_start", message={**message, "usage": {"input_tokens": 8, "output_tokens": 1, **usage}})


def start(index: int, **block: Any) -> Event:
    return event("content_block_start", index=index, content_block=block)


def change(index: int, kind: str, **delta: Any) -> Event:
    return event("content_block_delta", index=index, delta={"type": kind, **delta})


def stop(index: int) -> Event:
    return event("content_block_stop", index=index)


def read(*events: Event) -> tuple[AnthropicDeltaReader, list[Delta]]:
    reader = AnthropicDeltaReader()
    return reader, [delta for one in events for delta in reader.read(one)]


def deltas(*events: Event) -> list[Delta]:
    reader, found = read(*events)
    assert reader.failure is None
    return found


def write(*groups: Sequence[Delta], usage: Usage = USAGE, cost: Cost = COST) -> bytes:
    writer = AnthropicDeltaWriter(wants_usage=True)
    return b"".join(writer.write(group) for group in groups) + writer.ending(usage, cost)


def events_of(stream: bytes) -> list[Event]:
    splitter = EventSplitter()
    events = [read_event(block) for block in splitter.feed(stream)]
    assert splitter.rest() == b""
    return events


def accumulated(stream: bytes) -> ParsedMessage[None]:
    """What the SDK makes of a stream, after its rules of order were checked."""
    message: ParsedMessage[None] | None = None
    buffers: dict[int, bytes] = {}
    open_block = None
    for name, data in events_of(stream):
        fields = json.loads(data)
        assert fields["type"] == name.decode()
        if name == b"ping":
            continue
        match fields["type"]:
            case "content_block_start":
                assert open_block is None
                assert message is not None
                assert fields["index"] == len(message.content)
                open_block = fields["index"]
            case "content_block_delta":
                assert fields["index"] == open_block
            case "content_block_stop":
                assert fields["index"] == open_block
                open_block = None
            case "message_delta":
                assert open_block is None
        message = accumulate_event(event=EVENT.validate_python(fields), current_snapshot=message, json_bufs=buffers)
    assert fields["type"] == "message_stop"
    assert message is not None
    return message


def blocks(*found: Delta) -> list[Any]:
    content = accumulated(write(found)).content
    return [{k: v for k, v in block.to_dict().items() if k != "parsed_output"} for block in content]
