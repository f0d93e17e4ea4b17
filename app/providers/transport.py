"""The only provider I/O: one outbound client on aiohttp, pinned to checked addresses.

Called by each attempt. Invariants: a tenant's call never reaches an address that the rules of
`addresses` refuse, whatever the name resolves to and whenever; no redirect is followed; no proxy is
taken from the environment; every wait and every size has a limit.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Final, Self

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from app.providers.addresses import (
    AllowList,
    Lookup,
    Target,
    check_connection,
    check_target,
    look_up,
    read_target,
    resolve_allowed,
)
from app.providers.errors import (
    AnswerMalformed,
    AnswerTooLarge,
    ConnectFailed,
    ConnectionLost,
    StreamCut,
    TimeoutPhase,
    UpstreamTimeout,
)
from billing import CredentialOwner

CONNECTIONS_MAX: Final = 1_000
CONNECTIONS_PER_HOST_MAX: Final = 500
# Shorter than what servers keep open, because a POST on a closed connection cannot be sent again safely.
KEEP_ALIVE_S: Final = 4.0
RESOLVED_FOR_S: Final = 10
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
STREAM_BYTES_MAX: Final = 128 * 1024 * 1024
HEADER_BYTES_MAX: Final = 8 * 1024
HEADERS_MAX: Final = 128
# How much of a stream is read ahead of a slow caller before the provider is made to wait.
STREAM_BUFFER_BYTES: Final = 64 * 1024
_HEADERS_KEPT: Final = frozenset({"content-type", "retry-after", "retry-after-ms", "x-request-id", "x-sandbox"})


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """The longest waits of one call. `first_byte_s` covers the headers and the body's first byte."""

    connect_s: float = 5.0
    first_byte_s: float = 60.0
    idle_s: float = 30.0
    total_s: float = 600.0


class UpstreamCall(msgspec.Struct, frozen=True, kw_only=True):
    """One POST to a provider. `credential_owner` decides whether its address is checked."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    credential_owner: CredentialOwner
    timeouts: Timeouts = Timeouts()


class Transport:
    """A pool of connections for the process; use as an async context manager, or `close` it."""

    def __init__(self, allow: AllowList | None = None, *, lookup: Lookup = look_up) -> None:
        self._allow = allow or AllowList()
        self._lookup = lookup
        # Two pools, so that no tenant's call can ride on a connection that was made without a check.
        self._checked: aiohttp.ClientSession | None = None
        self._trusted: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        for session in (self._checked, self._trusted):
            if session is not None:
                await session.close()
        self._checked = self._trusted = None

    async def send(self, call: UpstreamCall) -> "UpstreamResponse":
        """Send one call; return when the headers are there. The caller reads or closes the response.

        Raises AddressNotAllowed, ConnectFailed, ConnectionLost, UpstreamTimeout or AnswerMalformed.
        """
        target = read_target(call.url)
        deadline = _Deadline(call.timeouts)
        session = self._session_for(target, call.credential_owner)
        request = session.post(
            URL(call.url, encoded=True),
            data=call.body,
            headers=call.headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(connect=min(call.timeouts.connect_s, deadline.left_s())),
        )
        try:
            response = await deadline.first_byte(request)
        except (aiohttp.ConnectionTimeoutError, aiohttp.ServerTimeoutError):
            raise UpstreamTimeout("connect", call.timeouts.connect_s) from None
        except aiohttp.ClientConnectorError as error:
            raise ConnectFailed(f"No connection to {target.host}: {_reason(error)}.") from None
        except aiohttp.ClientResponseError:
            raise AnswerMalformed("The provider's response is not well-formed HTTP.") from None
        except ValueError:
            # A line end in a header, say; the error would repeat the header's value, which is the key.
            raise ConnectFailed("The call cannot be written as HTTP; check the credential's address and key.") from None
        except (aiohttp.ClientError, OSError):
            raise ConnectionLost("The provider closed the connection before it answered.") from None
        return UpstreamResponse(response, deadline)

    def _session_for(self, target: Target, owner: CredentialOwner) -> aiohttp.ClientSession:
        if owner == "platform" or self._allow.has_host(target.host, target.port):
            if self._trusted is None:
                self._trusted = _session(_connector())
            return self._trusted
        check_target(target, self._allow)
        if self._checked is None:
            self._checked = _session(
                _connector(resolver=_CheckedResolver(self._allow, self._lookup), socket_factory=self._checked_socket)
            )
        return self._checked

    def _checked_socket(self, address: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        family, kind, protocol, _, sockaddr = address
        check_connection(str(sockaddr[0]), int(str(sockaddr[1])), self._allow)
        return socket.socket(family, kind, protocol)


class UpstreamResponse:
    """A provider's answer whose headers have come. Read it whole or by chunks, and close it."""

    def __init__(self, response: aiohttp.ClientResponse, deadline: "_Deadline") -> None:
        self._response = response
        self._deadline = deadline
        self.status: int = response.status
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in response.headers.items() if name.lower() in _HEADERS_KEPT
        }

    async def read(self, *, bytes_max: int = ANSWER_BYTES_MAX) -> bytes:
        """Read the whole body. Raises AnswerTooLarge, StreamCut or UpstreamTimeout, and closes then."""
        return b"".join([chunk async for chunk in self.chunks(bytes_max=bytes_max)])

    async def chunks(self, *, bytes_max: int = STREAM_BYTES_MAX) -> AsyncIterator[bytes]:
        """Yield the body as it comes; the provider waits while the consumer does.

        Closes the connection unless the body was read to its end. Raises AnswerTooLarge, StreamCut or UpstreamTimeout.
        """
        size = 0
        try:
            while chunk := await self._next():
                size += len(chunk)
                if size > bytes_max:
                    raise AnswerTooLarge(f"The provider's answer is larger than {bytes_max} bytes.")
                yield chunk
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back, or close its socket if the body was not read to its end. Idempotent."""
        self._response.close()

    async def _next(self) -> bytes:
        try:
            return await self._deadline.next_byte(self._response.content)
        except (aiohttp.ClientError, OSError):
            raise StreamCut("The provider's answer broke off before its end.") from None


class _Deadline:
    """Clocks of one call: which limit holds for the wait that comes next."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._started = time.monotonic()
        self._has_first_byte = False

    def left_s(self) -> float:
        return max(0.0, self._started + self._timeouts.total_s - time.monotonic())

    async def first_byte(self, request: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
        phase, limit_s, wait_s = self._limit()
        try:
            async with asyncio.timeout(wait_s) as clock:
                return await request
        except TimeoutError:
            if not clock.expired():
                raise
            raise UpstreamTimeout(phase, limit_s) from None

    async def next_byte(self, content: aiohttp.StreamReader) -> bytes:
        phase, limit_s, wait_s = self._limit()
        try:
            async with asyncio.timeout(wait_s):
                chunk = await content.readany()
        except TimeoutError:
            raise UpstreamTimeout(phase, limit_s) from None
        self._has_first_byte = True
        return chunk

    def _limit(self) -> tuple[TimeoutPhase, float, float]:
        """The phase, its whole limit, and what is left of it."""
        timeouts, left_s = self._timeouts, self.left_s()
        phase: TimeoutPhase = "idle" if self._has_first_byte else "first_byte"
        limit_s = wait_s = timeouts.idle_s
        if not self._has_first_byte:
            limit_s = timeouts.first_byte_s
            wait_s = limit_s - (timeouts.total_s - left_s)
        return ("total", timeouts.total_s, left_s) if left_s < wait_s else (phase, limit_s, max(0.0, wait_s))


class _CheckedResolver(AbstractResolver):
    """Resolves a name once and gives its addresses only if every one is allowed."""

    def __init__(self, allow: AllowList, lookup: Lookup) -> None:
        self._allow = allow
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = await resolve_allowed(host, port, self._allow, lookup=self._lookup)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing to release."""


def _connector(
    *, resolver: AbstractResolver | None = None, socket_factory: Callable[..., socket.socket] | None = None
) -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(
        limit=CONNECTIONS_MAX,
        limit_per_host=CONNECTIONS_PER_HOST_MAX,
        keepalive_timeout=KEEP_ALIVE_S,
        ttl_dns_cache=RESOLVED_FOR_S,
        resolver=resolver,
        socket_factory=socket_factory,
    )


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        # Compressed answers could unpack to any size and gain little here.
        headers={"accept-encoding": "identity"},
        skip_auto_headers=("user-agent", "accept"),
        read_bufsize=STREAM_BUFFER_BYTES,
        max_line_size=HEADER_BYTES_MAX,
        max_field_size=HEADER_BYTES_MAX,
        max_headers=HEADERS_MAX,
    )


def _reason(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientSSLError):
        return "its TLS certificate or protocol was not accepted"
    return error.strerror or "it was refused"
