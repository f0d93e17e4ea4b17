"""Bytes in, bytes out: what every surface does with an ASGI connection.

The request path speaks ASGI itself and not the framework's request objects: they cost more than all
the gateway's own work (see DECISIONS).
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from litestar.types import Message, Receive, Scope, Send

from app.gateway.call import Headers, Reply
from app.gateway.errors import BodyTooLarge, BodyTooSlow, ClientGone

# A body that trickles in holds a connection and its memory; no client needs so long for one.
BODY_S_MAX: Final = 60.0
# A client that takes nothing of its stream for so long holds a provider's connection that others wait for.
UNREAD_S_MAX: Final = 30.0


class HangUp:
    """Cancels the task that answers a client when the client hangs up, or reads no more. Only for streams."""

    def __init__(self, receive: Receive, *, unread_s_max: float = UNREAD_S_MAX) -> None:
        self.has_happened = False
        self._receive = receive
        self._unread_s_max = unread_s_max
        self._unread_since: float | None = None
        self._answering: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Watch from now on, for the current task. The request's body must have been read."""
        self._answering = asyncio.current_task()
        self._watching = asyncio.create_task(self._wait())
        self._look_again()

    def timed(self, send: Send) -> Send:
        """The same `send`, with an eye on how long the client lets it wait."""
        now = asyncio.get_running_loop().time

        async def timed_send(message: Message) -> None:
            self._unread_since = now()
            await send(message)
            self._unread_since = None

        return timed_send

    def stop(self) -> None:
        """The answer is sent: nobody needs to be cancelled any more."""
        if self._watching is not None:
            self._watching.cancel()
        if self._alarm is not None:
            self._alarm.cancel()

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._cancel()

    def _look_again(self) -> None:
        # One clock for a whole stream: a time limit on each chunk would cost more than the chunk.
        self._alarm = asyncio.get_running_loop().call_later(self._unread_s_max / 4, self._look)

    def _look(self) -> None:
        since = self._unread_since
        if since is not None and asyncio.get_running_loop().time() - since >= self._unread_s_max:
            self._cancel()
        else:
            self._look_again()

    def _cancel(self) -> None:
        self.has_happened = True
        assert self._answering is not None
        self._answering.cancel()


RequestHeaders = Mapping[bytes, bytes]


def headers_of(scope: Scope) -> RequestHeaders:
    """The request's headers by their lower-case names; one that was sent twice is a list, as HTTP has it."""
    pairs = list(scope["headers"])
    headers = dict(pairs)
    if len(headers) == len(pairs):
        return headers
    values_of: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        values_of.setdefault(name, []).append(value)
    return {name: b", ".join(values) for name, values in values_of.items()}


def header(headers: RequestHeaders, name: bytes) -> str | None:
    """A header's text, `name` in lower case."""
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


async def read_body(headers: RequestHeaders, receive: Receive, *, limit_bytes: int) -> bytes:
    """The whole body.

    Raises BodyTooLarge as soon as the limit is passed, BodyTooSlow after BODY_S_MAX, ClientGone when it breaks off.
    """
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_S_MAX):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientGone("The client hung up before its request was whole.")
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit_bytes:
                    raise BodyTooLarge(limit_bytes)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except TimeoutError:
        raise BodyTooSlow(BODY_S_MAX) from None


async def send_reply(reply: Reply, send: Send) -> None:
    """Send a reply; a stream that is not sent to its end is closed, and so settles."""
    if reply.stream is None:
        await send_body(send, reply.status, reply.headers, reply.body)
        return
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        async for chunk in reply.stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        await reply.stream.aclose()


async def send_body(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole body."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})
