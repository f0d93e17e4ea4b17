"""What a stranger may send before a key is looked at, over a socket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from app.http.bounded_head import HEAD_BYTES_MAX, BoundedHeadProtocol

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Hasty(BoundedHeadProtocol):
    """It waits for no head longer than a moment."""

    head_s_max = 0.2


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the length of the body."""
    size, has_more = 0, True
    while has_more:
        message = await receive()
        size, has_more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = b"%d bytes" % size
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def client() -> AsyncIterator[Streams]:
    config = uvicorn.Config(echo, http=Hasty, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    running = asyncio.create_task(server._serve([listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    yield reader, writer
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    server.should_exit = True
    await running


async def test_requests_after_one_another_are_answered_however_their_heads_are_cut(client: Streams) -> None:
    reader, writer = client
    request = HEAD + b"content-length: 200000\r\n\r\n" + b"x" * 200_000
    for cut in (7, 60, 150_000):
        writer.write(request[:cut])
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(request[cut:])
        assert (await reader.readuntil(b"200000 bytes")).startswith(b"HTTP/1.1 200")


async def test_a_head_without_an_end_is_refused(client: Streams) -> None:
    reader, writer = client
    writer.write(HEAD + b"x-a: ")
    sent = 0
    while not reader.at_eof() and sent < 64 * HEAD_BYTES_MAX:
        writer.write(b"a" * 16_384)
        sent += 16_384
        await asyncio.sleep(0)
        if reader._buffer:  # type: ignore[attr-defined]  # has it been answered?
            break
    assert (await reader.read(12)) == b"HTTP/1.1 400"
    assert sent < 64 * HEAD_BYTES_MAX


@pytest.mark.parametrize("beginning", [b"", b"POST / HT", HEAD])
async def test_a_client_that_does_not_go_on_is_let_go(client: Streams, beginning: bytes) -> None:
    reader, writer = client
    writer.write(beginning)
    async with asyncio.timeout(5):
        assert await reader.read() == b""


async def test_a_body_may_take_longer_than_a_head(client: Streams) -> None:
    reader, writer = client
    writer.write(HEAD + b"content-length: 2\r\n\r\na")
    await asyncio.sleep(0.4)
    writer.write(b"b")
    assert (await reader.readuntil(b"2 bytes")).startswith(b"HTTP/1.1 200")
