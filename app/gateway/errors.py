"""Errors of the gateway. They carry facts, not HTTP.

GatewayError
├── KeyMissing           no API key came with the request
├── MethodNotAllowed     the route does not take this HTTP method
├── IdempotencyConflict  the idempotency-key came with another body before
├── RequestRunning       the request that came first under the idempotency-key still runs
├── AlreadyCompleted     the request that came first under the idempotency-key was answered
├── HeaderInvalid        a request header does not hold what it should
├── BodyTooLarge         the request's body is over the limit
├── RequestUnknown       no such request under this tenant
├── UpstreamRejected     a provider answered with an error, and no candidate is left to try
├── UpstreamUnreachable  no provider could be reached, or none answered in time
├── UpstreamResting      every candidate failed lately and is left alone for a moment
├── BodyTooSlow          the request's body did not come in time
├── ClientGone           the client hung up while its request was read; there is nobody to answer
└── StreamBroken         the answer broke after its first content
"""

import math
from uuid import UUID


class GatewayError(Exception):
    """The root."""


class KeyMissing(GatewayError):
    """No API key came with the request."""

    def __init__(self, prefix: str = "sbx_live_") -> None:
        super().__init__(f"No API key was sent. Send it as 'Authorization: Bearer {prefix}…'.")


class MethodNotAllowed(GatewayError):
    """The route does not take this HTTP method."""

    def __init__(self, path: str, allowed: str) -> None:
        super().__init__(f"{path} takes {allowed}.")
        self.allowed = allowed


class HeaderInvalid(GatewayError):
    """A request header does not hold what it should."""

    def __init__(self, header: str, expected: str) -> None:
        super().__init__(f"The header {header} must be {expected}.")
        self.header = header


class IdempotencyConflict(GatewayError):
    """The idempotency-key came with another body before."""

    def __init__(self) -> None:
        super().__init__(
            "This idempotency-key was sent with another body before; nothing was done. Send the same body again, "
            "or a new key for a new request."
        )


class RequestRunning(GatewayError):
    """The request that came first under the idempotency-key still runs, where it cannot be joined."""

    def __init__(self, retry_after_s: int = 1) -> None:
        super().__init__(
            f"The first request with this idempotency-key still runs; nothing was done. Retry in {retry_after_s} s."
        )
        self.retry_after_s = retry_after_s


class AlreadyCompleted(GatewayError):
    """The request that came first under the idempotency-key was answered, and its answer is not kept."""

    def __init__(self, request_id: UUID, where: str) -> None:
        super().__init__(
            f"The request with this idempotency-key was answered already, as {request_id}, and its answer is not "
            f"kept. Nothing was done again. {where}, or send a new key for a new request."
        )
        self.request_id = request_id


class BodyTooLarge(GatewayError):
    """The request's body is over the limit."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The request body is larger than the limit of {limit_bytes:,} bytes. Send less content.")
        self.limit_bytes = limit_bytes


class RequestUnknown(GatewayError):
    """No such request under this tenant."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"No request has the id '{request_id}' here. Ids stand in the header x-signalbox-request-id.")


class UpstreamRejected(GatewayError):
    """A provider answered with an error, and no candidate is left to try."""

    def __init__(
        self, message: str, *, status: int, kind: str, candidate: str, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.candidate = candidate
        self.retry_after_s = None if retry_after_s is None else max(1, math.ceil(retry_after_s))


class UpstreamUnreachable(GatewayError):
    """No provider could be reached, or none answered in time."""

    def __init__(self, message: str, *, is_timeout: bool, candidate: str) -> None:
        super().__init__(message)
        self.is_timeout = is_timeout
        self.candidate = candidate


class UpstreamResting(GatewayError):
    """Every candidate failed lately and is left alone for a moment; nothing was sent."""

    def __init__(self, candidates: tuple[str, ...], retry_after_s: float) -> None:
        super().__init__(
            f"Nothing was sent: {', '.join(candidates)} failed or refused calls lately and may be asked again in "
            f"{max(1, math.ceil(retry_after_s))} s. Retry then, or let the policy name another candidate."
        )
        self.retry_after_s = max(1, math.ceil(retry_after_s))


class BodyTooSlow(GatewayError):
    """The request's body did not come in time."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"The request body did not arrive within {limit_s:g} s. Send it without pauses.")


class ClientGone(GatewayError):
    """The client hung up while its request was read; there is nobody to answer."""


class StreamBroken(GatewayError):
    """The answer broke after its first content; what was sent so far is billed."""
