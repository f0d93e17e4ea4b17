"""Bodies in, replies out, over an ASGI connection."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from app.gateway.call import Reply
from app.gateway.errors import BodyTooLarge, ClientGone
from app.http.asgi import HangUp, headers_of, read_body, send_reply


def receiver(*messages: dict[str, Any]) -> Any:
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    return receive


def chunk(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_headers_that_were_sent_twice_are_lists_however_many_there_are() -> None:
    # A hundred thousand, as a stranger may send before any key is looked at: in quadratic time this takes minutes.
    pairs = [(b"a", b"1"), *((b"x-%d" % number, b"v") for number in range(100_000)), (b"a", b"2")]
    headers = headers_of({"headers": pairs})  # type: ignore[typeddict-item]  # all that is read
    assert (headers[b"a"], headers[b"x-7"], len(headers)) == (b"1, 2", b"v", 100_001)


async def test_a_body_in_chunks_is_joined() -> None:
    body = await read_body({}, receiver(chunk(b"a", more=True), chunk(b"b")), limit_bytes=2)
    assert body == b"ab"


async def test_a_declared_length_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(BodyTooLarge):
        await read_body({b"content-length": b"3"}, receiver(), limit_bytes=2)


async def test_an_undeclared_body_is_refused_as_soon_as_it_passes_the_limit() -> None:
    with pytest.raises(BodyTooLarge):
        await read_body({}, receiver(chunk(b"abc", more=True)), limit_bytes=2)


async def test_a_client_that_breaks_off_its_body_is_gone() -> None:
    with pytest.raises(ClientGone):
        await read_body({}, receiver({"type": "http.disconnect"}), limit_bytes=2)


async def test_a_stream_is_closed_when_sending_fails() -> None:
    is_closed = False

    async def stream() -> AsyncGenerator[bytes, None]:
        nonlocal is_closed
        try:
            yield b"a"
            yield b"b"
        finally:
            is_closed = True

    async def send(message: dict[str, Any]) -> None:
        if message.get("body") == b"b":
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await send_reply(Reply(status=200, headers=[], stream=stream()), send)
    assert is_closed


async def test_hanging_up_cancels_the_answering_task() -> None:
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    hang_up = HangUp(receive)

    async def answer() -> None:
        hang_up.watch()
        gone.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(answer())
    await asyncio.wait([task])
    assert task.cancelled()
    assert hang_up.has_happened


@pytest.mark.parametrize("is_read", [True, False])
async def test_a_client_that_reads_no_more_is_as_good_as_gone(is_read: bool) -> None:
    hang_up = HangUp(lambda: asyncio.Event().wait(), unread_s_max=0.02)  # type: ignore[arg-type, return-value]  # never heard of
    sent = 0

    async def send(message: dict[str, Any]) -> None:
        nonlocal sent
        sent += 1
        await asyncio.sleep(0.001 if is_read else 60)

    async def stream() -> AsyncGenerator[bytes, None]:
        for _ in range(50):
            yield b"x"

    async def answer() -> None:
        hang_up.watch()
        await send_reply(Reply(status=200, headers=[], stream=stream()), hang_up.timed(send))  # type: ignore[arg-type]  # a dict is enough

    task = asyncio.create_task(answer())
    await asyncio.wait([task], timeout=5)
    hang_up.stop()
    assert (task.cancelled(), hang_up.has_happened) == (not is_read, not is_read)
    assert sent == (52 if is_read else 1)
