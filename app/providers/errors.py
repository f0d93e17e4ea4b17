"""Errors of the providers' room. They carry facts, not HTTP, and never a key or a provider's body.

ProviderError
├── BodyInvalid          the caller's body does not hold; names the field
├── VendorUnknown        no row of the table of vendors has this name
├── AllowListInvalid     SIGNALBOX_UPSTREAM_ALLOW cannot be read
└── UpstreamError        one call to a provider failed; `kind` is what fallback decides on
    ├── AddressNotAllowed   a tenant's address leads where it may not
    ├── ConnectionsTaken    no connection came free for the tenant, and so nothing was sent
    ├── ConnectFailed       no connection, and so nothing was sent
    ├── ConnectionLost      the connection broke before an answer; the provider may have done the work
    ├── UpstreamTimeout     a time-out, with its phase
    ├── StreamCut           the answer began and broke off
    ├── AnswerTooLarge      the answer is larger than we accept
    ├── AnswerMalformed     the answer is not what its dialect promises
    └── UpstreamRefused     the provider answered with an error of its own
"""

from enum import StrEnum
from typing import Final, Literal

# `first_token` is the patience of a routing rule; the others are limits of the transport.
TimeoutPhase = Literal["connect", "first_byte", "idle", "total", "first_token"]


class FailureKind(StrEnum):
    """Why a call failed, in words that hold for every provider; the attempt's `error_type`."""

    ADDRESS = "address_not_allowed"
    TAKEN = "connections_taken"
    CONNECT = "connect_failed"
    LOST = "connection_lost"
    TIMEOUT = "timeout"
    CUT = "stream_cut"
    TOO_LARGE = "answer_too_large"
    MALFORMED = "answer_malformed"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    OUT_OF_CREDIT = "out_of_credit"  # the credential's own account at the provider is used up
    AUTH = "auth"
    MODEL_NOT_FOUND = "model_not_found"
    CONTEXT_EXCEEDED = "context_exceeded"
    CONTENT_REFUSED = "content_refused"
    INVALID = "invalid"
    SERVER = "server"


# Statuses that blame the request, and so may come with a message that repeats what the caller wrote.
BLAMING_STATUSES: Final = frozenset({400, 404, 409, 413, 415, 422})
# Kinds after which nothing is left alone that other requests use.
KINDS_OF_ONE_REQUEST: Final = frozenset({FailureKind.CONTEXT_EXCEEDED, FailureKind.CONTENT_REFUSED})


class ProviderError(Exception):
    """The root."""


class BodyInvalid(ProviderError):
    """The caller's body does not hold. `param` is the field's path; None when the body as a whole is at fault."""

    def __init__(self, param: str | None, message: str) -> None:
        super().__init__(message)
        self.param = param
        self.message = message


class VendorUnknown(ProviderError):
    """No row of the table of vendors has this name."""


class AllowListInvalid(ProviderError):
    """SIGNALBOX_UPSTREAM_ALLOW cannot be read."""


class UpstreamError(ProviderError):
    """One call to a provider failed."""

    kind: FailureKind = FailureKind.SERVER


class AddressNotAllowed(UpstreamError):
    """A tenant's address leads where it may not."""

    kind = FailureKind.ADDRESS


class ConnectionsTaken(UpstreamError):
    """No connection came free for the tenant in time, and so nothing was sent."""

    kind = FailureKind.TAKEN

    def __init__(self) -> None:
        super().__init__(
            "No connection to the provider came free for this tenant in time. Let some calls end, and retry."
        )


class ConnectFailed(UpstreamError):
    """No connection was made, and so nothing was sent."""

    kind = FailureKind.CONNECT


class ConnectionLost(UpstreamError):
    """The connection broke before an answer. The provider may have done, and charged, the work."""

    kind = FailureKind.LOST


class UpstreamTimeout(UpstreamError):
    """The provider was too slow."""

    kind = FailureKind.TIMEOUT

    def __init__(self, phase: TimeoutPhase, limit_s: float) -> None:
        super().__init__(f"The provider did not answer in time: {phase} time-out of {limit_s:.3g} s.")
        self.phase = phase
        self.limit_s = limit_s


class StreamCut(UpstreamError):
    """The answer began and broke off."""

    kind = FailureKind.CUT


class AnswerTooLarge(UpstreamError):
    """The answer is larger than we accept."""

    kind = FailureKind.TOO_LARGE


class AnswerMalformed(UpstreamError):
    """The answer is not what its dialect promises."""

    kind = FailureKind.MALFORMED


class UpstreamRefused(UpstreamError):
    """The provider answered with an error. `code` and `param` are short identifiers, never its prose.

    `status` is 200 when the error stood inside a stream or an answer that had begun well. `retry_after_s`
    is set by whoever read the response's headers.
    """

    retry_after_s: float | None = None

    def __init__(self, kind: FailureKind, status: int, *, code: str | None = None, param: str | None = None) -> None:
        details = "".join(f", {name} '{value}'" for name, value in (("code", code), ("parameter", param)) if value)
        super().__init__(f"The provider refused the call: {kind.value.replace('_', ' ')} (status {status}{details}).")
        self.kind = kind
        self.status = status
        self.code = code
        self.param = param
