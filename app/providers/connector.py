"""Opens connections: resolves, checks, connects to exactly what was checked. Used by the pool.

Invariant: a checked route is connected only to an address that passed the rules of `addresses`, all
of its name's addresses having passed; TLS is verified against the name, whatever the address.
"""

import asyncio
import os
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final, NamedTuple

from app.providers.addresses import RESOLVE_TIMEOUT_S, AllowList, Lookup, check_connection, resolve_allowed
from app.providers.connection import READ_BYTES_MAX, Connection
from app.providers.errors import ConnectFailed

RESOLVED_FOR_S: Final = 10.0
RESOLVED_MAX: Final = 4_096


class Route(NamedTuple):
    """What two calls must share to share a connection."""

    is_checked: bool
    is_https: bool
    host: str
    port: int


class Connector:
    """Knows for ten seconds what a name resolved to, and how a vendor's certificate is verified."""

    def __init__(
        self,
        allow: AllowList,
        lookup: Lookup,
        tls: ssl.SSLContext | None = None,
        *,
        resolved_for_s: float = RESOLVED_FOR_S,
        resolved_max: int = RESOLVED_MAX,
    ) -> None:
        self._allow = allow
        self._lookup = lookup
        self._tls = tls
        self._resolved_for_s = resolved_for_s
        self._resolved_max = resolved_max
        self._known: dict[Route, tuple[float, tuple[str, ...]]] = {}
        self._asked: dict[Route, asyncio.Task[tuple[str, ...]]] = {}
        # One for all connections: a read is parsed before the next one begins.
        self._read_buffer = memoryview(bytearray(READ_BYTES_MAX))

    async def connect(
        self, route: Route, *, label: str, due_at: float, on_lost: Callable[[Connection], None]
    ) -> Connection:
        """A new connection to the first of the route's addresses that takes one.

        `label` is what the reader may be told of the host. Raises AddressNotAllowed, ConnectFailed, or
        TimeoutError when no address answered in its share of the time.
        """
        addresses = await self._resolve(route)
        reason = None
        for position, address in enumerate(addresses):
            if route.is_checked:
                check_connection(address, route.port, self._allow)
            connection = Connection(self._read_buffer, on_lost)
            left_s = due_at - asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(left_s / (len(addresses) - position)):
                    await self._connect(connection, route, address)
            except TimeoutError:
                connection.close()
            except (OSError, UnicodeError) as error:
                connection.close()
                reason = _reason(error)
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        if reason is None:
            raise TimeoutError
        raise ConnectFailed(f"No connection to {label}: {reason}.")

    async def _connect(self, connection: Connection, route: Route, address: str) -> None:
        loop = asyncio.get_running_loop()
        # A trailing dot belongs to the lookup; no certificate is issued for one.
        name = route.host.rstrip(".") if route.is_https else None
        transport, _ = await loop.create_connection(
            lambda: connection, address, route.port, ssl=self._tls_context() if route.is_https else None,
            server_hostname=name,
        )  # fmt: skip
        if route.is_checked:
            check_connection(str(transport.get_extra_info("peername")[0]), route.port, self._allow)

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    async def _resolve(self, route: Route) -> tuple[str, ...]:
        if _is_address(route.host):
            return (route.host,)
        until, addresses = self._known.get(route, (0.0, ()))
        if until > asyncio.get_running_loop().time():
            return addresses
        task = self._asked.get(route)
        if task is None:
            task = self._asked[route] = asyncio.create_task(self._ask(route))
        # Many wait for one answer, and one of them that leaves does not take it from the others.
        return await asyncio.shield(task)

    async def _ask(self, route: Route) -> tuple[str, ...]:
        try:
            if route.is_checked:
                addresses = await resolve_allowed(route.host, route.port, self._allow, lookup=self._lookup)
            else:
                addresses = await self._look_up(route)
            self._known.pop(route, None)
            while len(self._known) >= self._resolved_max:
                del self._known[next(iter(self._known))]
            self._known[route] = (asyncio.get_running_loop().time() + self._resolved_for_s, addresses)
            return addresses
        finally:
            del self._asked[route]

    async def _look_up(self, route: Route) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_S):
                addresses = await self._lookup(route.host, route.port)
        except (OSError, UnicodeError):
            addresses = ()
        if not addresses:
            # Not named: the platform's hosts are not a tenant's to learn, and this answer is shared.
            raise ConnectFailed("The provider's host cannot be resolved.")
        return addresses


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, ssl.SSLError | UnicodeError):
        return "its TLS certificate or protocol was not accepted"
    # Not the error's own words: asyncio's repeat the address.
    return os.strerror(error.errno).lower() if error.errno else "it was refused"
