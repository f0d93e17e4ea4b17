"""OpenAI's surface: `/v1/chat/completions` and `/v1/models`, with our `/v1/route` and `/v1/requests/{id}` beside them.

The endpoints leave every decision to the pipeline. Invariant: whatever goes wrong, the caller reads an
error of OpenAI's shape with the request's id, also inside a stream.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from uuid import UUID

import msgspec
from litestar import Request, Response, asgi, get
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from litestar.types import Receive, Send
from litestar.types import Scope as Connection
from uuid_utils.compat import uuid7

from app.gateway.call import Call, ChatRequest, Headers, Refused
from app.gateway.errors import HeaderInvalid, MethodNotAllowed, RequestUnknown
from app.gateway.pipeline import Pipeline
from app.http.asgi import ClientGone, HangUp, header, read_body, send_body, send_reply
from app.http.hints import read_client_request_id, read_hints
from app.http.openai_errors import JSON, error_event, error_reply
from app.http.openai_models import AUTO, list_models
from app.providers import decode_chat, read_facts
from app.routing import decision_json
from billing import find_request
from tenants import Database, Scope

NAMED_POLICY_PREFIX = f"{AUTO}/"

Endpoint = Callable[[UUID, Connection, Receive, Send], Awaitable[None]]


class OpenAISurface:
    """The endpoints of the surface over one pipeline."""

    def __init__(self, pipeline: Pipeline, database: Database, *, body_bytes_max: int) -> None:
        self._pipeline = pipeline
        self._database = database
        self._body_bytes_max = body_bytes_max

    def routes(self) -> Sequence[BaseRouteHandler]:
        """The routes, for the application."""
        return (
            _asgi_route("/v1/chat/completions", "POST", self._chat),
            _asgi_route("/v1/route", "POST", self._explain),
            _asgi_route("/v1/models", "GET", self._models),
            # The framework's ASGI routes take no path parameters, and this one is not hot.
            get("/v1/requests/{wanted_id:str}")(self._request_route()),
        )

    async def _chat(self, request_id: UUID, scope: Connection, receive: Receive, send: Send) -> None:
        hang_up = HangUp(receive)
        try:
            call = await self._call(request_id, scope, receive, hang_up)
            await send_reply(await self._pipeline.answer(call), send)
        except asyncio.CancelledError:
            if not hang_up.has_happened:
                raise
        finally:
            hang_up.stop()

    async def _explain(self, request_id: UUID, scope: Connection, receive: Receive, send: Send) -> None:
        decision = await self._pipeline.explain(await self._call(request_id, scope, receive, HangUp(receive)))
        await send_body(send, 200, [JSON, *_ids(request_id, scope)], decision_json(decision))

    async def _models(self, request_id: UUID, scope: Connection, receive: Receive, send: Send) -> None:
        principal = await self._pipeline.authenticate(_presented_key(scope), Scope.MODELS_CALL)
        view = await self._pipeline.view(principal.tenant_id)
        await send_body(send, 200, [JSON, *_ids(request_id, scope)], list_models(view))

    def _request_route(self) -> Callable[..., Awaitable[Response[bytes]]]:
        async def show_request(request: Request, wanted_id: FromPath[str]) -> Response[bytes]:  # type: ignore[type-arg]  # no user, no auth
            request_id = uuid7()
            try:
                status, body = 200, await self._stored_request(request.scope, wanted_id)
            except Exception as error:  # the edge, as in `_asgi_route`
                reply = error_reply(error, request_id, [])
                status, body = reply.status, reply.body
            ids = {name.decode(): value.decode() for name, value in _ids(request_id, request.scope)}
            return Response(body, status_code=status, media_type="application/json", headers=ids)

        return show_request

    async def _stored_request(self, scope: Connection, wanted_id: str) -> bytes:
        principal = await self._pipeline.authenticate(_presented_key(scope), Scope.MODELS_CALL)
        async with self._database.tenant(principal.tenant_id) as session:
            stored = await find_request(session, principal.tenant_id, _uuid(wanted_id))
        # A key reads its own project's requests; of others it does not even learn that they exist.
        if stored is None or stored.project_id != principal.project_id:
            raise RequestUnknown(wanted_id)
        return msgspec.json.encode(stored)

    async def _call(self, request_id: UUID, scope: Connection, receive: Receive, hang_up: HangUp) -> Call:
        received_at = monotonic()
        hints = read_hints(scope)
        body = await read_body(scope, receive, limit_bytes=self._body_bytes_max)

        def read() -> ChatRequest:
            chat = decode_chat(body)
            if chat.is_streamed:
                hang_up.watch()
            named = chat.model[len(NAMED_POLICY_PREFIX) :] if chat.model.startswith(NAMED_POLICY_PREFIX) else None
            facts = read_facts(
                chat,
                tags=hints.tags,
                metadata=hints.metadata,
                policy_name=hints.policy_name or named,
                cost_nano_usd_max=hints.cost_nano_usd_max,
                no_fallback=hints.no_fallback,
            )
            return ChatRequest(body=chat, facts=facts, end_user=chat.end_user)

        return Call(
            request_id=request_id,
            surface="openai",
            presented_key=_presented_key(scope),
            client_request_id=read_client_request_id(scope),
            received_at=received_at,
            hints=hints,
            read=read,
            error_event=error_event,
        )


def _asgi_route(path: str, method: str, endpoint: Endpoint) -> BaseRouteHandler:
    """Put an endpoint behind its method and the one place where errors become answers."""

    async def handle(scope: Connection, receive: Receive, send: Send) -> None:
        request_id = uuid7()
        try:
            if scope.get("method") != method:
                raise MethodNotAllowed(path, method)
            await endpoint(request_id, scope, receive, send)
        except ClientGone:
            return
        except Refused as refused:
            await send_reply(error_reply(refused.error, request_id, refused.headers), send)
        except Exception as error:  # the edge: what nobody named is a fault, logged and told as one
            await send_reply(error_reply(error, request_id, _ids(request_id, scope)), send)

    return asgi(path, copy_scope=False)(handle)


def _presented_key(scope: Connection) -> str | None:
    """The key, from any of the places where official SDKs put theirs."""
    bearer = header(scope, b"authorization")
    if bearer is not None:
        scheme, _, key = bearer.partition(" ")
        return key.strip() if scheme.lower() == "bearer" else None
    return header(scope, b"x-api-key") or header(scope, b"x-goog-api-key")


def _ids(request_id: UUID, scope: Connection) -> Headers:
    try:
        client_request_id = read_client_request_id(scope)
    except HeaderInvalid:
        client_request_id = None
    ours = str(request_id)
    return [
        (b"x-signalbox-request-id", ours.encode()),
        (b"x-request-id", (client_request_id or ours).encode()),
    ]


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise RequestUnknown(text[:64]) from None
