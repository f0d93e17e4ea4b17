"""What the surfaces share: a call made of a connection, its reply, and errors in the caller's words.

A surface is a `Wire` (its words) and a list of routes. Invariant: the endpoints leave every decision to
the pipeline; headers and body are read only once it is known who calls.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final
from uuid import UUID

from litestar import asgi
from litestar.handlers import BaseRouteHandler
from litestar.types import Receive, Send
from litestar.types import Scope as Connection
from uuid_utils.compat import uuid7

from app.gateway.call import Call, ChatRequest, Headers, Refused, Reply
from app.gateway.errors import ClientGone, MethodNotAllowed
from app.http.asgi import HangUp, RequestHeaders, header, headers_of, read_body, send_reply
from app.http.hints import client_request_id, idempotency_key, read_hints
from app.http.replies import WriteError, error_reply
from app.providers import RequestBody, read_facts
from app.routing import AUTO
from billing import digest

NAMED_POLICY_PREFIX: Final = f"{AUTO}/"

Endpoint = Callable[[UUID, Connection, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One surface's words. `decode` reads a body, with what the headers add to it; it raises BodyInvalid."""

    name: str
    decode: Callable[[bytes, RequestHeaders], RequestBody]
    error_body: WriteError
    error_event: Callable[[Exception, UUID], bytes]


class CallReader:
    """Makes calls of connections, for one surface."""

    def __init__(self, wire: Wire, *, body_bytes_max: int) -> None:
        self._wire = wire
        self._body_bytes_max = body_bytes_max

    def call(
        self,
        request_id: UUID,
        scope: Connection,
        receive: Receive,
        hang_up: HangUp | None = None,
        *,
        operation_name: str = "chat",
    ) -> Call:
        """The call; its body is read when the pipeline asks for it, and a stream's client watched from then on."""
        headers = headers_of(scope)
        once_key = idempotency_key(headers) if b"idempotency-key" in headers else None

        async def read() -> ChatRequest:
            hints = read_hints(headers)
            raw = await read_body(headers, receive, limit_bytes=self._body_bytes_max)
            body = self._wire.decode(raw, headers)
            if body.is_streamed and hang_up is not None:
                hang_up.watch()
            facts = read_facts(
                body,
                tags=hints.tags,
                metadata=hints.metadata,
                policy_name=hints.policy_name or _named_policy(body.model),
                cost_nano_usd_max=hints.cost_nano_usd_max,
                no_fallback=hints.no_fallback,
                session=hints.session,
            )
            return ChatRequest(body=body, facts=facts, hints=hints, body_hash=digest(raw) if once_key else b"")

        return Call(
            request_id=request_id,
            surface=self._wire.name,
            presented_key=presented_key(headers),
            client_request_id=client_request_id(headers),
            received_at=monotonic(),
            read=read,
            error_event=self._wire.error_event,
            operation_name=operation_name,
            idempotency_key=once_key,
        )


async def answer_call(
    answer: Callable[[Call], Awaitable[Reply]], call: Callable[[HangUp], Call], receive: Receive, send: Send
) -> None:
    """Answer a call that may stream, and stop when its client hangs up or reads no more."""
    hang_up = HangUp(receive)
    try:
        await send_reply(await answer(call(hang_up)), hang_up.timed(send))
    except asyncio.CancelledError:
        if not hang_up.has_happened:
            raise
    finally:
        hang_up.stop()


def asgi_route(wire: Wire, path: str, endpoints: dict[str, Endpoint]) -> BaseRouteHandler:
    """Put endpoints behind their methods and the one place where errors become answers."""
    methods = ", ".join(endpoints)

    async def handle(scope: Connection, receive: Receive, send: Send) -> None:
        request_id = uuid7()
        try:
            endpoint = endpoints.get(str(scope.get("method")))
            if endpoint is None:
                raise MethodNotAllowed(path, methods)
            await endpoint(request_id, scope, receive, send)
        except Refused as refused:
            if not isinstance(refused.error, ClientGone):
                await send_reply(error_reply(refused.error, request_id, refused.headers, wire.error_body), send)
        except ClientGone:
            return
        except Exception as error:  # the edge: what nobody named is a fault, logged and told as one
            await send_reply(error_reply(error, request_id, ids_of(request_id, scope), wire.error_body), send)

    return asgi(path, copy_scope=False)(handle)


def presented_key(headers: RequestHeaders) -> str | None:
    """The API key, from wherever an SDK puts it."""
    bearer = headers.get(b"authorization", b"")
    if bearer[:7].lower() == b"bearer ":
        return bearer[7:].strip().decode("latin-1")
    return header(headers, b"x-api-key") or header(headers, b"x-goog-api-key")


def ids_of(request_id: UUID, scope: Connection) -> Headers:
    """The ids that every reply carries."""
    own = str(request_id).encode()
    theirs = client_request_id(headers_of(scope))
    return [
        (b"x-signalbox-request-id", own),
        (b"x-request-id", own if theirs is None else theirs.encode()),
        (b"request-id", own),
    ]


def _named_policy(model: str) -> str | None:
    return model[len(NAMED_POLICY_PREFIX) :] if model.startswith(NAMED_POLICY_PREFIX) else None
