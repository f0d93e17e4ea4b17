"""The only provider I/O: one outbound HTTP/1.1 client, pinned to checked addresses.

Called by each attempt. Invariants: a tenant's call never reaches an address that the rules of
`addresses` refuse, whatever the name resolves to and whenever; no request is sent twice; no redirect
is followed; no proxy is taken from the environment; every wait and every size has a limit.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from functools import lru_cache
from types import TracebackType
from typing import Final, NamedTuple, Self
from uuid import UUID

import msgspec

from app.providers.addresses import AllowList, Lookup, check_target, look_up, read_target
from app.providers.connection import EARLY_S, Connection
from app.providers.connection_pool import ConnectionPool
from app.providers.connector import Connector, Route
from app.providers.errors import AnswerTooLarge, StreamCut, TimeoutPhase, UpstreamTimeout
from app.providers.request_head import head_start, write_head
from billing import CredentialOwner
from tenants import PLATFORM_TENANT_ID

ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
STREAM_BYTES_MAX: Final = 128 * 1024 * 1024
_DESTINATIONS_MAX: Final = 4_096


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """The longest waits of one call. `first_byte_s` covers the headers and the body's first byte."""

    connect_s: float = 5.0
    first_byte_s: float = 60.0
    idle_s: float = 30.0
    total_s: float = 600.0


def _nobody_listens() -> None:
    """Do nothing."""


class UpstreamCall(msgspec.Struct, frozen=True, kw_only=True):
    """One POST to a provider. `credential_owner` decides whether its address is checked, `tenant_id` whose share
    of the connections it takes; `on_sent` is told when the provider may have it."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    credential_owner: CredentialOwner
    tenant_id: UUID = PLATFORM_TENANT_ID
    timeouts: Timeouts = Timeouts()
    on_sent: Callable[[], None] = _nobody_listens


class Transport:
    """The connections of the process; use as an async context manager, or `close` it."""

    def __init__(
        self, allow: AllowList | None = None, *, lookup: Lookup = look_up, tls: ssl.SSLContext | None = None
    ) -> None:
        """`tls` is for a certificate authority of one's own; the system's are trusted by default."""
        self._allow = allow or AllowList()
        self._lookup = lookup
        self._tls = tls
        self._opened: ConnectionPool | None = None
        self._destination_of = lru_cache(_DESTINATIONS_MAX)(self._read_destination)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        pool, self._opened = self._opened, None
        if pool is not None:
            await pool.close()

    async def send(self, call: UpstreamCall) -> "UpstreamResponse":
        """Send one call; return when the headers are there. The caller reads or closes the response.

        Raises AddressNotAllowed, ConnectionsTaken, ConnectFailed, ConnectionLost, UpstreamTimeout or
        AnswerMalformed.
        """
        destination = self._destination_of(call.url, call.credential_owner)
        route = destination.route
        head = write_head(destination.head_start, call.headers, len(call.body))
        deadline = _Deadline(call.timeouts)
        pool = self._opened
        if pool is None:
            pool = self._opened = ConnectionPool(Connector(self._allow, self._lookup, self._tls))
        tenant_id = call.tenant_id
        connection = pool.take(route, tenant_id)
        if connection is None:
            connection = await _acquire(pool, destination, tenant_id, deadline)
        call.on_sent()
        try:
            if not await connection.exchange(head, call.body, deadline.first_byte_at):
                raise deadline.passed("first_byte")
        except BaseException:
            pool.release(connection, route, tenant_id)
            raise
        return UpstreamResponse(pool, connection, route, tenant_id, deadline)

    def _read_destination(self, url: str, owner: CredentialOwner) -> "_Destination":
        target = read_target(url)
        is_checked = owner != "platform" and not self._allow.has_host(target.host, target.port)
        if is_checked:
            check_target(target, self._allow)
        # The kind is a part of the route, so that no tenant's call rides on a connection made without a check.
        route = Route(is_checked, target.is_https, target.host, target.port)
        # What a platform's credential leads to is not a tenant's to learn.
        label = target.host if owner == "tenant" else "the provider"
        return _Destination(route, head_start(url, target), label)


class UpstreamResponse:
    """A provider's answer whose headers have come. Read it whole or by chunks, and close it."""

    __slots__ = (
        "_connection", "_deadline", "_has_first_byte", "_is_read", "_pool", "_route", "_tenant_id", "headers", "status",
    )  # fmt: skip

    def __init__(
        self, pool: ConnectionPool, connection: Connection, route: Route, tenant_id: UUID, deadline: "_Deadline"
    ) -> None:
        self._pool = pool
        self._connection: Connection | None = connection
        self._route = route
        self._tenant_id = tenant_id
        self._deadline = deadline
        self._has_first_byte = self._is_read = False
        self.status: int = connection.response.status
        self.headers: Mapping[str, str] = connection.response.headers

    async def read(self, *, bytes_max: int = ANSWER_BYTES_MAX) -> bytes:
        """Read the whole body. Raises like `chunks`, and closes then."""
        pieces = []
        size = 0
        try:
            while not self._is_read:
                pieces.append(await self._next())
                size = _within(bytes_max, size + len(pieces[-1]))
        finally:
            self.close()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self, *, bytes_max: int = STREAM_BYTES_MAX) -> AsyncIterator[bytes]:
        """Yield the body as it comes; the provider waits while the consumer does.

        Closes the connection unless the body had come to its end. Raises AnswerTooLarge, AnswerMalformed,
        StreamCut or UpstreamTimeout.
        """
        size = 0
        try:
            while piece := await self._next():
                size = _within(bytes_max, size + len(piece))
                yield piece
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back, or close its socket if the body had not come to its end. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(connection, self._route, self._tenant_id)

    async def _next(self) -> bytes:
        connection, deadline = self._connection, self._deadline
        if connection is None:
            return self._ended()
        if deadline.is_over():
            raise deadline.passed("total")
        if not connection.has_news:
            phase: TimeoutPhase = "idle" if self._has_first_byte else "first_byte"
            due_at = deadline.idle_at() if self._has_first_byte else deadline.first_byte_at
            while not connection.has_news:
                if not await connection.wait(due_at):
                    raise deadline.passed(phase)
                # Closed meanwhile, the connection may be another call's by now.
                if self._connection is not connection:
                    return self._ended()
        piece = connection.take()
        self._has_first_byte = True
        if connection.response.is_complete:
            # Given back before the last piece is looked at: the next call need not wait for this reader.
            self._is_read = True
            self.close()
        return piece

    def _ended(self) -> bytes:
        if not self._is_read:
            raise StreamCut("The answer was closed before its end.")
        return b""


class _Destination(NamedTuple):
    """Where a call goes, as far as its address decides it."""

    route: Route
    head_start: str
    label: str


class _Deadline:
    """Clocks of one call: until when each wait may last."""

    __slots__ = ("_loop", "_started_at", "_timeouts", "_total_at", "first_byte_at")

    def __init__(self, timeouts: Timeouts) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._timeouts = timeouts
        self._started_at = started_at = loop.time()
        self._total_at = total_at = started_at + timeouts.total_s
        self.first_byte_at = min(started_at + timeouts.first_byte_s, total_at)

    def connect_at(self) -> float:
        """Until when a connection may take to be there."""
        return min(self._started_at + self._timeouts.connect_s, self.first_byte_at)

    def idle_at(self) -> float:
        """Until when the next byte must have come."""
        return min(self._loop.time() + self._timeouts.idle_s, self._total_at)

    def is_over(self) -> bool:
        """Has the whole call lasted too long?"""
        return self._loop.time() >= self._total_at

    def passed(self, phase: TimeoutPhase) -> UpstreamTimeout:
        """The error of a wait that ended without its event: the limit that was the first to be reached."""
        limits = self._timeouts
        if self._loop.time() + EARLY_S >= self._total_at:
            return UpstreamTimeout("total", limits.total_s)
        if phase == "connect" and limits.connect_s <= limits.first_byte_s:
            return UpstreamTimeout("connect", limits.connect_s)
        if phase == "idle":
            return UpstreamTimeout("idle", limits.idle_s)
        return UpstreamTimeout("first_byte", limits.first_byte_s)


async def _acquire(pool: ConnectionPool, destination: _Destination, tenant_id: UUID, deadline: _Deadline) -> Connection:
    try:
        return await pool.acquire(destination.route, tenant_id, label=destination.label, due_at=deadline.connect_at())
    except TimeoutError:
        raise deadline.passed("connect") from None


def _within(bytes_max: int, size: int) -> int:
    if size > bytes_max:
        raise AnswerTooLarge(f"The provider's answer is larger than {bytes_max} bytes.")
    return size
