"""One HTTP exchange over ASGI: read the body, write the answer, notice when the client goes.

Invariant: every response carries `x-sandbox: simulated`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from app.sandbox.errors import CallerGone
from app.sandbox.models import SIMULATED_HEADER


class Exchange:
    """One request and its response."""

    def __init__(
        self, scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        self.headers: Mapping[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        self._receive = receive
        self._send = send
        self._gone: asyncio.Task[None] | None = None

    def header(self, name: str) -> str | None:
        """A request header by its lower-case name."""
        return self.headers.get(name)

    async def body(self, bytes_max: int) -> bytes:
        """Read the whole body; what is beyond the limit is dropped."""
        parts, size = [], 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return b""
            part = message.get("body", b"")
            size += len(part)
            if size <= bytes_max:
                parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)

    async def respond(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole JSON response. Raises CallerGone if nobody is there to take it."""
        await self.start(
            status, {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
        )
        await self.write(body, is_last=True)

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers."""
        name, value = SIMULATED_HEADER
        lines = [(key.encode(), text.encode()) for key, text in {**headers, name: value}.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": lines})

    async def write(self, body: bytes, *, is_last: bool = False) -> None:
        """Send a part of the body. Raises CallerGone."""
        self.raise_if_gone()
        await self._send({"type": "http.response.body", "body": body, "more_body": not is_last})

    async def wait(self, seconds: float) -> None:
        """Let time pass. Raises CallerGone as soon as the client goes."""
        watch = self._watch()
        if seconds > 0:
            await asyncio.wait({watch}, timeout=seconds)
        else:
            await asyncio.sleep(0)
        self.raise_if_gone()

    def raise_if_gone(self) -> None:
        """Raise CallerGone if the client was seen to go."""
        if self._gone is not None and self._gone.done():
            raise CallerGone

    async def end(self) -> None:
        """Stop watching the client."""
        if self._gone is not None:
            self._gone.cancel()
            await asyncio.gather(self._gone, return_exceptions=True)

    def _watch(self) -> asyncio.Task[None]:
        if self._gone is None:
            self._gone = asyncio.create_task(self._until_gone())
        return self._gone

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
