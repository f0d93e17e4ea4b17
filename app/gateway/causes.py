"""What a failed attempt means: whether the next candidate is tried, and how the request ends if none is left."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from app.gateway.errors import UpstreamRejected, UpstreamUnreachable
from app.gateway.exchange import Exchange
from app.providers import FailureKind, UpstreamError, UpstreamRefused, UpstreamTimeout
from billing import Outcome

RETRY_AFTER_S_MAX: Final = 3600
RETRY_AFTER_DIGITS_MAX: Final = 9


class Move(StrEnum):
    """What to do after a failure."""

    NEXT = "next"
    STOP = "stop"


# What the caller sent is at fault in these: another candidate of the same kind would refuse it too.
STOPS: Final = frozenset({FailureKind.INVALID, FailureKind.CONTENT_REFUSED})

# The status the caller reads when the last candidate failed so; what is the platform's own affair reads as 502.
STATUS_BY_KIND: Final = {
    FailureKind.INVALID: 400,
    FailureKind.CONTENT_REFUSED: 400,
    FailureKind.CONTEXT_EXCEEDED: 400,
    FailureKind.RATE_LIMITED: 429,
    FailureKind.OVERLOADED: 503,
}


def move_after(error: UpstreamError) -> Move:
    """Whether a failure moves on to the next candidate."""
    return Move.STOP if error.kind in STOPS else Move.NEXT


def outcome_of(error: UpstreamError) -> Outcome:
    """How an attempt ended that failed so."""
    return Outcome.UPSTREAM_TIMEOUT if error.kind is FailureKind.TIMEOUT else Outcome.UPSTREAM_ERROR


def read_retry_after(headers: Mapping[str, str]) -> int | None:
    """Whole seconds that a provider asks to wait, bounded; None when it does not say or says it as a date."""
    value = headers.get("retry-after", "")
    is_seconds = value.isdecimal() and len(value) <= RETRY_AFTER_DIGITS_MAX
    return min(int(value), RETRY_AFTER_S_MAX) if is_seconds else None


def exhausted(exchange: Exchange, error: UpstreamError) -> UpstreamRejected | UpstreamUnreachable:
    """The request's error when `error` ended its last attempt."""
    last = exchange.attempts[-1]
    candidate = f"{last.provider_name}/{last.model}"
    tried = f"{len(exchange.attempts)} attempt{'s' if len(exchange.attempts) != 1 else ''}"
    message = f"No provider answered after {tried}; the last, {candidate}: {error}"
    if isinstance(error, UpstreamRefused):
        return UpstreamRejected(
            message,
            status=STATUS_BY_KIND.get(error.kind, 502),
            kind=error.kind,
            candidate=candidate,
            retry_after_s=error.retry_after_s,
        )
    return UpstreamUnreachable(message, is_timeout=isinstance(error, UpstreamTimeout), candidate=candidate)
