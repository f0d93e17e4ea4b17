"""Anthropic's surface: `/v1/messages` and `/v1/messages/count_tokens`."""

from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

from litestar.handlers import BaseRouteHandler
from litestar.types import Receive, Send
from litestar.types import Scope as Connection

from app.gateway.pipeline import Pipeline
from app.http.anthropic_errors import error_body, error_event
from app.http.asgi import RequestHeaders, header, send_reply
from app.http.surface import CallReader, Wire, answer_call, asgi_route
from app.providers import RequestBody, decode_messages

COUNT_OPERATION: Final = "count_tokens"
# The only version there is; curl users leave the header out.
VERSION_UNSAID: Final = "2023-06-01"


def _decode(raw: bytes, headers: RequestHeaders) -> RequestBody:
    return decode_messages(raw, betas=_betas(headers), version=_version(headers))


def _decode_count(raw: bytes, headers: RequestHeaders) -> RequestBody:
    return decode_messages(raw, betas=_betas(headers), version=_version(headers), is_count=True)


def _version(headers: RequestHeaders) -> str:
    return header(headers, b"anthropic-version") or VERSION_UNSAID


def _betas(headers: RequestHeaders) -> tuple[str, ...]:
    """The caller's `anthropic-beta`, which is a list."""
    listed = header(headers, b"anthropic-beta") or ""
    return tuple(beta for part in listed.split(",") if (beta := part.strip()))


MESSAGES: Final = Wire(name="anthropic", decode=_decode, error_body=error_body, error_event=error_event)
COUNTS: Final = Wire(name="anthropic", decode=_decode_count, error_body=error_body, error_event=error_event)


class AnthropicSurface:
    """The endpoints of the surface over one pipeline."""

    def __init__(self, pipeline: Pipeline, *, body_bytes_max: int) -> None:
        self._pipeline = pipeline
        self._messages_reader = CallReader(MESSAGES, body_bytes_max=body_bytes_max)
        self._counts_reader = CallReader(COUNTS, body_bytes_max=body_bytes_max)

    def routes(self) -> Sequence[BaseRouteHandler]:
        """The routes, for the application."""
        return (
            asgi_route(MESSAGES, "/v1/messages", {"POST": self._messages}),
            asgi_route(COUNTS, "/v1/messages/count_tokens", {"POST": self._count}),
        )

    async def _messages(self, request_id: UUID, scope: Connection, receive: Receive, send: Send) -> None:
        call = partial(self._messages_reader.call, request_id, scope, receive)
        await answer_call(self._pipeline.answer, call, receive, send)

    async def _count(self, request_id: UUID, scope: Connection, receive: Receive, send: Send) -> None:
        call = self._counts_reader.call(request_id, scope, receive, operation_name=COUNT_OPERATION)
        await send_reply(await self._pipeline.count_tokens(call), send)
