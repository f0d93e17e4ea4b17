"""The load of the bench: keep-alive connections over bare asyncio, cheap enough to share a core with the mock.

Run as `python -m tests.load.client URL MODEL CONNECTIONS SECONDS [--rate N] [--stream] [--header NAME:VALUE]…`;
prints one JSON line. Invariant: an answer counts when its status is 200 and, streamed, its end came.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import SplitResult, urlsplit

import httptools
import uvloop

from tests.load.processes import core_busy_s
from tests.load.prompts import pool

OUTPUT_TOKENS_MAX: Final = 256
# The last words of a stream in OpenAI's language and in Anthropic's.
ENDS: Final = (b"data: [DONE]", b"message_stop")
TAIL_BYTES: Final = 512
BODY_BYTES_TOLD_MAX: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is asked, and how."""

    url: str
    model: str
    is_streamed: bool = False
    headers: Sequence[tuple[str, str]] = ()

    @property
    def address(self) -> SplitResult:
        """Host, port and path."""
        return urlsplit(self.url)

    def request(self, prompt: str) -> bytes:
        """A whole request; the limit on output is what both languages know."""
        body = json.dumps(
            {
                "model": self.model,
                "max_tokens": OUTPUT_TOKENS_MAX,
                "messages": [{"role": "user", "content": prompt}],
                **({"stream": True} if self.is_streamed else {}),
            },
            separators=(",", ":"),
        ).encode()
        lines = [
            f"POST {self.address.path} HTTP/1.1",
            f"host: {self.address.netloc}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection(asyncio.Protocol):
    """One request after another; `ask` returns when the answer is whole."""

    def __init__(self, *, is_streamed: bool) -> None:
        self._is_streamed = is_streamed
        self._answered: asyncio.Future[bool] | None = None
        self._tail = b""
        self.events = 0
        self.status: int | None = None
        self.body = b""  # of the last answer, its first piece

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class is no subclass
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, error: Exception | None) -> None:
        """A lost answer is an error."""
        self._tell(is_good=False)

    def ask(self, request: bytes) -> asyncio.Future[bool]:
        """Send a request; whether it was answered well."""
        self._answered = asyncio.get_running_loop().create_future()
        if self.transport.is_closing():
            self._tell(is_good=False)
        else:
            self.transport.write(request)
        return self._answered

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        if self._is_streamed:
            self.events += data.count(b"data: ")
            self._tail = (self._tail + data)[-TAIL_BYTES:]
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Keep what may have to be told."""
        self.body = body

    def on_message_complete(self) -> None:
        """The answer is whole."""
        is_whole = not self._is_streamed or any(end in self._tail for end in ENDS)
        self.status = self._parser.get_status_code()
        self._tell(is_good=is_whole and self.status == 200)
        self._parser = httptools.HttpResponseParser(self)
        self._tail = b""

    def _tell(self, *, is_good: bool) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(is_good)


class Load:
    """Connections that ask for a while, as fast as answers come or at a given rate."""

    def __init__(self, target: Target, *, connections: int, rate_per_s: float | None) -> None:
        self._target = target
        self._connections = connections
        self._rate_per_s = rate_per_s
        self._requests: Iterator[bytes] = itertools.cycle([target.request(prompt) for prompt in pool()])
        self._latencies_ms: list[float] = []
        self._failures = 0

    async def run(self, seconds: float) -> dict[str, Any]:
        """Ask for that long; counts and latencies."""
        opened = [await self.opened() for _ in range(self._connections)]
        busy_s, began = core_busy_s(), time.perf_counter()
        await asyncio.gather(
            *(self._keep_asking(each, place, began, began + seconds) for place, each in enumerate(opened))
        )
        took_s = time.perf_counter() - began
        for connection in opened:
            connection.transport.close()
        ordered = sorted(self._latencies_ms)
        return {
            "answered": len(ordered),
            "failures": self._failures,
            "seconds": took_s,
            "p50_ms": ordered[len(ordered) // 2] if ordered else None,
            "p99_ms": ordered[len(ordered) * 99 // 100] if ordered else None,
            "events": sum(connection.events for connection in opened),
            "core_busy_s": core_busy_s() - busy_s,
        }

    async def opened(self) -> Connection:
        """A connection to ask on."""
        loop, address = asyncio.get_running_loop(), self._target.address
        made = lambda: Connection(is_streamed=self._target.is_streamed)  # noqa: E731 - a factory of one line
        return (await loop.create_connection(made, address.hostname, address.port))[1]

    async def _keep_asking(self, connection: Connection, place: int, began: float, ends: float) -> None:
        due = began + (place / self._rate_per_s if self._rate_per_s else 0.0)
        while time.perf_counter() < ends:
            started = time.perf_counter()
            if self._rate_per_s:
                if started < due:
                    await asyncio.sleep(due - started)
                    started = time.perf_counter()
                else:
                    started = due  # a gateway that stalls is not spared the wait of the requests behind
                due += self._connections / self._rate_per_s
            if await connection.ask(next(self._requests)):
                self._latencies_ms.append((time.perf_counter() - started) * 1000)
            else:
                self._failures += 1
                if connection.transport.is_closing():
                    connection = await self.opened()


async def complaint(target: Target, *, timeout_s: float) -> str | None:
    """Ask once; what was wrong with the answer, None if nothing was."""
    try:
        connection = await Load(target, connections=1, rate_per_s=None).opened()
    except OSError as error:
        return repr(error)
    try:
        async with asyncio.timeout(timeout_s):
            is_good = await connection.ask(target.request(pool()[0]))
    except TimeoutError:
        return f"nothing for {timeout_s:.0f} s"
    finally:
        connection.transport.close()
    return None if is_good else f"status {connection.status}: {connection.body[:BODY_BYTES_TOLD_MAX].decode()}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("model")
    parser.add_argument("connections", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--header", action="append", default=[])
    a = parser.parse_args()
    headers = [tuple(header.split(":", 1)) for header in a.header]
    target = Target(url=a.url, model=a.model, is_streamed=a.stream, headers=headers)
    told = uvloop.run(Load(target, connections=a.connections, rate_per_s=a.rate).run(a.seconds))
    sys.stdout.write(json.dumps(told) + "\n")
