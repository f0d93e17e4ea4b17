"""Reads Anthropic's stream as it passes through: facts out, whole events on.

One reader per attempt. Invariants: what is forwarded and what is read do not depend on where chunks were
cut; the events that end a message are withheld until `ending`, so that the caller's last byte follows the
settlement; after a failure nothing more is forwarded.
"""

from typing import Final

import msgspec

from app.providers.dialects.anthropic.answer import (
    STREAM_STATUS,
    UsageShape,
    decode_counts,
    decode_error,
    finish_of,
    usage_of,
    with_cost,
)
from app.providers.dialects.bounds import BYTES_PER_TOKEN_ESTIMATE
from app.providers.dialects.fields import NULL, UNREADABLE
from app.providers.dialects.sse import EventSplitter, read_event
from app.providers.dialects.values import Cost
from app.providers.errors import AnswerMalformed, AnswerTooLarge, StreamCut, UpstreamError
from billing import Usage

_EMPTY: Final = (NULL, msgspec.Raw(b'""'))
_LAST_EVENT: Final = b'{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null}}'
_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class _Message(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = NULL


class _Delta(msgspec.Struct):
    # Raw, because only the size matters.
    text: msgspec.Raw = NULL
    thinking: msgspec.Raw = NULL
    partial_json: msgspec.Raw = NULL
    signature: msgspec.Raw = NULL
    citation: msgspec.Raw = NULL
    content: msgspec.Raw = NULL
    stop_reason: str | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: msgspec.Raw = NULL
    data: msgspec.Raw = NULL  # redacted thinking comes whole


class _Event(msgspec.Struct):
    type: str
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: msgspec.Raw = NULL


_NO_DELTA: Final = _Delta()
_NO_BLOCK: Final = _Block()
_decode: Final = msgspec.json.Decoder(_Event).decode


class AnthropicStreamReader:
    """The StreamReader of Anthropic's dialect. Every stream tells its usage, whether or not the caller wants it."""

    def __init__(self, *, wants_usage: bool) -> None:
        self.response_id: str | None = None
        self.model: str | None = None
        self.finish_reason: str | None = None
        self.has_content = False
        self.failure: UpstreamError | None = None
        self._splitter = EventSplitter()
        self._counts = UsageShape()
        self._is_counted = False
        self._last_event: bytes | None = None
        self._is_done = False
        self._content_events = 0
        self._content_bytes = 0

    @property
    def usage(self) -> Usage | None:
        """What Anthropic counted; before its last count the input alone is its own, the output ours."""
        counts = self._counts
        if self._is_counted or counts.input_tokens is None:
            return usage_of(counts)
        output_tokens = max(counts.output_tokens or 0, self.output_tokens_estimate())
        usage = usage_of(msgspec.structs.replace(counts, output_tokens=output_tokens))
        return usage and msgspec.structs.replace(usage, is_estimated=True)

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes from the provider; return whole events for the caller."""
        forwarded: list[bytes] = []
        try:
            blocks = self._splitter.feed(chunk)
        except AnswerTooLarge as error:
            self.failure = self.failure or error
            return b""
        for block in blocks:
            if self.failure is not None or self._is_done:
                break
            forwarded.append(self._read(block))
        return b"".join(forwarded)

    def close(self) -> None:
        """Say that the provider closed the stream; sets `failure` when it was cut."""
        if self.failure is None and not self._is_done and self._last_event is None:
            self.failure = StreamCut("The provider's stream broke off before its end.")

    def ending(self, usage: Usage, cost: Cost) -> bytes:
        """The event that tells why the model stopped, with usage and amounts, and the one that ends the stream."""
        last = with_cost(self._last_event or _LAST_EVENT, usage, cost)
        return b"event: message_delta\ndata: " + last + b"\n\n" + _STOP

    def output_tokens_estimate(self) -> int:
        """How many tokens came: an event holds one or more, and about four bytes make one."""
        return max(self._content_events, -(-self._content_bytes // BYTES_PER_TOKEN_ESTIMATE))

    def _read(self, block: bytes) -> bytes:
        """Read one event; return what is now for the caller."""
        data = read_event(block).data
        if not data:
            return block + b"\n\n"  # a comment that keeps the connection alive
        try:
            event = _decode(data)
        except UNREADABLE:
            self.failure = AnswerMalformed("An event of the provider's stream is not an event of a message.")
            return b""
        match event.type:
            case "content_block_delta" | "content_block_start":
                self._read_content(event)
            case "message_start" if event.message is not None:
                self.response_id, self.model = event.message.id, event.message.model
                self._add_counts(event.message.usage)
            case "message_delta":
                return self._read_last(event, block, data)
            case "message_stop":
                self._is_done = True
                return b""
            case "error":
                self.failure = decode_error(STREAM_STATUS, data)
                return b""
        return block + b"\n\n"

    def _read_last(self, event: _Event, block: bytes, data: bytes) -> bytes:
        """Keep what ends the message. A part of it that tells no reason, only counts, passes."""
        has_output_count = self._add_counts(event.usage)
        if event.delta is None or event.delta.stop_reason is None:
            return block + b"\n\n"
        self._is_counted = has_output_count
        self.finish_reason = finish_of(event.delta.stop_reason)
        self._last_event = data
        return b""

    def _read_content(self, event: _Event) -> None:
        size = _content_bytes(event)
        if size is not None:
            self.has_content = True
            self._content_events += 1
            self._content_bytes += size

    def _add_counts(self, raw: msgspec.Raw) -> bool:
        """Lay later counts over earlier ones, each of the whole message so far; True when the output's is told."""
        later = decode_counts(raw) or UsageShape()
        told = {name: count for name in UsageShape.__struct_fields__ if (count := getattr(later, name)) is not None}
        self._counts = msgspec.structs.replace(self._counts, **told)
        return later.output_tokens is not None


def _content_bytes(event: _Event) -> int | None:
    """How much of generated text an event holds; None when it is no content at all."""
    delta, begun = event.delta or _NO_DELTA, event.content_block or _NO_BLOCK
    size = 0
    for text in (delta.text, delta.thinking, delta.partial_json, begun.text, begun.data):
        if text is not NULL and text not in _EMPTY:  # most are absent, which is seen faster than it is compared
            size += len(text) - len(b'""')
    if size:
        return size
    return 0 if any(mark not in _EMPTY for mark in (delta.signature, delta.citation, delta.content)) else None
