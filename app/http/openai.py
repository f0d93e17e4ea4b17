"""OpenAI's surface: `/v1/chat/completions`, with our `/v1/route`, `/v1/models` and `/v1/requests/{id}` beside it."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from uuid import UUID

import msgspec
from litestar import Request, Response, get
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from litestar.types import Receive, Send
from litestar.types import Scope as Connection
from uuid_utils.compat import uuid7

from app.gateway.errors import RequestUnknown
from app.gateway.pipeline import Pipeline
from app.http.asgi import RequestHeaders, headers_of, send_body
from app.http.models import list_models, list_models_for_anthropic
from app.http.openai_errors import error_body, error_event
from app.http.replies import JSON, error_reply
from app.http.request_view import request_view
from app.http.surface import CallReader, Wire, answer_call, asgi_route, ids_of, presented_key
from app.providers import RequestBody, decode_chat
from app.routing import decision_json
from billing import find_request
from tenants import Database, Scope


def _decode(raw: bytes, _: RequestHeaders) -> RequestBody:
    return decode_chat(raw)


WIRE = Wire(name="openai", decode=_decode, error_body=error_body, error_event=error_event)


class OpenAISurface:
    """The endpoints of the surface over one pipeline."""

    def __init__(self, pipeline: Pipeline, database: Database, *, body_bytes_max: int) -> None:
        self._pipeline = pipeline
        self._database = database
        self._reader = CallReader(WIRE, body_bytes_max=body_bytes_max)

    def routes(self) -> Sequence[BaseRouteHandler]:
        """The routes, for the application."""
        return (
            asgi_route(WIRE, "/v1/chat/completions", {"POST": self._chat}),
            asgi_route(WIRE, "/v1/route", {"POST": self._explain}),
            asgi_route(WIRE, "/v1/models", {"GET": self._models}),
            # The framework's ASGI routes take no path parameters, and this one is not hot.
            get("/v1/requests/{wanted_id:str}")(self._request_route()),
        )

    async def _chat(self, request_id: UUID, scope: Connection, receive: Receive, send: Send) -> None:
        call = partial(self._reader.call, request_id, scope, receive)
        await answer_call(self._pipeline.answer, call, receive, send)

    async def _explain(self, request_id: UUID, scope: Connection, receive: Receive, send: Send) -> None:
        decision = await self._pipeline.explain(self._reader.call(request_id, scope, receive))
        await send_body(send, 200, [JSON, *ids_of(request_id, scope)], decision_json(decision))

    async def _models(self, request_id: UUID, scope: Connection, receive: Receive, send: Send) -> None:
        principal = await self._pipeline.authenticate(presented_key(headers_of(scope)), Scope.MODELS_CALL)
        view = await self._pipeline.view(principal.tenant_id)
        is_anthropic = b"anthropic-version" in headers_of(scope)
        listed = list_models_for_anthropic(view) if is_anthropic else list_models(view)
        await send_body(send, 200, [JSON, *ids_of(request_id, scope)], listed)

    def _request_route(self) -> Callable[..., Awaitable[Response[bytes]]]:
        async def show_request(request: Request, wanted_id: FromPath[str]) -> Response[bytes]:  # type: ignore[type-arg]  # no user, no auth
            request_id = uuid7()
            try:
                status, body = 200, await self._stored_request(request.scope, wanted_id)
            except Exception as error:  # the edge, as in `asgi_route`
                reply = error_reply(error, request_id, [], error_body)
                status, body = reply.status, reply.body
            ids = {name.decode(): value.decode() for name, value in ids_of(request_id, request.scope)}
            return Response(body, status_code=status, media_type="application/json", headers=ids)

        return show_request

    async def _stored_request(self, scope: Connection, wanted_id: str) -> bytes:
        principal = await self._pipeline.authenticate(presented_key(headers_of(scope)), Scope.MODELS_CALL)
        async with self._database.tenant(principal.tenant_id) as session:
            stored = await find_request(session, principal.tenant_id, _uuid(wanted_id))
        # A key reads its own project's requests; of others it does not even learn that they exist.
        if stored is None or stored.project_id != principal.project_id:
            raise RequestUnknown(wanted_id)
        return msgspec.json.encode(request_view(stored))


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise RequestUnknown(text[:64]) from None
