"""What passes between a surface and the pipeline: the call that came in, the reply that goes out.

A surface (one file in `app/http/`) knows its wire format; the pipeline knows none.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from uuid import UUID

import msgspec

from app.providers import RequestBody
from app.routing import RequestFacts


class Hints(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller's headers say. They may narrow a route, never widen it."""

    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    policy_name: str | None = None
    session: str | None = None
    cost_nano_usd_max: int | None = None
    no_fallback: bool = False


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as read: the body in its dialect, and what routing needs to know of it."""

    body: RequestBody
    facts: RequestFacts
    hints: Hints = Hints()
    body_hash: bytes = b""  # of a call with an idempotency key


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it reached a surface.

    `read` takes the headers and the body, once it is known who calls; it raises HeaderInvalid, BodyInvalid,
    BodyTooLarge, BodyTooSlow or ClientGone. `error_event` writes an error into a stream that has begun, in
    the surface's dialect.
    """

    request_id: UUID
    surface: str
    presented_key: str | None
    client_request_id: str | None
    received_at: float  # monotonic, seconds
    read: Callable[[], Awaitable[ChatRequest]]
    error_event: Callable[[Exception, UUID], bytes]
    operation_name: str = "chat"
    idempotency_key: bytes | None = None


Headers = list[tuple[bytes, bytes]]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a call: a body, or a stream that settles before its last bytes."""

    status: int
    headers: Headers
    body: bytes = b""
    stream: AsyncGenerator[bytes, None] | None = None


class Refused(Exception):
    """A call that got an error, with the headers that its reply carries; `error` is of the domain folders."""

    def __init__(self, error: BaseException, headers: Headers) -> None:
        super().__init__(str(error))
        self.error = error
        self.headers = headers
