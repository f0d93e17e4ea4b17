"""What a dialect consists of, as types: its native functions, and its way to and from the common form.

`table` fills the rows, `translation` puts two of them together. The gateway sees an `Interpreter` alone.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from app.providers.dialects.completion import Completion, Delta
from app.providers.dialects.conversation import Conversation, Encoded
from app.providers.dialects.sse import Event
from app.providers.dialects.values import Answer, Cost, StreamReader
from app.providers.errors import UpstreamError, UpstreamRefused
from app.providers.vendors import DialectName, Vendor
from app.routing.candidate import Feature
from app.routing.decision import RequestFacts
from billing import Usage


class RequestBody(Protocol):
    """A checked request, in whatever dialect it came; `raw` holds the bytes as they came."""

    @property
    def dialect(self) -> DialectName:
        """The dialect it came in."""
        ...

    @property
    def raw(self) -> bytes:
        """The bytes as they came."""
        ...

    @property
    def model(self) -> str:
        """The model that the caller names."""
        ...

    @property
    def is_streamed(self) -> bool:
        """Whether a stream is asked for."""
        ...

    @property
    def wants_usage(self) -> bool:
        """Whether the caller asked for usage in the stream."""
        ...

    @property
    def end_user(self) -> str | None:
        """The caller's own user."""
        ...


class EncodeRequest(Protocol):
    """Write a checked request in the vendor's words. `body` is the dialect's own class."""

    def __call__(self, body: Any, *, model: str, output_tokens_limit: int | None, vendor: Vendor) -> Encoded: ...


class FactsOf(Protocol):
    """Read what routing needs off a checked request's body; the hints of its headers are laid over by `read_facts`."""

    def __call__(self, body: Any) -> RequestFacts: ...


class DecodeAnswer(Protocol):
    """Read a whole answer's facts. Raises AnswerMalformed, or UpstreamRefused for an error inside a 200."""

    def __call__(self, raw: bytes) -> Answer: ...


class DecodeError(Protocol):
    """Read a refusal's kind; the provider's prose is not kept."""

    def __call__(self, status: int, raw: bytes) -> UpstreamRefused: ...


class ReadStream(Protocol):
    """Open a reader for one stream that is passed on in its own dialect."""

    def __call__(self, *, wants_usage: bool) -> StreamReader: ...


class WithCost(Protocol):
    """Write the amounts into a whole answer of the dialect. Never fails: what cannot be written into passes."""

    def __call__(self, raw: bytes, usage: Usage, cost: Cost) -> bytes: ...


class ReadConversation(Protocol):
    """Read a checked request of the dialect's own class into the common form."""

    def __call__(self, body: Any) -> Conversation: ...


class WriteConversation(Protocol):
    """Write the common form in the dialect's words; `output_tokens_limit` None: the caller's own, or none."""

    def __call__(
        self, conversation: Conversation, *, model: str, output_tokens_limit: int | None, vendor: Vendor
    ) -> Encoded: ...


class ReadCompletion(Protocol):
    """Read a whole answer into the common form. Raises AnswerMalformed, or UpstreamRefused."""

    def __call__(self, raw: bytes) -> Completion: ...


class WriteCompletion(Protocol):
    """Write a whole answer, with usage and amounts, in the dialect's words."""

    def __call__(self, completion: Completion, usage: Usage, cost: Cost) -> bytes: ...


class DeltaReader(Protocol):
    """Reads one provider's stream, event by event, into the common form. One per attempt."""

    usage: Usage | None  # of the whole answer; flagged as estimated while its output was not counted to the end
    failure: UpstreamError | None  # set: stop, the stream is broken
    is_done: bool  # the provider said that the stream is complete

    def read(self, event: Event) -> Sequence[Delta]:
        """The deltas of one event; empty, and `failure` set, when it is an error or makes no sense."""
        ...


class DeltaWriter(Protocol):
    """Writes one stream for a caller. One per attempt; withholds what must follow the settlement."""

    def write(self, deltas: Sequence[Delta]) -> bytes:
        """Whole events for the caller."""
        ...

    def ending(self, usage: Usage, cost: Cost) -> bytes:
        """The last events, with usage and amounts."""
        ...


class OpenDeltaWriter(Protocol):
    """Open a writer for one stream."""

    def __call__(self, *, wants_usage: bool) -> DeltaWriter: ...


class OpenDeltaReader(Protocol):
    """Open a reader for one stream."""

    def __call__(self) -> DeltaReader: ...


class CommonForm(msgspec.Struct, frozen=True, kw_only=True):
    """A dialect's way to and from the common form."""

    read_conversation: ReadConversation
    write_conversation: WriteConversation
    read_completion: ReadCompletion
    write_completion: WriteCompletion
    read_deltas: OpenDeltaReader
    write_deltas: OpenDeltaWriter


class DecodeCount(Protocol):
    """Read how many input tokens a provider counted. Raises AnswerMalformed."""

    def __call__(self, raw: bytes) -> int: ...


class TokenCount(msgspec.Struct, frozen=True, kw_only=True):
    """A dialect's free way to ask how many tokens a request has; `path` as in `Dialect`."""

    path: str
    decode: DecodeCount


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One provider language; `path` is joined to a vendor's base address."""

    name: DialectName
    path: str
    features: frozenset[Feature]  # what it can say beyond the common ground
    image_tokens_max: int | None = None  # of any image; None: the table of the caller's dialect holds
    facts_of: FactsOf
    encode_request: EncodeRequest
    decode_answer: DecodeAnswer
    decode_error: DecodeError
    read_stream: ReadStream
    with_cost: WithCost
    common: CommonForm
    token_count: TokenCount | None = None


class Interpreter(Protocol):
    """What stands between one caller and one provider: the gateway calls nothing else of a dialect."""

    path: str

    def encode_request(
        self, body: RequestBody, *, model: str, output_tokens_limit: int | None, vendor: Vendor
    ) -> Encoded:
        """Write the caller's request in the provider's words."""
        ...

    def decode_answer(self, raw: bytes) -> Answer:
        """Read the facts of the provider's whole answer."""
        ...

    def decode_error(self, status: int, raw: bytes) -> UpstreamRefused:
        """Read the provider's refusal."""
        ...

    def read_stream(self, *, wants_usage: bool) -> StreamReader:
        """Open a reader that gives the caller's events."""
        ...

    def write_answer(self, raw: bytes, usage: Usage, cost: Cost) -> bytes:
        """Give the provider's whole answer in the caller's words, with the amounts."""
        ...
