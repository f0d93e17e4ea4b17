"""Who may use which connection, and when. Used by the transport.

Invariants: a connection belongs to one call at a time and to one route for ever; the slots that are
taken are the calls that run, however they end; no more sockets are open than there are slots; a tenant's
calls leave some of them to others.
"""

import asyncio
from typing import Final
from uuid import UUID

from app.providers.connection import Connection
from app.providers.connector import Connector, Route
from app.providers.errors import ConnectFailed, ConnectionsTaken
from app.providers.slots import Slots

CONNECTIONS_MAX: Final = 1_000
CONNECTIONS_PER_HOST_MAX: Final = 500
# Shorter than what servers keep open, because a POST on a closed connection cannot be sent again safely.
KEEP_ALIVE_S: Final = 4.0
# How often the loop may turn until every aborted socket has told so; TLS takes two or three.
_CLOSE_TURNS_MAX: Final = 100


class _Host:
    """The connections of one route."""

    __slots__ = ("calls", "idle", "slots")

    def __init__(self, connections_max: int) -> None:
        self.calls = 0
        self.slots = Slots(connections_max)
        # Oldest first, the last one in is the first one out.
        self.idle: dict[Connection, None] = {}


class ConnectionPool:
    """Give a call its connection, and take it back when the call is over."""

    def __init__(
        self,
        connector: Connector,
        *,
        connections_max: int = CONNECTIONS_MAX,
        connections_per_host_max: int = CONNECTIONS_PER_HOST_MAX,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self._connector = connector
        self._keep_alive_s = keep_alive_s
        self._connections_max = connections_max
        self._connections_per_host_max = connections_per_host_max
        self._slots = Slots(connections_max)
        self._hosts: dict[Route, _Host] = {}
        self._open: dict[Connection, Route] = {}
        self._connecting = 0
        self._is_closed = False

    def take(self, route: Route, tenant_id: UUID) -> Connection | None:
        """A connection that waits for a call, if there is one and the tenant may have it at once."""
        host = self._hosts.get(route)
        if host is None or not host.idle:
            return None
        if not (host.slots.may_take(tenant_id) and self._slots.may_take(tenant_id)):
            return None
        connection = self._take_idle(host)
        if connection is not None:
            host.calls += 1
            host.slots.take_now(tenant_id)
            self._slots.take_now(tenant_id)
        return connection

    async def acquire(self, route: Route, tenant_id: UUID, *, label: str, due_at: float) -> Connection:
        """A connection, as soon as there is a slot for the tenant.

        Raises ConnectionsTaken when there is none in time, TimeoutError when a new connection is not made in
        time, and like `Connector.connect`.
        """
        host = self._hosts.get(route)
        if host is None:
            host = self._hosts[route] = _Host(self._connections_per_host_max)
        host.calls += 1
        taken = []
        try:
            for slots in (host.slots, self._slots):
                await _take_in_time(slots, tenant_id, due_at)
                taken.append(slots)
            connection = self._take_idle(host)
            if connection is None:
                async with asyncio.timeout_at(due_at):
                    connection = await self._connect(route, label, due_at)
            return connection
        except BaseException:
            for slots in taken:
                slots.give_back(tenant_id)
            self._leave(route, host)
            raise

    def release(self, connection: Connection, route: Route, tenant_id: UUID) -> None:
        """End a call's turn, once. A connection that cannot serve another call is closed at once."""
        host = self._hosts[route]
        if connection.is_reusable and not self._is_closed:
            host.idle[connection] = None
            connection.rest(self._keep_alive_s)
        else:
            connection.close()
        host.slots.give_back(tenant_id)
        self._slots.give_back(tenant_id)
        self._leave(route, host)

    async def close(self) -> None:
        """Close every socket; calls that still run lose theirs."""
        self._is_closed = True
        for connection in list(self._open):
            connection.close()
        for _ in range(_CLOSE_TURNS_MAX):
            if not self._open:
                break
            await asyncio.sleep(0)

    async def _connect(self, route: Route, label: str, due_at: float) -> Connection:
        if len(self._open) + self._connecting >= self._connections_max:
            self._close_oldest()
        self._connecting += 1
        try:
            connection = await self._connector.connect(route, label=label, due_at=due_at, on_lost=self._forget)
        finally:
            self._connecting -= 1
        if connection.is_open:
            self._open[connection] = route
        if self._is_closed:
            connection.close()
            raise ConnectFailed("The gateway is stopping.")
        return connection

    def _take_idle(self, host: _Host) -> Connection | None:
        while host.idle:
            connection, _ = host.idle.popitem()
            if connection.is_fresh():
                return connection
            connection.close()
        return None

    def _close_oldest(self) -> None:
        oldest = [(host, next(iter(host.idle))) for host in self._hosts.values() if host.idle]
        if oldest:
            host, connection = min(oldest, key=lambda row: row[1].rests_until)
            del host.idle[connection]
            connection.close()

    def _forget(self, connection: Connection) -> None:
        route = self._open.pop(connection, None)
        host = self._hosts.get(route) if route is not None else None
        if route is not None and host is not None:
            host.idle.pop(connection, None)
            self._drop_unused(route, host)

    def _leave(self, route: Route, host: _Host) -> None:
        host.calls -= 1
        self._drop_unused(route, host)

    def _drop_unused(self, route: Route, host: _Host) -> None:
        """Tenants name hosts as they like; what is kept for each must not outlive its use."""
        if not host.calls and not host.idle and self._hosts.get(route) is host:
            del self._hosts[route]


async def _take_in_time(slots: Slots, tenant_id: UUID, due_at: float) -> None:
    if slots.may_take(tenant_id):
        slots.take_now(tenant_id)
        return
    try:
        async with asyncio.timeout_at(due_at):
            await slots.take(tenant_id)
    except TimeoutError:
        raise ConnectionsTaken from None
