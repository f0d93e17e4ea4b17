"""Bodies that are large, slow, early or cut, in both directions."""

import asyncio
import socket
import struct

import pytest

from app.providers import (
    ConnectionLost,
    StreamCut,
    Transport,
    UpstreamCall,
    UpstreamError,
    UpstreamTimeout,
)
from app.providers.connection import READ_BYTES_MAX
from tests.integration.app.providers.calls import LONG_S, ask, call, open_sockets, turns
from tests.integration.app.providers.upstream import CHUNKED, Script, answering, chunk, upstream, whole

BIG = bytes(range(256)) * 40_960  # 10 MiB


async def test_a_body_without_a_length_is_read_to_the_end_of_the_connection(transport: Transport) -> None:
    parts = (b"HTTP/1.1 200 OK\r\n\r\n", b"one", 0.01, b"two")
    async with upstream(answering(*parts, then_close=True)) as server:
        assert await ask(transport, call(server.url)) == b"onetwo"
    assert await open_sockets(transport) == 0


async def test_a_body_without_a_length_that_is_reset_is_cut(transport: Transport) -> None:
    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\none")
        await writer.drain()
        await asyncio.sleep(0.02)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with upstream(reset) as server:
        with pytest.raises(StreamCut):
            await ask(transport, call(server.url))


@pytest.mark.parametrize(
    ("sent", "error"), [(b"", ConnectionLost), (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123", StreamCut)]
)
async def test_a_peer_that_shuts_its_half_ends_the_call_at_once(
    transport: Transport, sent: bytes, error: type[UpstreamError]
) -> None:
    async def shut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        writer.write_eof()
        await reader.read()

    async with upstream(shut) as server:
        with pytest.raises(error):
            await ask(transport, call(server.url))
        await asyncio.wait_for(server.closed.wait(), LONG_S)


async def test_a_large_body_arrives_whole(transport: Transport) -> None:
    async with upstream(answering(whole(b"ok"))) as server:
        for _ in range(2):
            assert await ask(transport, call(server.url, body=BIG)) == b"ok"
        assert server.connections == 1
        assert all(request.endswith(b"\r\n\r\n" + BIG) for request in server.requests)


@pytest.mark.parametrize("is_read_on", [False, True])
async def test_an_answer_before_the_body_was_read_is_an_answer(transport: Transport, is_read_on: bool) -> None:
    is_answered = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(b"too large", status="413 Content Too Large"))
        await writer.drain()
        while is_read_on and await reader.read(65_536):
            pass
        await is_answered.wait()

    state = EarlyServer(refuse)
    async with await asyncio.start_server(state.serve, "127.0.0.1", 0, limit=1_024) as server:
        response = await transport.send(call(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", body=BIG))
        await turns()
        assert (response.status, await response.read()) == (413, b"too large")
        is_answered.set()
        # Half of a request was sent on it: it can serve no other.
        await asyncio.wait_for(state.is_over.wait(), LONG_S)
    assert await open_sockets(transport) == 0


async def test_a_provider_that_does_not_read_is_left_in_time_and_fills_no_memory(transport: Transport) -> None:
    is_over = asyncio.Event()

    async def sleep(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await is_over.wait()

    state = EarlyServer(sleep)
    async with await asyncio.start_server(state.serve, "127.0.0.1", 0, limit=1_024) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        task = asyncio.create_task(ask(transport, call(url, body=BIG, first_byte_s=0.2)))
        await turns()
        pool = transport._opened
        assert pool is not None
        (connection,) = pool._open
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() < 512 * 1024
        with pytest.raises(UpstreamTimeout) as caught:
            await task
        assert caught.value.phase == "first_byte"
        is_over.set()


class EarlyServer:
    """Runs a script as soon as the head is there, and tells when it is over."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.is_over = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await self.script(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.is_over.set()
            writer.close()


async def test_no_more_than_a_little_is_read_ahead_of_a_slow_reader(transport: Transport) -> None:
    async with upstream(answering(whole(BIG))) as server:
        response = await transport.send(call(server.url))
        taken = bytearray()
        async for piece in response.chunks():
            assert len(piece) <= 2 * READ_BYTES_MAX
            taken += piece
            if len(taken) < 20 * READ_BYTES_MAX:
                await asyncio.sleep(0.001)
                assert response._connection is not None
                assert response._connection.response.buffered_bytes <= 2 * READ_BYTES_MAX
        assert bytes(taken) == BIG
        assert server.connections == 1
        # Paused while it came, the connection hears again.
        assert await ask(transport, call(server.url)) == BIG
        assert server.connections == 1


async def test_a_stream_that_always_has_more_ends_with_its_whole_time(transport: Transport) -> None:
    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        while True:
            writer.write(chunk(b"x" * 1_000) * 100)
            await writer.drain()

    async with upstream(pour) as server:
        with pytest.raises(UpstreamTimeout) as caught:
            await drain(transport, call(server.url, total_s=0.2))
        assert caught.value.phase == "total"


async def drain(transport: Transport, sent: UpstreamCall) -> None:
    async for _ in (await transport.send(sent)).chunks(bytes_max=2**32):
        pass
