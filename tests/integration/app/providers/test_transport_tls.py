"""TLS to a provider: whom we believe, and that all else holds behind it."""

import asyncio
import random
import ssl

import pytest

from app.providers import AllowList, ConnectFailed, StreamCut, Transport, UpstreamCall, UpstreamError, UpstreamTimeout
from tests.integration.app.providers.calls import LONG_S, ask, call, open_sockets
from tests.integration.app.providers.certificates import Authority
from tests.integration.app.providers.upstream import CHUNKED, Upstream, answering, chunk, upstream, whole

BIG = bytes(range(256)) * 20_480  # 5 MiB
NAME = "api.vendor.test"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def at_loopback(host: str, port: int) -> tuple[str, ...]:
    return ("127.0.0.1",)


def trusting(authority: Authority, *, allow: str = "127.0.0.0/8") -> Transport:
    return Transport(AllowList.parse(allow), lookup=at_loopback, tls=authority.trusting())


def named(server: Upstream, name: str = NAME, *, owner: str = "tenant", body: bytes = b"{}") -> UpstreamCall:
    return call(f"https://{name}:{server.port}/v1", owner=owner, body=body)


@pytest.mark.parametrize("owner", ["tenant", "platform"])
async def test_a_certificate_for_the_name_is_believed_and_the_connection_kept(authority: Authority, owner: str) -> None:
    async with upstream(answering(whole(b"ok")), tls=authority.serving(NAME)) as server:
        async with trusting(authority) as transport:
            for _ in range(3):
                assert await ask(transport, named(server, owner=owner)) == b"ok"
            assert await open_sockets(transport) == 1
        assert server.connections == 1
        await asyncio.wait_for(server.closed.wait(), LONG_S)


@pytest.mark.parametrize("owner", ["tenant", "platform"])
@pytest.mark.parametrize(
    ("names", "days_ago", "is_known"),
    [
        (("other.vendor.test",), 1, True),
        (("127.0.0.1",), 1, True),  # the address we connect to is not the name we asked for
        ((NAME,), 9, True),
        ((NAME,), -9, True),
        ((NAME,), 1, False),
    ],
)
async def test_any_other_certificate_is_not(
    authority: Authority, names: tuple[str, ...], days_ago: int, is_known: bool, owner: str
) -> None:
    signer = authority if is_known else Authority()
    async with (
        upstream(answering(whole(b"ok")), tls=signer.serving(*names, days_ago=days_ago)) as server,
        trusting(authority) as transport,
    ):
        with pytest.raises(ConnectFailed) as caught:
            await ask(transport, named(server, owner=owner))
        label = NAME if owner == "tenant" else "the provider"
        assert str(caught.value) == f"No connection to {label}: its TLS certificate or protocol was not accepted."
        assert server.requests == []
        assert await open_sockets(transport) == 0


async def test_the_systems_authorities_are_asked_by_default(authority: Authority) -> None:
    async with (
        upstream(answering(whole(b"ok")), tls=authority.serving("127.0.0.1")) as server,
        Transport() as transport,
    ):
        with pytest.raises(ConnectFailed, match="TLS"):
            await ask(transport, call(server.url))


async def test_a_certificate_for_an_address_is_believed_for_it(authority: Authority) -> None:
    tls = authority.serving("127.0.0.1")
    async with upstream(answering(whole(b"ok")), tls=tls) as server, trusting(authority) as transport:
        assert await ask(transport, named(server, "127.0.0.1")) == b"ok"


async def test_a_name_with_its_root_dot_is_verified_without_it(authority: Authority) -> None:
    tls = authority.serving(NAME)
    async with upstream(answering(whole(b"ok")), tls=tls) as server, trusting(authority) as transport:
        assert await ask(transport, named(server, NAME + ".")) == b"ok"


async def test_old_protocols_are_not_spoken(authority: Authority) -> None:
    context = authority.serving(NAME)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with upstream(answering(whole(b"ok")), tls=context) as server, trusting(authority) as transport:
        with pytest.raises(ConnectFailed):
            await ask(transport, named(server))
        assert server.requests == []


async def test_large_bodies_and_streams_pass_both_ways(authority: Authority) -> None:
    async with upstream(answering(whole(BIG)), tls=authority.serving(NAME)) as server:
        async with trusting(authority) as transport:
            for _ in range(2):
                assert await ask(transport, named(server, body=BIG)) == BIG
        assert server.connections == 1
        assert all(request.endswith(BIG) for request in server.requests)


@pytest.mark.parametrize("start", [CHUNKED + chunk(b"1"), b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1"])
async def test_an_answer_that_ends_without_its_end_is_cut(authority: Authority, start: bytes) -> None:
    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.transport.abort()

    async with upstream(cut, tls=authority.serving(NAME)) as server, trusting(authority) as transport:
        with pytest.raises(StreamCut):
            await ask(transport, named(server))
        assert await open_sockets(transport) == 0


async def test_a_handshake_that_never_ends_is_left_in_time(authority: Authority) -> None:
    async def sleep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4_096):
            pass
        writer.close()

    async with await asyncio.start_server(sleep, "127.0.0.1", 0) as server, trusting(authority) as transport:
        url = f"https://{NAME}:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(UpstreamTimeout) as caught:
            await ask(transport, call(url, owner="tenant", connect_s=0.1))
        assert caught.value.phase == "connect"
        assert await open_sockets(transport) == 0


@pytest.mark.parametrize("leave", ["close", "cancel"])
async def test_leaving_closes_the_socket(authority: Authority, leave: str) -> None:
    script = answering(CHUNKED, chunk(b"1"), LONG_S)
    async with upstream(script, tls=authority.serving(NAME)) as server, trusting(authority) as transport:
        response = await transport.send(named(server))
        if leave == "close":
            response.close()
        else:
            reading = asyncio.create_task(response.read())
            await asyncio.sleep(0.02)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        await asyncio.wait_for(server.closed.wait(), LONG_S)
        assert await open_sockets(transport) == 0


@pytest.mark.parametrize("seed", range(5))
async def test_cancelling_in_a_handshake_or_later_leaves_nothing(authority: Authority, seed: int) -> None:
    chance = random.Random(seed)
    tls = authority.serving(NAME)
    async with upstream(answering(whole(b"ok")), tls=tls) as server, trusting(authority) as transport:
        tasks = [asyncio.create_task(ask(transport, named(server))) for _ in range(20)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(chance.choice((0, 0.0005, 0.002)))
            chance.choice(tasks).cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert outcome == b"ok" or isinstance(outcome, asyncio.CancelledError | UpstreamError)
        assert await ask(transport, named(server)) == b"ok"
        assert await open_sockets(transport) <= 20
