"""The table of causes: what each kind of failure means for the request, the breaker and the credential.

Read by `tries` and `health`, and where a request ends without an answer. Invariant: every kind has a row.
"""

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from app.gateway.errors import UpstreamRejected, UpstreamUnreachable
from app.gateway.exchange import Exchange
from app.providers import FailureKind, UpstreamError, UpstreamRefused, UpstreamTimeout
from billing import Outcome

RETRY_AFTER_S_MAX: Final = 3600.0
DIGITS_MAX: Final = 12
MS_PER_S: Final = 1000


class Move(StrEnum):
    """Where the request goes after a failure."""

    NEXT = "next"  # to another credential of the candidate, then to the next candidate
    LONGER = "longer"  # to a candidate with a longer context
    AS_POLICY_SAYS = "as policy says"  # to the next candidate if the policy allows it, else nowhere
    STOP = "stop"  # nowhere: any candidate would say the same


class Rest(StrEnum):
    """What is left alone for a while after a failure."""

    NOTHING = "nothing"
    MODEL = "model"  # this model behind this credential
    CREDENTIAL = "credential"  # everything behind this credential


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One row. `rest_s` holds where the provider names no time of its own."""

    move: Move = Move.NEXT
    may_repeat: bool = False  # the same candidate may answer if it is asked again
    trips_breaker: bool = False
    rest: Rest = Rest.NOTHING
    rest_s: float = 0.0
    alerts: bool = False  # somebody must act: the credential does not work


CAUSES: Final[Mapping[FailureKind, Cause]] = MappingProxyType(
    {
        FailureKind.INVALID: Cause(move=Move.STOP),
        FailureKind.CONTENT_REFUSED: Cause(move=Move.AS_POLICY_SAYS),
        FailureKind.CONTEXT_EXCEEDED: Cause(move=Move.LONGER),
        # A key may be right and still not have this one model.
        FailureKind.AUTH: Cause(rest=Rest.MODEL, rest_s=60.0, alerts=True),
        FailureKind.OUT_OF_CREDIT: Cause(rest=Rest.CREDENTIAL, rest_s=60.0, alerts=True),
        FailureKind.MODEL_NOT_FOUND: Cause(rest=Rest.MODEL, rest_s=60.0),
        FailureKind.RATE_LIMITED: Cause(may_repeat=True, rest=Rest.MODEL, rest_s=1.0),
        FailureKind.OVERLOADED: Cause(may_repeat=True, trips_breaker=True),
        FailureKind.SERVER: Cause(may_repeat=True, trips_breaker=True),
        # It says nothing of the provider: for other tenants there is room.
        FailureKind.TAKEN: Cause(),
        FailureKind.CONNECT: Cause(may_repeat=True, trips_breaker=True),
        FailureKind.LOST: Cause(may_repeat=True, trips_breaker=True),
        FailureKind.CUT: Cause(may_repeat=True, trips_breaker=True),
        FailureKind.MALFORMED: Cause(may_repeat=True, trips_breaker=True),
        FailureKind.TIMEOUT: Cause(trips_breaker=True),
        FailureKind.TOO_LARGE: Cause(),
        FailureKind.ADDRESS: Cause(rest=Rest.CREDENTIAL, rest_s=10.0),
    }
)

# The status the caller reads when the last candidate failed so; what is the platform's own affair reads as 502.
STATUS_BY_KIND: Final = {
    FailureKind.INVALID: 400,
    FailureKind.CONTENT_REFUSED: 400,
    FailureKind.CONTEXT_EXCEEDED: 400,
    FailureKind.RATE_LIMITED: 429,
    FailureKind.OVERLOADED: 503,
}


def outcome_of(error: UpstreamError) -> Outcome:
    """How an attempt ended that failed so."""
    return Outcome.UPSTREAM_TIMEOUT if error.kind is FailureKind.TIMEOUT else Outcome.UPSTREAM_ERROR


def is_impatience(error: BaseException) -> bool:
    """Whether a tenant's own rule gave a call up; that says nothing of the provider, which may well charge for it."""
    return isinstance(error, UpstreamTimeout) and error.phase == "first_token"


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a provider asks to wait, bounded; None when it does not say, or nothing that makes sense."""
    in_ms = _number(headers.get("retry-after-ms", ""))
    if in_ms is not None:
        return min(in_ms / MS_PER_S, RETRY_AFTER_S_MAX)
    value = headers.get("retry-after", "")
    wait_s = _number(value)
    if wait_s is None and value:
        wait_s = _until(value)
    return None if wait_s is None else min(wait_s, RETRY_AFTER_S_MAX)


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


def _number(text: str) -> float | None:
    is_number = len(text) <= DIGITS_MAX and text.isascii() and text.replace(".", "", 1).isdecimal()
    return float(text) if is_number else None


def _until(date: str) -> float | None:
    try:
        at = email.utils.parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
