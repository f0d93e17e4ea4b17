"""OpenAI's surface: `/v1/chat/completions` and `/v1/models`, with our `/v1/route` and `/v1/requests/{id}` beside them.

The endpoints speak ASGI and leave every decision to the pipeline. Invariant: whatever goes wrong, the
caller reads an error of OpenAI's shape with the request's id, also inside a stream.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final
from uuid import UUID

import msgspec
import structlog
from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Send
from litestar.types import Scope as Connection
from uuid_utils.compat import uuid7

from app.errors import FAULT, message_of, retry_after_s, row_of
from app.gateway.call import Call, ChatRequest, Headers, Refused
from app.gateway.errors import HeaderInvalid, RequestUnknown
from app.gateway.pipeline import Pipeline
from app.http.asgi import ClientGone, HangUp, header, read_body, send_body, send_reply
from app.http.hints import read_client_request_id, read_hints
from app.http.openai_models import list_models
from app.providers import BodyInvalid, decode_chat, read_facts
from app.routing import decision_json
from billing import find_request
from tenants import Database, Scope

JSON: Final = (b"content-type", b"application/json")
NAMED_POLICY_PREFIX: Final = "auto/"
log = structlog.get_logger(__name__)

Endpoint = Callable[[UUID, Connection, Receive, Send], Awaitable[None]]


class OpenAISurface:
    """The endpoints of the surface over one pipeline."""

    def __init__(self, pipeline: Pipeline, database: Database, *, body_bytes_max: int) -> None:
        self._pipeline = pipeline
        self._database = database
        self._body_bytes_max = body_bytes_max

    def routes(self) -> list[ASGIRouteHandler]:
        """The routes, for the application."""
        return [
            _route("/v1/chat/completions", "POST", self._chat),
            _route("/v1/route", "POST", self._explain),
            _route("/v1/models", "GET", self._models),
            _route("/v1/requests/{wanted_id:str}", "GET", self._request),
        ]

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
        await send_body(send, 200, [JSON, *_ids(request_id, None)], decision_json(decision))

    async def _models(self, request_id: UUID, scope: Connection, receive: Receive, send: Send) -> None:
        principal = await self._pipeline.authenticate(_presented_key(scope), Scope.MODELS_CALL)
        view = await self._pipeline.view(principal.tenant_id)
        await send_body(send, 200, [JSON, *_ids(request_id, None)], list_models(view))

    async def _request(self, request_id: UUID, scope: Connection, receive: Receive, send: Send) -> None:
        principal = await self._pipeline.authenticate(_presented_key(scope), Scope.MODELS_CALL)
        wanted = str(scope["path_params"]["wanted_id"])
        async with self._database.tenant(principal.tenant_id) as session:
            stored = await find_request(session, principal.tenant_id, _uuid(wanted))
        # A key reads its own project's requests; of others it does not even learn that they exist.
        if stored is None or stored.project_id != principal.project_id:
            raise RequestUnknown(wanted)
        await send_body(send, 200, [JSON, *_ids(request_id, None)], msgspec.json.encode(stored))

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


def error_event(error: Exception, request_id: UUID) -> bytes:
    """An error inside a stream that has begun; no `[DONE]` follows it."""
    return b"data: " + error_body(error, request_id) + b"\n\n"


def error_body(error: BaseException, request_id: UUID) -> bytes:
    """An error as OpenAI's SDKs read it."""
    row = row_of(error)
    return msgspec.json.encode(
        {
            "error": {
                "message": message_of(error),
                "type": row.type,
                "param": error.param if isinstance(error, BodyInvalid) else None,
                "code": row.code,
                "metadata": {"request_id": str(request_id)},
            }
        }
    )


def _route(path: str, method: str, endpoint: Endpoint) -> ASGIRouteHandler:
    """Put an endpoint behind its method and the one place where errors become answers."""

    async def handle(scope: Connection, receive: Receive, send: Send) -> None:
        request_id = uuid7()
        if scope.get("method") != method:
            headers = [(b"allow", method.encode())]
            await _send_error(send, _MethodNotAllowed(path, method), request_id, headers, status=405)
            return
        try:
            await endpoint(request_id, scope, receive, send)
        except ClientGone:
            return
        except Refused as refused:
            await _send_error(send, refused.error, request_id, refused.headers)
        except Exception as error:  # the edge: what nobody named is a fault, logged and told as one
            await _send_error(send, error, request_id, _ids(request_id, _client_id(scope)))

    return asgi(path, copy_scope=False)(handle)


class _MethodNotAllowed(Exception):
    def __init__(self, path: str, method: str) -> None:
        super().__init__(f"{path} takes {method}.")


async def _send_error(
    send: Send, error: BaseException, request_id: UUID, headers: Headers, status: int | None = None
) -> None:
    row = row_of(error)
    if row is FAULT:
        log.error("request_failed", request_id=str(request_id), error_type=type(error).__name__, exc_info=error)
    extra: Headers = [JSON]
    if (wait_s := retry_after_s(error)) is not None:
        extra.append((b"retry-after", str(wait_s).encode()))
    if not row.may_retry:
        extra.append((b"x-should-retry", b"false"))
    await send_body(send, status or row.status, [*headers, *extra], error_body(error, request_id))


def _presented_key(scope: Connection) -> str | None:
    """The key, from any of the places where official SDKs put theirs."""
    bearer = header(scope, b"authorization")
    if bearer is not None:
        scheme, _, key = bearer.partition(" ")
        return key.strip() if scheme.lower() == "bearer" else None
    return header(scope, b"x-api-key") or header(scope, b"x-goog-api-key")


def _client_id(scope: Connection) -> str | None:
    try:
        return read_client_request_id(scope)
    except HeaderInvalid:
        return None


def _ids(request_id: UUID, client_request_id: str | None) -> Headers:
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
