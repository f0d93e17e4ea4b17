"""Connections: nobody gets one that is not free, and none is lost, whatever is cancelled."""

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from app.providers.addresses import AllowList
from app.providers.connection import Connection
from app.providers.connection_pool import ConnectionPool
from app.providers.connector import Connector, Route
from app.providers.errors import ConnectFailed, ConnectionsTaken, UpstreamError

LONG_S = 20.0
TENANT, OTHER = UUID(int=1), UUID(int=2)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Server:
    """Answers each read with one answer, and counts its connections."""

    def __init__(self) -> None:
        self.opened = self.open = self.open_max = 0
        self.answer = ANSWER

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.open += 1
        self.open_max = max(self.open_max, self.open)
        try:
            while await reader.read(65_536):
                writer.write(self.answer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Route]]:
    state = Server()
    async with await asyncio.start_server(state.serve, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        yield state, Route(is_checked=False, is_https=False, host="127.0.0.1", port=port)


async def look_up(host: str, port: int) -> tuple[str, ...]:
    return ("127.0.0.1",)


def a_pool(**limits: int) -> ConnectionPool:
    return ConnectionPool(Connector(AllowList(), look_up), **limits)


async def acquire(pool: ConnectionPool, route: Route) -> Connection:
    due_at = asyncio.get_running_loop().time() + LONG_S
    return pool.take(route, TENANT) or await pool.acquire(route, TENANT, label="the provider", due_at=due_at)


async def use(pool: ConnectionPool, route: Route) -> None:
    """One call, to its end."""
    connection = await acquire(pool, route)
    try:
        due_at = asyncio.get_running_loop().time() + LONG_S
        assert await connection.exchange(b"POST / HTTP/1.1\r\n\r\n", b"", due_at)
        while not connection.response.is_complete:
            assert await connection.wait(due_at)
        assert connection.take() == b"ok"
    finally:
        pool.release(connection, route, TENANT)


def is_at_rest(pool: ConnectionPool, *, connections_max: int) -> bool:
    """No slot is taken and nobody is counted as calling."""
    return pool._slots.free == connections_max and not any(host.calls for host in pool._hosts.values())


async def test_a_connection_serves_one_call_after_another(server: tuple[Server, Route]) -> None:
    state, route = server
    pool = a_pool()
    for _ in range(5):
        await use(pool, route)
    assert state.opened == 1
    await pool.close()
    assert not pool._open


async def test_no_more_connections_to_a_host_than_it_may_have(server: tuple[Server, Route]) -> None:
    state, route = server
    pool = a_pool(connections_per_host_max=3)
    await asyncio.gather(*(use(pool, route) for _ in range(50)))
    assert state.open_max == state.opened == 3
    await pool.close()


async def test_a_full_host_makes_no_other_host_wait(server: tuple[Server, Route]) -> None:
    _, route = server
    other = route._replace(host="localhost")
    pool = a_pool(connections_per_host_max=1)
    held = await acquire(pool, route)
    waiting = asyncio.create_task(acquire(pool, route))
    await use(pool, other)
    assert not waiting.done()
    pool.release(held, route, TENANT)
    pool.release(await waiting, route, TENANT)
    await pool.close()


async def test_one_tenants_calls_never_hold_every_connection_to_a_host(server: tuple[Server, Route]) -> None:
    _, route = server
    pool = a_pool(connections_per_host_max=10)
    soon = asyncio.get_running_loop().time() + 0.2
    many = [pool.acquire(route, TENANT, label="the provider", due_at=soon) for _ in range(30)]
    held = [each for each in await asyncio.gather(*many, return_exceptions=True) if isinstance(each, Connection)]
    assert len(held) == 8
    with pytest.raises(ConnectionsTaken):
        await pool.acquire(route, TENANT, label="the provider", due_at=asyncio.get_running_loop().time() + 0.01)
    theirs = await pool.acquire(route, OTHER, label="the provider", due_at=soon + LONG_S)
    pool.release(theirs, route, OTHER)
    for connection in held:
        pool.release(connection, route, TENANT)
    assert is_at_rest(pool, connections_max=1_000)
    await pool.close()


async def test_a_resting_connection_makes_room_for_another_host(server: tuple[Server, Route]) -> None:
    state, route = server
    hosts = [route._replace(host=host) for host in ("a.test", "b.test", "c.test", "d.test")]
    pool = a_pool(connections_max=2)
    for _ in range(3):
        await asyncio.gather(*(use(pool, host) for host in hosts))
    await asyncio.sleep(0.01)
    assert len(pool._open) <= 2
    assert state.open_max <= 3  # the server learns a moment later that one was closed
    await pool.close()


async def test_the_kinds_of_routes_share_no_connection(server: tuple[Server, Route]) -> None:
    state, route = server
    pool = ConnectionPool(Connector(AllowList.parse("127.0.0.0/8"), look_up))
    await use(pool, route)
    await use(pool, route._replace(is_checked=True))
    assert state.opened == 2
    await pool.close()


async def test_what_was_kept_for_a_host_goes_with_its_last_connection(server: tuple[Server, Route]) -> None:
    state, route = server
    pool = a_pool()
    state.answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
    for number in range(20):
        await use(pool, route._replace(host=f"host{number}.test"))
    await asyncio.sleep(0.01)
    assert not pool._hosts
    assert not pool._open


async def test_a_call_that_cannot_connect_leaves_no_trace() -> None:
    pool = a_pool(connections_max=1)
    for _ in range(3):
        with pytest.raises(ConnectFailed):
            await acquire(pool, Route(is_checked=False, is_https=False, host="127.0.0.1", port=1))
    assert is_at_rest(pool, connections_max=1)
    assert not pool._hosts


async def test_a_closed_pool_lets_nobody_connect(server: tuple[Server, Route]) -> None:
    _, route = server
    pool = a_pool(connections_per_host_max=1)
    held = await acquire(pool, route)
    waiting = asyncio.create_task(acquire(pool, route))
    await asyncio.sleep(0)
    await pool.close()
    pool.release(held, route, TENANT)
    with pytest.raises(ConnectFailed):
        await waiting
    assert is_at_rest(pool, connections_max=1_000)
    await asyncio.sleep(0.01)
    assert not pool._open


@pytest.mark.parametrize("seed", range(20))
async def test_random_cancelling_leaks_neither_a_socket_nor_a_slot(server: tuple[Server, Route], seed: int) -> None:
    chance = random.Random(seed)
    state, route = server
    hosts = [route._replace(host=host) for host in ("127.0.0.1", "a.test", "b.test")]
    pool = a_pool(connections_max=4, connections_per_host_max=2)
    tasks = [asyncio.create_task(use(pool, chance.choice(hosts))) for _ in range(60)]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(chance.choice((0, 0, 0.0005)))
        if chance.random() < 0.6:
            chance.choice(tasks).cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert outcome is None or isinstance(outcome, asyncio.CancelledError | UpstreamError)
    assert is_at_rest(pool, connections_max=4)
    assert len(pool._open) <= 4 + 4  # closing ones are told of a turn later
    # Still of use to those who come after.
    await asyncio.gather(*(use(pool, host) for host in hosts))
    await pool.close()
    assert not pool._open
    async with asyncio.timeout(LONG_S):
        while state.open:
            await asyncio.sleep(0)
