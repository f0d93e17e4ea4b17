"""The load of the bench: keep-alive connections over bare asyncio, cheap enough to share a core with the mock.

Run as `python -m tests.load.client URL KEY CONNECTIONS SECONDS [--rate N] [--stream]`; prints one JSON line.
"""

import argparse
import asyncio
import json
import sys
import time
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop

MESSAGE = "Tell me, in about twenty tokens, what a signal box is. " * 16  # a body of about 1 KB


class Connection(asyncio.Protocol):
    """One request after another; `ask` returns when the answer is whole."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.answered: asyncio.Future[int] | None = None
        self.events = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class is no subclass
        self.parser = httptools.HttpResponseParser(self)

    def connection_lost(self, error: Exception | None) -> None:
        """A lost answer is an error."""
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(0)

    def ask(self) -> asyncio.Future[int]:
        """Send the request; the status of its answer."""
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(self.request)
        return self.answered

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self.events += data.count(b"data: ")
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        status = self.parser.get_status_code()
        self.parser = httptools.HttpResponseParser(self)
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(status)


async def run(url: str, key: str, connections: int, seconds: float, rate: float | None, is_streamed: bool) -> dict:
    """Ask for a time; counts and latencies in milliseconds."""
    parts = urlsplit(url)
    body = json.dumps(
        {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": MESSAGE}]}
        | ({"stream": True} if is_streamed else {}),
        separators=(",", ":"),
    ).encode()
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    request = head.encode() + body
    opened = [
        (await loop.create_connection(lambda: Connection(request), parts.hostname, parts.port))[1]
        for _ in range(connections)
    ]
    latencies: list[float] = []
    failures = 0
    ends = time.perf_counter() + seconds
    began = time.perf_counter()

    async def keep_asking(connection: Connection, offset: float) -> None:
        nonlocal failures
        due = began + offset
        while (now := time.perf_counter()) < ends:
            if rate is not None:
                if due > now:
                    await asyncio.sleep(due - now)
                due += connections / rate
            started = time.perf_counter()
            if await connection.ask() == 200:
                latencies.append((time.perf_counter() - started) * 1000)
            else:
                failures += 1
                if connection.transport.is_closing():
                    return

    spacing = 1 / rate if rate else 0.0
    await asyncio.gather(*(keep_asking(connection, spacing * place) for place, connection in enumerate(opened)))
    took = time.perf_counter() - began
    for connection in opened:
        connection.transport.close()
    latencies.sort()
    return {
        "answered": len(latencies),
        "failures": failures,
        "per_s": round(len(latencies) / took, 1),
        "p50_ms": round(latencies[len(latencies) // 2], 3) if latencies else None,
        "p99_ms": round(latencies[len(latencies) * 99 // 100], 3) if latencies else None,
        "events": sum(connection.events for connection in opened),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("key")
    parser.add_argument("connections", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--stream", action="store_true")
    a = parser.parse_args()
    told = uvloop.run(run(a.url, a.key, a.connections, a.seconds, a.rate, a.stream))
    sys.stdout.write(json.dumps(told) + "\n")
