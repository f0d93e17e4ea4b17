"""Interpreters: a dialect with itself, byte for byte, and two dialects by way of the common form.

`table` makes one for each pair. Invariant: an interpreter holds no state; a stream's is in its reader.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from app.providers.dialects.completion import (
    Delta,
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
from app.providers.dialects.conversation import Encoded
from app.providers.dialects.shape import DeltaReader, DeltaWriter, Dialect, RequestBody
from app.providers.dialects.sse import EventSplitter, read_event
from app.providers.dialects.values import Answer, Cost, StreamReader
from app.providers.errors import AnswerMalformed, AnswerTooLarge, BodyInvalid, StreamCut, UpstreamError, UpstreamRefused
from app.providers.vendors import Vendor
from billing import Usage

_BYTES_PER_TOKEN_ESTIMATE: Final = 4


class Native:
    """Caller and provider speak the same dialect: what the gateway does not need to read passes as it came."""

    def __init__(self, dialect: Dialect) -> None:
        self.path = dialect.path
        self._dialect = dialect

    def encode_request(
        self, body: RequestBody, *, model: str, output_tokens_limit: int | None, vendor: Vendor
    ) -> Encoded:
        """Write the request with the vendor's model and limit."""
        return self._dialect.encode_request(body, model=model, output_tokens_limit=output_tokens_limit, vendor=vendor)

    def decode_answer(self, raw: bytes) -> Answer:
        """Read the facts of the whole answer."""
        return self._dialect.decode_answer(raw)

    def decode_error(self, status: int, raw: bytes) -> UpstreamRefused:
        """Read the refusal."""
        return self._dialect.decode_error(status, raw)

    def read_stream(self, *, wants_usage: bool) -> StreamReader:
        """Open a reader that passes events on."""
        return self._dialect.read_stream(wants_usage=wants_usage)

    def write_answer(self, raw: bytes, usage: Usage, cost: Cost) -> bytes:
        """Give the answer with the amounts."""
        return self._dialect.with_cost(raw, usage, cost)


class Translation:
    """Caller and provider speak different dialects: everything goes through the common form."""

    def __init__(self, caller: Dialect, provider: Dialect) -> None:
        self.path = provider.path
        self._caller = caller.common
        self._provider = provider

    def encode_request(
        self, body: RequestBody, *, model: str, output_tokens_limit: int | None, vendor: Vendor
    ) -> Encoded:
        """Write the request in the provider's words. Raises BodyInvalid for what the caller's dialect forbids."""
        try:
            conversation = self._caller.read_conversation(body)
            return self._provider.common.write_conversation(
                conversation, model=model, output_tokens_limit=output_tokens_limit, vendor=vendor
            )
        except UnicodeDecodeError:  # in a text that was skipped until now
            raise BodyInvalid(None, "The body is not valid JSON: not UTF-8.") from None

    def decode_answer(self, raw: bytes) -> Answer:
        """Read the facts of the whole answer, and whether `write_answer` will find it readable."""
        answer = self._provider.decode_answer(raw)
        # It is written when the request is settled and can no longer move on: what is wrong must show here.
        self._provider.common.read_completion(raw)
        try:
            raw.decode()  # arguments of calls are passed on unread
        except UnicodeDecodeError:
            raise AnswerMalformed("The provider's answer is not UTF-8.") from None
        return answer

    def decode_error(self, status: int, raw: bytes) -> UpstreamRefused:
        """Read the refusal."""
        return self._provider.decode_error(status, raw)

    def read_stream(self, *, wants_usage: bool) -> StreamReader:
        """Open a reader that writes the caller's events."""
        return TranslatingReader(
            self._provider.common.read_deltas(), self._caller.write_deltas(wants_usage=wants_usage)
        )

    def write_answer(self, raw: bytes, usage: Usage, cost: Cost) -> bytes:
        """Give the answer in the caller's words, with the amounts."""
        return self._caller.write_completion(self._provider.common.read_completion(raw), usage, cost)


class TranslatingReader:
    """The StreamReader of two dialects: a provider's events in, a caller's events out.

    Invariants, as of a native reader: nothing depends on where chunks were cut, and after a failure nothing more
    is forwarded.
    """

    def __init__(self, reader: DeltaReader, writer: DeltaWriter) -> None:
        self.response_id: str | None = None
        self.model: str | None = None
        self.finish_reason: str | None = None
        self.has_content = False
        self.failure: UpstreamError | None = None
        self._reader = reader
        self._writer = writer
        self._splitter = EventSplitter()
        self._content_events = 0
        self._content_bytes = 0
        self._tail = b""  # of a last event that came without its blank line

    @property
    def usage(self) -> Usage | None:
        """What the provider counted; before its last count of the output, that is at least our own."""
        usage = self._reader.usage
        if usage is None or not usage.is_estimated:
            return usage
        return msgspec.structs.replace(usage, output_tokens=max(usage.output_tokens, self.output_tokens_estimate()))

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes from the provider; return whole events for the caller."""
        try:
            blocks = self._splitter.feed(chunk)
        except AnswerTooLarge as error:
            self.failure = self.failure or error
            return b""
        return b"".join([self._translated(block) for block in blocks])

    def close(self) -> None:
        """Say that the provider closed the stream; sets `failure` when it was cut."""
        if self.failure is not None:
            return
        # Some vendors close after their last event without its blank line. Half an event is one that was cut.
        if not self._reader.is_done and (rest := self._splitter.rest()):
            self._tail = self._written(self._reader.read(read_event(rest)))
        if self.finish_reason is None:
            self.failure = StreamCut("The provider's stream broke off before its end.")

    def ending(self, usage: Usage, cost: Cost) -> bytes:
        """The last events, with usage and amounts."""
        return self._tail + self._writer.ending(usage, cost)

    def output_tokens_estimate(self) -> int:
        """How many tokens came: providers send about one to an event, and about four bytes make one."""
        return max(self._content_events, -(-self._content_bytes // _BYTES_PER_TOKEN_ESTIMATE))

    def _translated(self, block: bytes) -> bytes:
        if self.failure is not None or self._reader.is_done:
            return b""
        deltas = self._reader.read(read_event(block))
        if self._reader.failure is not None:
            self.failure = self._reader.failure
            return b""
        return self._written(deltas)

    def _written(self, deltas: Sequence[Delta]) -> bytes:
        for delta in deltas:
            self._note(delta)
        return self._writer.write(deltas)

    def _note(self, delta: Delta) -> None:
        match delta:
            case TextDelta() | RefusalDelta() | ThinkingDelta():
                self._count(delta.text)
            case ToolArgumentsDelta():
                self._count(delta.json_text)
            case ToolCallStarted():
                self._count(delta.name)
            case RedactedDelta():
                self._count("")  # what is encrypted has another length
            case Started():
                self.response_id, self.model = delta.response_id, delta.model
            case Finished():
                self.finish_reason = delta.finish
            case SignatureDelta() | KeepAlive():
                pass

    def _count(self, text: str) -> None:
        self.has_content = True
        self._content_events += 1
        self._content_bytes += len(text) if text.isascii() else len(text.encode())
