"""Opening connections: which names are asked for, which addresses are tried, what is told of a failure."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from app.providers.addresses import AllowList
from app.providers.connection import Connection
from app.providers.connector import Connector, Route
from app.providers.errors import AddressNotAllowed, ConnectFailed

LONG_S = 20.0
LOOPBACK = AllowList.parse("127.0.0.0/8")


class Names:
    """A resolver with a memory: what it answers, what it was asked, how long it takes."""

    def __init__(self, *addresses: str, error: OSError | None = None) -> None:
        self.addresses = addresses
        self.error = error
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def look_up(self, host: str, port: int) -> tuple[str, ...]:
        self.asked.append(host)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return self.addresses


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def a_route(port: int, *, host: str = "api.vendor.test", is_checked: bool = False) -> Route:
    return Route(is_checked=is_checked, is_https=False, host=host, port=port)


async def connect(connector: Connector, route: Route, *, label: str = "the provider") -> Connection:
    due_at = asyncio.get_running_loop().time() + LONG_S
    return await connector.connect(route, label=label, due_at=due_at, on_lost=lambda _: None)


async def connect_and_close(connector: Connector, route: Route) -> None:
    (await connect(connector, route)).close()
    await asyncio.sleep(0)


async def test_a_name_is_asked_for_once_and_known_for_a_while(port: int) -> None:
    names = Names("127.0.0.1")
    connector = Connector(AllowList(), names.look_up)
    for _ in range(3):
        await connect_and_close(connector, a_route(port))
    assert len(names.asked) == 1
    connector = Connector(AllowList(), names.look_up, resolved_for_s=0.0)
    for _ in range(3):
        await connect_and_close(connector, a_route(port))
    assert len(names.asked) == 4


async def test_many_who_want_one_name_ask_once_and_none_takes_it_from_the_others(port: int) -> None:
    names = Names("127.0.0.1")
    names.may_answer.clear()
    connector = Connector(AllowList(), names.look_up)
    tasks = [asyncio.create_task(connect_and_close(connector, a_route(port))) for _ in range(10)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    names.may_answer.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1:] == [None] * 9
    assert len(names.asked) == 1


async def test_a_name_that_failed_is_asked_for_again(port: int) -> None:
    names = Names("127.0.0.1", error=OSError("no such host"))
    connector = Connector(AllowList(), names.look_up)
    with pytest.raises(ConnectFailed):
        await connect(connector, a_route(port))
    names.error = None
    await connect_and_close(connector, a_route(port))
    assert len(names.asked) == 2


async def test_a_checked_name_is_not_answered_from_what_was_looked_up_unchecked(port: int) -> None:
    names = Names("127.0.0.1")
    connector = Connector(AllowList(), names.look_up)
    await connect_and_close(connector, a_route(port))
    with pytest.raises(AddressNotAllowed):
        await connect(connector, a_route(port, is_checked=True))
    assert len(names.asked) == 2


async def test_an_address_needs_no_resolver(port: int) -> None:
    names = Names()
    await connect_and_close(Connector(LOOPBACK, names.look_up), a_route(port, host="127.0.0.1", is_checked=True))
    assert names.asked == []


async def test_even_an_address_is_checked_before_it_is_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sentinel:
        sentinel.setblocking(False)
        route = a_route(sentinel.getsockname()[1], host="127.0.0.1", is_checked=True)
        with pytest.raises(AddressNotAllowed):
            await connect(Connector(AllowList(), Names().look_up), route)
        with pytest.raises(BlockingIOError):
            sentinel.accept()


async def test_what_is_known_of_names_is_limited(port: int) -> None:
    names = Names("127.0.0.1")
    connector = Connector(AllowList(), names.look_up, resolved_max=3)
    for number in range(10):
        await connect_and_close(connector, a_route(port, host=f"h{number}.test"))
    assert len(connector._known) == 3
    assert not connector._asked


async def test_the_next_address_is_tried_when_one_refuses(port: int) -> None:
    names = Names("127.0.0.9", "127.0.0.8", "127.0.0.1")
    await connect_and_close(Connector(AllowList(), names.look_up), a_route(port))


async def test_the_next_address_is_tried_when_one_is_silent() -> None:
    with socket.socket() as silent, socket.socket() as other:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        silent.listen(0)
        other.bind(("127.0.0.2", port))
        other.listen(5)
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(silent.getsockname())
        connector = Connector(AllowList(), Names("127.0.0.1", "127.0.0.2").look_up)
        loop = asyncio.get_running_loop()
        connection = await connector.connect(a_route(port), label="", due_at=loop.time() + 0.4, on_lost=lambda _: None)
        assert connection.is_open
        connection.close()
        silently = Connector(AllowList(), Names("127.0.0.1").look_up)
        with pytest.raises(TimeoutError):
            await silently.connect(a_route(port), label="", due_at=loop.time() + 0.1, on_lost=lambda _: None)
        for client in waiting:
            client.close()
        await asyncio.sleep(0)


async def test_a_failure_tells_the_label_and_never_an_address(port: int) -> None:
    connector = Connector(AllowList(), Names("127.0.0.9", "127.0.0.8").look_up)
    with pytest.raises(ConnectFailed) as caught:
        await connect(connector, a_route(port), label="the provider")
    assert str(caught.value) == "No connection to the provider: connection refused."


@pytest.mark.parametrize("names", [Names(error=OSError("no host api.vendor.test")), Names()])
async def test_a_name_that_leads_nowhere_is_not_told_on_an_unchecked_route(names: Names, port: int) -> None:
    with pytest.raises(ConnectFailed) as caught:
        await connect(Connector(AllowList(), names.look_up), a_route(port))
    assert str(caught.value) == "The provider's host cannot be resolved."
