"""Reads an OpenAI-shaped stream as it passes through: facts out, whole events on.

One reader per attempt. Invariants: what is forwarded and what is read do not depend on where chunks were
cut; `[DONE]` and the usage chunk are withheld until `ending`, so that the caller's last byte follows the
settlement; after a failure nothing more is forwarded.
"""

from typing import Final

import msgspec

from app.providers.dialects.bounds import BYTES_PER_TOKEN_ESTIMATE
from app.providers.dialects.fields import NULL, UNREADABLE, encode, without_amounts
from app.providers.dialects.openai.answer import decode_error, decode_usage, encode_usage, with_cost
from app.providers.dialects.sse import EventSplitter, read_event
from app.providers.dialects.values import Cost
from app.providers.errors import AnswerMalformed, AnswerTooLarge, StreamCut, UpstreamError
from billing import Usage

_DONE: Final = b"[DONE]"
_EMPTY: Final = (NULL, msgspec.Raw(b'""'), msgspec.Raw(b"[]"))


class _Delta(msgspec.Struct):
    # Raw, because vendors differ in what they put here and only the size matters.
    content: msgspec.Raw = NULL
    reasoning_content: msgspec.Raw = NULL
    reasoning: msgspec.Raw = NULL
    refusal: msgspec.Raw = NULL
    tool_calls: msgspec.Raw = NULL
    function_call: msgspec.Raw = NULL


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    created: int | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


_decode: Final = msgspec.json.Decoder(_Chunk).decode


class OpenAIStreamReader:
    """The StreamReader of OpenAI's dialect."""

    def __init__(self, *, wants_usage: bool) -> None:
        self.response_id: str | None = None
        self.model: str | None = None
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.has_content = False
        self.failure: UpstreamError | None = None
        self._wants_usage = wants_usage
        self._splitter = EventSplitter()
        self._created: int | None = None
        self._usage_chunk: bytes | None = None
        self._is_done = False
        self._open_choices: set[int] = set()
        self._finished_choices: set[int] = set()
        self._content_events = 0
        self._content_bytes = 0

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
        # Some vendors close after `[DONE]` without its blank line.
        if not self._is_done and read_event(self._splitter.rest()).data.strip() == _DONE:
            self._is_done = True
        has_finished = bool(self._open_choices) and self._open_choices == self._finished_choices
        if self.failure is None and not (self._is_done or has_finished):
            self.failure = StreamCut("The provider's stream broke off before its end.")

    def ending(self, usage: Usage, cost: Cost) -> bytes:
        """The usage chunk with the amounts, if the caller asked for it, and `[DONE]`."""
        chunk = with_cost(self._usage_chunk or self._own_usage_chunk(usage), usage, cost) if self._wants_usage else b""
        return (b"data: " + chunk + b"\n\n" if chunk else b"") + b"data: [DONE]\n\n"

    def output_tokens_estimate(self) -> int:
        """How many tokens came: vendors send about one to an event, and about four bytes make one."""
        return max(self._content_events, -(-self._content_bytes // BYTES_PER_TOKEN_ESTIMATE))

    def _read(self, block: bytes) -> bytes:
        """Read one event; return what is now for the caller."""
        data = read_event(block).data
        if not data:
            return block + b"\n\n"  # a comment that keeps the connection alive
        if data == _DONE:
            self._is_done = True
            return b""
        try:
            chunk = _decode(data)
            if chunk.error in _EMPTY:
                return self._read_chunk(chunk, block, data)
            self.failure = decode_error(200, data)
        except UNREADABLE:
            self.failure = AnswerMalformed("An event of the provider's stream is not a chat completion chunk.")
        return b""

    def _read_chunk(self, chunk: _Chunk, block: bytes, data: bytes) -> bytes:
        if self.response_id is None:
            self.response_id, self._created = chunk.id, chunk.created
        if self.model is None:
            self.model = chunk.model
        if chunk.usage != NULL:
            self.usage = decode_usage(chunk.usage) or self.usage
            if not chunk.choices:
                self._usage_chunk = data
                return b""
            if b"cost" in bytes(chunk.usage):  # what the vendor charges stands beside content, too
                block = b"data: " + without_amounts(data)
        for choice in chunk.choices or ():
            self._read_choice(choice)
        return block + b"\n\n"

    def _read_choice(self, choice: _Choice) -> None:
        self._open_choices.add(choice.index)
        if choice.finish_reason is not None:
            self._finished_choices.add(choice.index)
            if self.finish_reason is None or choice.index == 0:
                self.finish_reason = choice.finish_reason
        size = _content_bytes(choice.delta) if choice.delta is not None else 0
        if size:
            self.has_content = True
            self._content_events += 1
            self._content_bytes += size

    def _own_usage_chunk(self, usage: Usage) -> bytes:
        return encode(
            {
                "id": self.response_id or "",
                "object": "chat.completion.chunk",
                "created": self._created or 0,
                "model": self.model or "",
                "choices": [],
                "usage": encode_usage(usage),
            }
        )


def _content_bytes(delta: _Delta) -> int:
    size = 0
    for text in (delta.content, delta.reasoning_content, delta.reasoning, delta.refusal):
        if text is not NULL and text not in _EMPTY:  # most are absent, which is seen faster than it is compared
            size += len(text) - len(b'""')
    for calls in (delta.tool_calls, delta.function_call):
        if calls is not NULL and calls not in _EMPTY:
            size += len(calls)
    return size
