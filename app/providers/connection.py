"""One connection to a provider: a request goes out, a response comes in, and again. Used by the pool.

Invariants: a byte that comes while no request is out closes it; at most `READ_BYTES_MAX` twice are
held for a reader that does not read; every wait ends by its time.
"""

import asyncio
import select
from collections.abc import Callable
from typing import Final, cast

from app.providers.errors import ConnectFailed, ConnectionLost, StreamCut, UpstreamError
from app.providers.response_parser import ResponseParser

READ_BYTES_MAX: Final = 32 * 1024
WRITE_BYTES_MAX: Final = 64 * 1024
# uvloop counts in milliseconds and may ring half of one too early.
EARLY_S: Final = 0.001


class Connection(asyncio.BufferedProtocol):
    """Belongs to one call at a time; `close` and `rest` end its turn."""

    __slots__ = (
        "_alarm",
        "_alarm_at",
        "_due_at",
        "_error",
        "_is_busy",
        "_is_paused",
        "_is_write_paused",
        "_is_written",
        "_loop",
        "_on_lost",
        "_probe",
        "_read_buffer",
        "_transport",
        "_waiter",
        "is_open",
        "response",
    )

    def __init__(self, read_buffer: memoryview, on_lost: Callable[["Connection"], None]) -> None:
        """`read_buffer` may be shared: nothing stays in it after a read was told."""
        self.response = ResponseParser()
        self.is_open = False
        self._loop = asyncio.get_running_loop()
        self._read_buffer = read_buffer
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._probe = select.poll()
        self._waiter: asyncio.Future[bool] | None = None
        self._error: UpstreamError | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = self._due_at = 0.0
        self._is_busy = self._is_written = self._is_paused = self._is_write_paused = False

    @property
    def has_news(self) -> bool:
        """Would `take` return or raise something new?"""
        response = self.response
        return response.buffered_bytes > 0 or response.is_complete or self._error is not None

    @property
    def is_reusable(self) -> bool:
        """Has the turn ended so that another request may follow?"""
        return (
            self.is_open
            and self._is_written
            and self.response.is_complete
            and self.response.is_kept_alive
            and self._transport is not None
            and self._transport.get_write_buffer_size() == 0
        )

    @property
    def rests_until(self) -> float:
        """When a connection that waits for a call gives up."""
        return self._due_at

    def is_fresh(self) -> bool:
        """Is it open, with nothing come since? Asks the kernel, which may know of an end before the loop does."""
        transport = self._transport
        return self.is_open and transport is not None and not transport.is_closing() and not self._probe.poll(0)

    async def exchange(self, head: bytes, body: bytes, due_at: float) -> bool:
        """Send a request and wait for the head of its response; False when the time is over.

        Raises ConnectFailed when nothing was sent, ConnectionLost or AnswerMalformed.
        """
        transport = self._transport
        if transport is None or transport.is_closing() or not self.is_open:
            raise ConnectFailed("The connection was closed before the call could be sent.")
        self.response.restart()
        self._is_busy, self._is_written = True, False
        if len(body) <= WRITE_BYTES_MAX:
            transport.write(head + body)
            self._is_written = True
        elif not await self._write_in_pieces(transport, head, body, due_at):
            return False
        while not self.response.has_head:
            if self._error is not None:
                raise self._error
            if not await self.wait(due_at):
                return False
        return True

    async def wait(self, due_at: float) -> bool:
        """Wait for something new; False when the time is over. One waits at a time."""
        assert self._waiter is None, "two read one response"
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._waiter = waiter
        self._ring_at(due_at)
        try:
            return await waiter
        finally:
            if self._waiter is waiter:
                self._waiter = None

    def take(self) -> bytes:
        """What has come of the body. Raises StreamCut or AnswerMalformed when that was all."""
        piece = self.response.take()
        self._read_on()
        if not piece and self._error is not None and not self.response.is_complete:
            raise self._error
        return piece

    def rest(self, rest_s: float) -> None:
        """End the turn and stay open for a while."""
        self.response.take()
        self._read_on()
        self._is_busy, self._waiter = False, None
        self._ring_at(self._loop.time() + rest_s)

    def close(self) -> None:
        """Close the socket at once. Idempotent."""
        self._end(self._loss())
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is no subclass
        self._probe.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self.is_open = True

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return self._read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have come."""
        if not self._is_busy:
            self.close()
            return
        if not self.is_open:
            return
        response = self.response
        try:
            response.feed(self._read_buffer[:nbytes])
        except UpstreamError as error:
            self._end(error)
            self.close()
            return
        if response.buffered_bytes >= READ_BYTES_MAX and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        if response.has_head:
            self._wake()

    def eof_received(self) -> None:
        """The peer sends no more; the transport closes."""
        self.response.feed_end()
        self._end(self._loss())

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._end(self._loss())
        self._transport = None
        self._on_lost(self)

    def pause_writing(self) -> None:
        """The peer reads too slowly."""
        self._is_write_paused = True

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self._is_write_paused = False
        self._wake()

    async def _write_in_pieces(self, transport: asyncio.Transport, head: bytes, body: bytes, due_at: float) -> bool:
        transport.write(head)
        view = memoryview(body)
        for start in range(0, len(body), WRITE_BYTES_MAX):
            transport.write(view[start : start + WRITE_BYTES_MAX])
            while self._is_write_paused:
                # A provider that answers before it has read all, with 413 say, reads no more.
                if self.response.has_head or self._error is not None:
                    return True
                if not await self.wait(due_at):
                    return False
        self._is_written = True
        return True

    def _read_on(self) -> None:
        if self._is_paused and self.is_open and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()

    def _loss(self) -> UpstreamError:
        if self.response.has_head:
            return StreamCut("The provider's answer broke off before its end.")
        return ConnectionLost("The provider closed the connection before it answered.")

    def _end(self, error: UpstreamError) -> None:
        """Keep the first reason; whoever waits learns it after what has come before."""
        self.is_open = False
        if self._error is None:
            self._error = error
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    def _ring_at(self, due_at: float) -> None:
        """Have the alarm rung at a time. One that rings too early is set anew, so that most turns set none."""
        self._due_at = due_at
        if self._alarm is None or due_at < self._alarm_at:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm_at = due_at
            self._alarm = self._loop.call_at(due_at, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._due_at > self._loop.time() + EARLY_S:
            if self._waiter is not None or not self._is_busy:
                self._ring_at(self._due_at)
        elif not self._is_busy:
            self.close()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)
