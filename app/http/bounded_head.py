"""The server's HTTP protocol with a limit to what a stranger may send before anybody asks who it is.

Given to uvicorn by `app/commands/serving.py`. uvicorn's own gathers a head of any size for any time, in
quadratic time: 150 MB of one header took a process a minute. Invariant: a head ends within its size and its time.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Twice what Node and nginx take, because metadata and tags come in headers.
HEAD_BYTES_MAX: Final = 64 * 1024
HEAD_S_MAX: Final = 20.0


class BoundedHeadProtocol(HttpToolsProtocol):
    """One connection of a client."""

    head_s_max = HEAD_S_MAX

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._is_in_head = True
        self._head_bytes = 0
        self._head_alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """A client has come."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come. Only those count that are a part of a head and nothing else."""
        was_in_head = self._is_in_head
        super().data_received(data)
        if not self._is_in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data) if was_in_head else 0
        if self._head_bytes > HEAD_BYTES_MAX:
            self.send_400_response(f"The head of the request is larger than {HEAD_BYTES_MAX} bytes.")
        elif self._head_alarm is None:
            self._wait_for_head()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._is_in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def _wait_for_head(self) -> None:
        self._head_alarm = self.loop.call_later(self.head_s_max, self._give_up)

    def _give_up(self) -> None:
        self._head_alarm = None
        if self._is_in_head and not self.transport.is_closing():
            self.transport.close()

    def _stop_waiting(self) -> None:
        if self._head_alarm is not None:
            self._head_alarm.cancel()
            self._head_alarm = None
