"""What connections to a provider do between calls, under load, and when either side leaves early."""

import asyncio
import random
import socket
import struct

import pytest

from app.providers import (
    AddressNotAllowed,
    AllowList,
    AnswerMalformed,
    ConnectFailed,
    ConnectionLost,
    StreamCut,
    Transport,
    UpstreamError,
)
from app.providers.addresses import look_up
from app.providers.connection_pool import ConnectionPool
from app.providers.connector import Connector
from app.providers.errors import ConnectionsTaken
from tests.integration.app.providers.calls import LONG_S, ask, call, open_sockets, turns
from tests.integration.app.providers.upstream import CHUNKED, answering, chunk, upstream, whole

BIG = bytes(range(256)) * 40_960  # 10 MiB


def a_pool(**limits: float) -> ConnectionPool:
    return ConnectionPool(Connector(AllowList(), look_up), **limits)  # type: ignore[arg-type] # counts are ints


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_both_kinds_of_addresses_are_reached(transport: Transport, host: str) -> None:
    async with upstream(answering(whole(b"ok")), host=host) as server:
        assert await ask(transport, call(server.url)) == b"ok"
        name = f"[{host}]" if ":" in host else host
        assert f"host: {name}:{server.port}\r\n".encode() in server.requests[0]


async def test_a_connection_that_rested_too_long_is_closed(transport: Transport) -> None:
    transport._opened = a_pool(keep_alive_s=0.05)
    async with upstream(answering(whole(b"ok"))) as server:
        await ask(transport, call(server.url))
        await asyncio.wait_for(server.closed.wait(), LONG_S)
        assert await open_sockets(transport) == 0
        await ask(transport, call(server.url))
        assert server.connections == 2


async def test_a_call_is_not_ended_by_the_clock_of_the_rest_before_it(transport: Transport) -> None:
    transport._opened = a_pool(keep_alive_s=0.1)
    async with upstream(answering(0.05, whole(b"ok"), 0.0)) as server:
        for _ in range(6):
            assert await ask(transport, call(server.url)) == b"ok"
        assert server.connections == 1


@pytest.mark.parametrize("leave", ["close", "reset", "half-close", "write"])
@pytest.mark.parametrize("is_noticed", [False, True])
async def test_a_connection_that_the_provider_left_or_wrote_to_is_never_used_again(
    transport: Transport, leave: str, is_noticed: bool
) -> None:
    may_leave = asyncio.Event()
    has_left = asyncio.Event()
    turn = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turn
        turn += 1
        writer.write(whole(b"ok"))
        if turn > 1:
            return
        await writer.drain()
        await may_leave.wait()
        if leave == "write":
            writer.write(whole(b"stolen"))
            await writer.drain()
        elif leave == "half-close":
            writer.write_eof()
        else:
            if leave == "reset":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        has_left.set()

    async with upstream(once) as server:
        assert await ask(transport, call(server.url)) == b"ok"
        may_leave.set()
        await has_left.wait()
        # The kernel knows; the loop may not have looked yet, or may have thrown away what it saw.
        if is_noticed:
            await turns()
        assert await ask(transport, call(server.url)) == b"ok"
        assert server.connections == 2
        assert len(server.requests) == 2


async def test_an_end_that_only_the_kernel_knows_of_costs_no_call() -> None:
    """A server in a thread closes while this loop is busy, as it may be in production."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        async with Transport() as transport:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            for _ in range(3):
                task = asyncio.create_task(ask(transport, call(url)))
                peer, _ = await loop.sock_accept(listener)
                await loop.sock_recv(peer, 65_536)
                await loop.sock_sendall(peer, whole(b"ok"))
                assert await task == b"ok"
                # No await from here to the next call.
                peer.close()


async def test_bytes_behind_an_answer_close_its_connection(transport: Transport) -> None:
    async with upstream(answering(whole(b"ok") + whole(b"stolen"))) as server:
        for _ in range(3):
            assert await ask(transport, call(server.url)) == b"ok"
        assert server.connections == 3


async def test_a_server_that_speaks_first_is_not_spoken_to(transport: Transport) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test ESMTP\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises((ConnectFailed, AnswerMalformed, ConnectionLost)):
            await ask(transport, call(url))
    assert await open_sockets(transport) == 0


@pytest.mark.parametrize(
    ("parts", "connections"),
    [
        ((whole(b"ok"),), 1),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", 0.01, whole(b"ok")), 1),
        ((CHUNKED, chunk(b"o"), 0.01, chunk(b"k"), b"0\r\nx-trailer: 1\r\n\r\n"), 1),
        ((whole(b"ok", headers="connection: close\r\n"),), 3),
        ((b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",), 3),
        ((b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",), 1),
    ],
)
async def test_a_connection_is_kept_exactly_when_it_may_be(
    transport: Transport, parts: tuple[bytes | float, ...], connections: int
) -> None:
    async with upstream(answering(*parts)) as server:
        for _ in range(3):
            assert await ask(transport, call(server.url)) == b"ok"
        assert server.connections == connections


async def test_an_answer_that_has_come_whole_frees_its_connection_without_being_read(transport: Transport) -> None:
    async with upstream(answering(whole(b"ok"))) as server:
        for _ in range(3):
            response = await transport.send(call(server.url))
            response.close()
            response.close()
        assert server.connections == 1
        assert await open_sockets(transport) == 1


async def test_a_closed_answer_reads_nothing_of_the_next_call(transport: Transport) -> None:
    async with upstream(answering(whole(b"ok"))) as server:
        first = await transport.send(call(server.url))
        first.close()
        second = await transport.send(call(server.url))
        assert server.connections == 1
        with pytest.raises(StreamCut):
            await first.read()
        first.close()
        assert await second.read() == b"ok"


async def test_a_reader_that_wakes_too_late_reads_nothing_of_the_next_call(transport: Transport) -> None:
    script = answering(CHUNKED, chunk(b"1"), 0.02, chunk(b"2") + b"0\r\n\r\n")
    async with upstream(script) as server:
        response = await transport.send(call(server.url))
        chunks = response.chunks()
        assert await anext(chunks) == b"1"
        waiting = asyncio.create_task(anext(chunks))  # type: ignore[arg-type] # a coroutine in CPython
        connection = response._connection
        assert connection is not None

        def close_between() -> None:
            """After the end has come, and before the reader has been told."""
            if connection.response.is_complete:
                response.close()
            else:
                asyncio.get_running_loop().call_soon(close_between)

        close_between()
        with pytest.raises(StreamCut):
            await waiting
        assert await ask(transport, call(server.url)) == b"12"
        assert server.connections == 1


async def test_closing_from_outside_ends_a_reader_that_waits(transport: Transport) -> None:
    async with upstream(answering(CHUNKED, chunk(b"1"), LONG_S)) as server:
        response = await transport.send(call(server.url))
        chunks = response.chunks()
        assert await anext(chunks) == b"1"
        waiting = asyncio.create_task(anext(chunks))  # type: ignore[arg-type] # a coroutine in CPython
        await asyncio.sleep(0)
        response.close()
        with pytest.raises(StreamCut):
            await waiting
        await asyncio.wait_for(server.closed.wait(), LONG_S)
    assert await open_sockets(transport) == 0


async def test_a_platforms_host_is_not_named_to_anyone_and_a_tenants_is(transport: Transport) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        url = f"http://127.0.0.1:{port}/v1"
        with pytest.raises(ConnectFailed) as caught:
            await transport.send(call(url))
        assert str(caught.value) == "No connection to the provider: connection refused."
        async with Transport(AllowList.parse(f"127.0.0.1:{port}")) as allowing:
            with pytest.raises(ConnectFailed, match=r"No connection to 127\.0\.0\.1: connection refused\."):
                await allowing.send(call(url, owner="tenant"))


async def test_a_tenant_gets_no_connection_of_the_platform_to_the_same_host() -> None:
    async with upstream(answering(whole(b"ok"))) as server:
        async with Transport(AllowList.parse("127.0.0.0/8")) as transport:
            await ask(transport, call(server.url))
            await ask(transport, call(server.url, owner="tenant"))
            assert server.connections == 2
        async with Transport() as transport:
            await ask(transport, call(server.url))
            for _ in range(2):
                with pytest.raises(AddressNotAllowed):
                    await ask(transport, call(server.url, owner="tenant"))
        assert len(server.requests) == 3


async def test_waiting_for_a_free_connection_ends_in_time_and_blames_no_provider() -> None:
    async with upstream(answering(LONG_S)) as server, Transport() as transport:
        transport._opened = a_pool(connections_per_host_max=1)
        first = asyncio.create_task(ask(transport, call(server.url)))
        await turns()
        with pytest.raises(ConnectionsTaken):
            await ask(transport, call(server.url, connect_s=0.05))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert await open_sockets(transport) == 0


@pytest.mark.parametrize("seed", range(10))
async def test_whoever_is_cancelled_whenever_leaves_no_socket_and_no_slot(transport: Transport, seed: int) -> None:
    chance = random.Random(seed)

    async def moody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match chance.randrange(6):
            case 0:
                writer.write(whole(b"ok"))
            case 1:
                writer.write(CHUNKED + chunk(b"o"))
                await asyncio.sleep(0.002)
                writer.write(chunk(b"k") + b"0\r\n\r\n")
            case 2:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-le")
                await asyncio.sleep(0.002)
                writer.write(b"ngth: 2\r\n\r\nok")
            case 3:
                writer.close()
                raise ConnectionResetError
            case 4:
                writer.write(b"garbage\r\n\r\n")
            case _:
                await asyncio.sleep(0.01)
                writer.write(whole(b"ok"))

    async def one(url: str) -> None:
        body = BIG[:200_000] if chance.random() < 0.2 else b"{}"
        response = await transport.send(call(url, body=body))
        match chance.randrange(3):
            case 0:
                assert await response.read() == b"ok"
            case 1:
                assert b"".join([piece async for piece in response.chunks()]) == b"ok"
            case _:
                response.close()

    async with upstream(moody) as server:
        tasks = [asyncio.create_task(one(server.url)) for _ in range(60)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(chance.choice((0, 0, 0.001)))
            if chance.random() < 0.3:
                chance.choice(tasks).cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError | UpstreamError)
        assert await open_sockets(transport) <= 60
        await transport.close()
        await turns()
        assert transport._opened is None
