"""The fast mock for the bench: a bare asyncio protocol that answers chat completions, whole and streamed.

Run as `python -m tests.load.upstream PORT`. It answers at once and does no work, so that what the bench
measures is the gateway.
"""

import asyncio
import json
import sys
from typing import cast

import httptools
import uvloop

USAGE = {"prompt_tokens": 20, "completion_tokens": 20, "total_tokens": 40}
STREAM_EVENTS = 100


def whole() -> bytes:
    """One answer, headers included."""
    message = {"role": "assistant", "content": "An answer of about twenty tokens, as the usage below says it is."}
    body = json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4o-mini",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": USAGE,
        }
    ).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def stream() -> list[bytes]:
    """A stream, event by event, each a chunk of its own."""

    def event(**fields: object) -> bytes:
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini", **fields}
        data = b"data: " + json.dumps(chunk).encode() + b"\n\n"
        return f"{len(data):x}\r\n".encode() + data + b"\r\n"

    delta = [{"index": 0, "delta": {"content": " word"}, "finish_reason": None}]
    last = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    events = [event(choices=delta) for _ in range(STREAM_EVENTS)]
    done = b"data: [DONE]\n\n"
    end = f"{len(done):x}\r\n".encode() + done + b"\r\n0\r\n\r\n"
    return [head, *events, event(choices=last), event(choices=[], usage=USAGE), end]


WHOLE = whole()
STREAM = stream()


class Upstream(asyncio.Protocol):
    """One connection, kept alive."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class is no subclass
        self.parser = httptools.HttpRequestParser(self)
        self.is_streamed = False

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        """A new request."""
        self.is_streamed = False

    def on_body(self, body: bytes) -> None:
        """Look only for what decides the form of the answer."""
        self.is_streamed = self.is_streamed or b'"stream":true' in body

    def on_message_complete(self) -> None:
        """Answer."""
        if self.is_streamed:
            asyncio.get_running_loop().create_task(self._stream())
        else:
            self.transport.write(WHOLE)

    async def _stream(self) -> None:
        for chunk in STREAM:
            self.transport.write(chunk)
            await asyncio.sleep(0)


async def main(port: int) -> None:
    """Serve until ended."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
