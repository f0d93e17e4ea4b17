"""The fast mock for the bench: a bare asyncio protocol that answers in OpenAI's words and in Anthropic's.

Run as `python -m tests.load.upstream PORT`; the path decides the language, `"stream":true` the form. It
answers at once and does no work, so that what the bench measures is the gateway.
"""

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import httptools
import uvloop

TEXT: Final = "An answer of about twenty tokens, as the usage below says it is."
INPUT_TOKENS: Final = 300
OUTPUT_TOKENS: Final = 20
STREAM_TOKENS: Final = 100  # one to an event
ANTHROPIC_PATH: Final = b"/messages"

Event = tuple[str | None, Mapping[str, Any]]  # name and data


@dataclass(frozen=True, slots=True)
class Wire:
    """One language's two answers: a whole one, headers included, and a stream, event by event."""

    whole: bytes
    stream: tuple[bytes, ...]


def openai_wire() -> Wire:
    """Chat completions."""
    message = {"role": "assistant", "content": TEXT}
    answer = _openai("chat.completion", [{"index": 0, "message": message, "finish_reason": "stop"}], OUTPUT_TOKENS)
    deltas = [{"index": 0, "delta": {"content": " word"}, "finish_reason": None}]
    last = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    chunk = "chat.completion.chunk"
    events: list[Event] = [(None, _openai(chunk, deltas))] * STREAM_TOKENS
    events += [(None, _openai(chunk, last)), (None, _openai(chunk, [], STREAM_TOKENS))]
    return Wire(_whole(answer), _stream(events, end=b"data: [DONE]\n\n"))


def anthropic_wire() -> Wire:
    """Messages."""
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " word"}}
    stopped = {"stop_reason": "end_turn", "stop_sequence": None}
    events: list[Event] = [
        _named(type="message_start", message=_anthropic([], None, 1)),
        _named(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *[_named(**delta)] * STREAM_TOKENS,
        _named(type="content_block_stop", index=0),
        _named(type="message_delta", delta=stopped, usage={"output_tokens": STREAM_TOKENS}),
        _named(type="message_stop"),
    ]
    return Wire(_whole(_anthropic([{"type": "text", "text": TEXT}], "end_turn", OUTPUT_TOKENS)), _stream(events))


def _openai(kind: str, choices: list[dict[str, Any]], output_tokens: int | None = None) -> dict[str, Any]:
    told = {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "gpt-4o-mini", "choices": choices}
    if output_tokens is None:
        return told
    total = INPUT_TOKENS + output_tokens
    usage = {"prompt_tokens": INPUT_TOKENS, "completion_tokens": output_tokens, "total_tokens": total}
    return told | {"usage": usage}


def _anthropic(content: list[dict[str, Any]], stop_reason: str | None, output_tokens: int) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": output_tokens},
    }


def _named(**data: object) -> Event:
    return str(data["type"]), data


def _whole(answer: Mapping[str, Any]) -> bytes:
    body = json.dumps(answer).encode()
    return f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def _stream(events: Iterable[Event], end: bytes = b"") -> tuple[bytes, ...]:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = [_chunk((f"event: {name}\n" if name else "") + f"data: {json.dumps(data)}\n\n") for name, data in events]
    last = (_chunk(end.decode()) if end else b"") + b"0\r\n\r\n"
    return (head, *chunks, last)


def _chunk(text: str) -> bytes:
    data = text.encode()
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


OPENAI: Final = openai_wire()
ANTHROPIC: Final = anthropic_wire()


class Upstream(asyncio.Protocol):
    """One connection, kept alive."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class is no subclass
        self.parser = httptools.HttpRequestParser(self)
        self.wire = OPENAI
        self.is_streamed = False

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """A new request, in one of the two languages."""
        self.wire = ANTHROPIC if ANTHROPIC_PATH in url else OPENAI
        self.is_streamed = False

    def on_body(self, body: bytes) -> None:
        """Look only for what decides the form of the answer; some clients write a blank after the colon."""
        self.is_streamed = self.is_streamed or b'"stream":true' in body or b'"stream": true' in body

    def on_message_complete(self) -> None:
        """Answer."""
        if self.is_streamed:
            asyncio.get_running_loop().create_task(self._stream(self.wire.stream))
        else:
            self.transport.write(self.wire.whole)

    async def _stream(self, chunks: tuple[bytes, ...]) -> None:
        for chunk in chunks:
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
