"""What every answer of the management API carries: its request's id, and that nobody keeps or guesses it.

Invariant: an answer and the log line of its fault name the same id.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from litestar.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

REQUEST_ID_KEY: Final = "request_id"


def request_id_of(scope: Scope) -> UUID:
    """Our id of this request, made when it is first asked for."""
    request_id: UUID = scope["state"].setdefault(REQUEST_ID_KEY, uuid7())
    return request_id


def marks_of(scope: Scope) -> Mapping[str, str]:
    """The headers of every answer. Some answers hold a key, so that no cache may keep any."""
    return {
        "x-signalbox-request-id": str(request_id_of(scope)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }


def marked(app: ASGIApp) -> ASGIApp:
    """The routes behind it, with the marks on whatever they answer."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                marks = [(name.encode(), value.encode()) for name, value in marks_of(scope).items()]
                message["headers"] = [*message["headers"], *marks]
            await send(message)

        await app(scope, receive, send_marked)

    return answer
