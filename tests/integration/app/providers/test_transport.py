"""The outbound client over real sockets: where it connects, how long it waits, how much it takes."""

import asyncio
import gzip
import os
import socket

import msgspec
import pytest

from app.providers import (
    AddressNotAllowed,
    AllowList,
    AnswerMalformed,
    AnswerTooLarge,
    ConnectFailed,
    ConnectionLost,
    StreamCut,
    Transport,
    UpstreamError,
    UpstreamTimeout,
    check_address,
)
from app.providers.addresses import Lookup
from tests.integration.app.providers.calls import LONG_S, call
from tests.integration.app.providers.upstream import CHUNKED, answering, chunk, upstream, whole
from tests.unit.app.providers.hostile_addresses import REFUSED, WORLD, resolver

# A loopback address of this process's own, so that a well-known port is free on it.
OWN_HOST = f"127.{os.getpid() % 200 + 10}.{os.getpid() // 200 % 250}.7"


def changing(*answers: list[str]) -> Lookup:
    """A resolver that answers each time with the next of its answers, and then with the last."""
    left = list(answers)

    async def look_up(host: str, port: int) -> tuple[str, ...]:
        return tuple(left.pop(0) if len(left) > 1 else left[0])

    return look_up


async def test_a_call_arrives_as_it_was_sent_and_comes_back_whole(transport: Transport) -> None:
    answer = whole(
        b'{"ok":1}', headers="Retry-After: 7\r\nSet-Cookie: a=1\r\nX-Secret: s\r\nContent-Type: text/plain\r\n"
    )
    async with upstream(answering(answer)) as server:
        response = await transport.send(call(server.url, body=b'{"model":"x"}'))
        assert (response.status, await response.read()) == (200, b'{"ok":1}')
        assert response.headers == {"retry-after": "7", "content-type": "text/plain"}
    head, body = server.requests[0].split(b"\r\n\r\n")
    assert body == b'{"model":"x"}'
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    names = {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
    assert names == {b"host", b"authorization", b"content-type", b"accept-encoding", b"content-length"}


async def test_connections_are_kept_and_cookies_are_not(transport: Transport) -> None:
    async with upstream(answering(whole(b"{}", headers="Set-Cookie: a=1\r\n"))) as server:
        for _ in range(3):
            await (await transport.send(call(server.url))).read()
    assert server.connections == 1
    assert not any(b"cookie" in request.lower() for request in server.requests)


async def test_a_redirect_is_an_answer_and_never_followed(transport: Transport) -> None:
    async with upstream(answering(whole(b"{}"))) as inner:
        moved = whole(b"", status="307 Moved", headers=f"Location: {inner.url}\r\n")
        async with upstream(answering(moved)) as server:
            response = await transport.send(call(server.url))
            assert response.status == 307
            response.close()
    assert inner.connections == 0


async def test_a_proxy_in_the_environment_is_not_asked(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream(answering(whole(b"proxy"))) as proxy, upstream(answering(whole(b"direct"))) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert await (await transport.send(call(server.url))).read() == b"direct"
    assert proxy.connections == 0


@pytest.mark.parametrize("url", REFUSED)
async def test_a_tenants_call_to_a_hostile_address_is_never_sent(url: str) -> None:
    async with Transport(lookup=WORLD) as transport:
        with pytest.raises(AddressNotAllowed):
            await transport.send(call(url, owner="tenant"))


async def test_a_tenant_cannot_ride_on_the_platforms_connection(transport: Transport) -> None:
    async with upstream(answering(whole(b"{}"))) as server:
        await (await transport.send(call(server.url))).read()
        with pytest.raises(AddressNotAllowed):
            await transport.send(call(server.url, owner="tenant"))
    assert len(server.requests) == 1


async def test_an_allowed_host_and_port_serves_tenants_too() -> None:
    async with upstream(answering(whole(b"{}"))) as server:
        allow = AllowList.parse(f"127.0.0.1:{server.port}")
        async with Transport(allow) as transport:
            assert (await transport.send(call(server.url, owner="tenant"))).status == 200


async def test_an_allowed_network_serves_tenants_over_http() -> None:
    async with upstream(answering(whole(b"{}"))) as server, Transport(AllowList.parse("127.0.0.0/8")) as transport:
        assert (await transport.send(call(server.url, owner="tenant"))).status == 200


async def test_a_name_that_is_rebound_after_the_check_is_not_connected() -> None:
    lookup = changing(["93.184.216.34"], [OWN_HOST])
    async with upstream(answering(whole(b"{}")), host=OWN_HOST, port=8443) as sentinel:
        await check_address("https://rebind.test:8443/v1", AllowList(), lookup=lookup)
        async with Transport(lookup=lookup) as transport:
            with pytest.raises(AddressNotAllowed):
                await transport.send(call("https://rebind.test:8443/v1", owner="tenant"))
    assert sentinel.connections == 0


async def test_one_inner_address_among_outer_ones_refuses_the_name() -> None:
    lookup = resolver(**{"mixed.test": ["93.184.216.34", OWN_HOST]})
    async with (
        upstream(answering(whole(b"{}")), host=OWN_HOST, port=8443) as sentinel,
        Transport(lookup=lookup) as transport,
    ):
        with pytest.raises(AddressNotAllowed):
            await transport.send(call("https://mixed.test:8443/v1", owner="tenant"))
    assert sentinel.connections == 0


async def test_a_connection_goes_to_the_checked_address_with_the_names_own_sni() -> None:
    hello = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello.set_result(await reader.read(4_096))
        writer.close()

    server = await asyncio.start_server(take, OWN_HOST, 0)
    port = server.sockets[0].getsockname()[1]
    lookups = []

    async def look_up(host: str, port: int) -> tuple[str, ...]:
        lookups.append(host)
        return (OWN_HOST,)

    async with server, Transport(AllowList.parse("127.0.0.0/8"), lookup=look_up) as transport:
        with pytest.raises(UpstreamError):
            await transport.send(call(f"https://api.vendor.test:{port}/v1", owner="tenant"))
    assert b"api.vendor.test" in hello.result()
    assert lookups == ["api.vendor.test"]


async def test_a_key_with_a_line_end_is_not_sent_and_not_repeated(transport: Transport) -> None:
    async with upstream(answering(whole(b"{}"))) as server:
        hostile = msgspec.structs.replace(call(server.url), headers={"authorization": "Bearer k\r\nx-evil: 1"})
        with pytest.raises(ConnectFailed) as caught:
            await transport.send(hostile)
    assert server.requests == []
    assert "evil" not in str(caught.value)
    assert caught.value.__context__ is None


async def test_a_port_where_nobody_listens_fails_to_connect(transport: Transport) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectFailed):
            await transport.send(call(f"http://127.0.0.1:{taken.getsockname()[1]}/"))


async def test_a_server_that_does_not_speak_tls_fails_to_connect(transport: Transport) -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        with pytest.raises(ConnectFailed, match="TLS"):
            await transport.send(call(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"))


async def test_a_host_that_does_not_take_the_connection_times_out(transport: Transport) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        try:
            with pytest.raises(UpstreamTimeout) as caught:
                await transport.send(call(f"http://127.0.0.1:{full.getsockname()[1]}/", connect_s=0.2))
            assert caught.value.phase == "connect"
        finally:
            for client in waiting:
                client.close()


@pytest.mark.parametrize(
    ("parts", "limits", "phase"),
    [
        ((LONG_S,), {"first_byte_s": 0.1}, "first_byte"),
        ((CHUNKED, LONG_S), {"first_byte_s": 0.1}, "first_byte"),
        ((CHUNKED, chunk(b"data: 1\n\n"), LONG_S), {"idle_s": 0.1}, "idle"),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123", LONG_S), {"idle_s": 0.1}, "idle"),
        ((LONG_S,), {"total_s": 0.1}, "total"),
        ((CHUNKED, *(part for _ in range(200) for part in (chunk(b"x"), 0.01))), {"total_s": 0.2}, "total"),
    ],
)
async def test_each_wait_has_its_limit(
    transport: Transport, parts: tuple[bytes | float, ...], limits: dict[str, float], phase: str
) -> None:
    async with upstream(answering(*parts)) as server:
        with pytest.raises(UpstreamTimeout) as caught:
            await (await transport.send(call(server.url, **limits))).read()
        assert caught.value.phase == phase
        await asyncio.wait_for(server.closed.wait(), LONG_S)


async def test_a_slow_stream_that_keeps_coming_is_read_to_its_end(transport: Transport) -> None:
    parts = [part for number in range(5) for part in (chunk(b"%d" % number), 0.05)]
    async with upstream(answering(CHUNKED, *parts, b"0\r\n\r\n")) as server:
        response = await transport.send(call(server.url, first_byte_s=0.2, idle_s=0.2))
        assert [piece async for piece in response.chunks()] == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ((), ConnectionLost),
        ((b"HTTP/1.1 200",), ConnectionLost),
        ((b"not http at all\r\n\r\n",), AnswerMalformed),
        ((b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000 + b"\r\n\r\n",), AnswerMalformed),
        ((b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 500 + b"content-length: 0\r\n\r\n",), AnswerMalformed),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort",), StreamCut),
        ((CHUNKED, chunk(b"data: 1\n\n")), StreamCut),
    ],
)
async def test_what_is_no_answer_is_told_as_what_it_is(
    transport: Transport, parts: tuple[bytes, ...], error: type[UpstreamError]
) -> None:
    async with upstream(answering(*parts, then_close=True)) as server:
        with pytest.raises(UpstreamError) as caught:
            await (await transport.send(call(server.url))).read()
        assert type(caught.value) is error


async def test_a_chunk_that_cannot_be_read_ends_the_call_at_once(transport: Transport) -> None:
    async with upstream(answering(CHUNKED, chunk(b"data: 1\n\n"), 0.05, b"zz\r\n", LONG_S)) as server:
        response = await transport.send(call(server.url))
        chunks = response.chunks()
        assert await anext(chunks) == b"data: 1\n\n"
        with pytest.raises(AnswerMalformed):
            await anext(chunks)
        await asyncio.wait_for(server.closed.wait(), LONG_S)


async def test_an_answer_without_an_end_is_stopped_at_its_limit(transport: Transport) -> None:
    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        while True:
            writer.write(chunk(b"x" * 10_000))
            await writer.drain()

    async with upstream(pour) as server:
        response = await transport.send(call(server.url))
        with pytest.raises(AnswerTooLarge):
            await response.read(bytes_max=1_000_000)
        await asyncio.wait_for(server.closed.wait(), LONG_S)


async def test_a_packed_answer_is_refused_before_it_is_unpacked(transport: Transport) -> None:
    packed = gzip.compress(b"0" * 5_000_000)
    async with upstream(answering(whole(packed, headers="content-encoding: gzip\r\n"))) as server:
        with pytest.raises(AnswerMalformed, match="compressed"):
            await transport.send(call(server.url))
        await asyncio.wait_for(server.closed.wait(), LONG_S)


async def test_a_slow_reader_makes_the_provider_wait(transport: Transport) -> None:
    written = 0

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(CHUNKED)
        while True:
            writer.write(chunk(b"x" * 65_536))
            await writer.drain()
            written += 65_536

    async with upstream(pour) as server:
        response = await transport.send(call(server.url))
        chunks = response.chunks()
        await anext(chunks)
        before, now = -1, 0
        while now != before:
            await asyncio.sleep(0.1)
            before, now = now, written
        assert written < 16 * 1024 * 1024
        response.close()
        await chunks.aclose()


@pytest.mark.parametrize("leave", ["close", "aclose", "cancel"])
async def test_leaving_a_stream_closes_its_socket(transport: Transport, leave: str) -> None:
    async with upstream(answering(CHUNKED, chunk(b"data: 1\n\n"), LONG_S)) as server:
        response = await transport.send(call(server.url))
        chunks = response.chunks()
        assert await anext(chunks) == b"data: 1\n\n"
        if leave == "close":
            response.close()
        elif leave == "cancel":
            task = asyncio.create_task(anext(chunks))  # type: ignore[arg-type] # a coroutine in CPython
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await chunks.aclose()
        await asyncio.wait_for(server.closed.wait(), LONG_S)


async def test_a_cancelled_call_closes_its_socket(transport: Transport) -> None:
    async with upstream(answering(LONG_S)) as server:
        task = asyncio.create_task(transport.send(call(server.url)))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        await asyncio.wait_for(server.closed.wait(), LONG_S)


async def test_a_closed_transport_can_be_used_again_and_leaves_nothing_open() -> None:
    async with upstream(answering(whole(b"{}"))) as server:
        transport = Transport()
        for _ in range(2):
            await (await transport.send(call(server.url))).read()
            await transport.close()
            await asyncio.wait_for(server.closed.wait(), LONG_S)
    assert server.connections == 2
