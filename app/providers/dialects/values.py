"""What every dialect reads off an answer, in no provider's words."""

from typing import Final, Protocol

import msgspec

from app.providers.errors import UpstreamError
from billing import Usage

NANO_USD_PER_USD: Final = 1_000_000_000


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer's facts; `usage` is None when the provider did not say."""

    usage: Usage | None
    finish_reason: str | None
    response_id: str | None
    model: str | None
    output_bytes: int = 0  # of the generated text, to estimate by when there is no usage


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """The amounts shown to the caller beside the usage; None: unknown, and then left out."""

    billed_nano_usd: int | None = None
    saved_nano_usd: int | None = None


class StreamReader(Protocol):
    """Reads one stream as it passes. One per attempt; `failure` set means: stop, nothing more is forwarded."""

    response_id: str | None
    model: str | None
    finish_reason: str | None
    has_content: bool
    failure: UpstreamError | None

    @property
    def usage(self) -> Usage | None:
        """What the provider counted so far; flagged as estimated where a part of it is our own count."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes from the provider; return whole events for the caller."""
        ...

    def close(self) -> None:
        """Say that the provider closed the stream; sets `failure` when it was cut."""
        ...

    def ending(self, usage: Usage, cost: Cost) -> bytes:
        """The last events, withheld until the request is settled."""
        ...

    def output_tokens_estimate(self) -> int:
        """How many tokens came, to charge by when the provider's own count never did."""
        ...


def usd(nano_usd: int) -> bytes:
    """Write nano-USD as an exact JSON number of dollars."""
    if nano_usd < 0:
        return b"-" + usd(-nano_usd)
    return (b"%d.%09d" % divmod(nano_usd, NANO_USD_PER_USD)).rstrip(b"0").rstrip(b".")
