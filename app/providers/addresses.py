"""Where an address that a tenant set may lead: to public addresses, and to what the operator allowed.

Called when a credential is saved (`check_address`), and by the transport for every new connection.
Invariant: a tenant's call is connected only to an address that passed `is_public` or the allow-list,
after every embedding of IPv4 in IPv6 was unwrapped.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import msgspec
from yarl import URL

from app.providers.errors import AddressNotAllowed, AllowListInvalid, ConnectFailed

PORTS_ALLOWED: Final = (443, 8443)
URL_LENGTH_MAX: Final = 2_048
RESOLVE_TIMEOUT_S: Final = 5.0

Lookup = Callable[[str, int], Awaitable[tuple[str, ...]]]
IPAddress = IPv4Address | IPv6Address

# Our own rows, because what `ipaddress` calls global differs between Python versions (IANA registries, 2026-11).
_NOT_PUBLIC_V4: Final = tuple(
    IPv4Network(row)
    for row in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # Azure's host agent: a public number that means the machine's own host
    )
)  # fmt: skip
_PUBLIC_V6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_V6: Final = tuple(
    IPv6Network(row) for row in ("2001::/23", "2001:db8::/32", "3fff::/20", "2620:4f:8000::/48")
)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_ISATAP_MARKS: Final = (0x00005EFE, 0x02005EFE)
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9_.-]*[a-z0-9])?\.?|[0-9a-f:.]+")
# 127.1, 0x7f.0.0.1 or 2130706433 are addresses to some resolvers and names to others.
_ENDS_IN_NUMBER: Final = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$")


class AllowList(msgspec.Struct, frozen=True):
    """What SIGNALBOX_UPSTREAM_ALLOW lets tenants reach besides public addresses, over http too."""

    hosts: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "AllowList":
        """Read `host:port` and CIDR entries, divided by commas or spaces. Raises AllowListInvalid."""
        hosts, networks = set(), []
        for entry in text.replace(",", " ").split():
            if "/" in entry:
                try:
                    networks.append(ip_network(entry))
                except ValueError:
                    raise AllowListInvalid(f"'{entry}' in SIGNALBOX_UPSTREAM_ALLOW is not a network (CIDR).") from None
            else:
                host, _, port = entry.rpartition(":")
                if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
                    raise AllowListInvalid(
                        f"'{entry}' in SIGNALBOX_UPSTREAM_ALLOW is neither host:port nor a network (CIDR)."
                    )
                hosts.add((host.strip("[]").lower(), int(port)))
        return cls(frozenset(hosts), tuple(networks))

    def has_host(self, host: str, port: int) -> bool:
        """Is this exact host and port named?"""
        return (host, port) in self.hosts

    def has_address(self, address: IPAddress) -> bool:
        """Is this address inside an allowed network?"""
        return any(address.version == network.version and address in network for network in self.networks)


class Target(msgspec.Struct, frozen=True):
    """Where a base address points, as the client that connects reads it."""

    is_https: bool
    host: str
    port: int


async def look_up(host: str, port: int) -> tuple[str, ...]:
    """Ask the system's resolver for every address of a host."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return tuple(str(sockaddr[0]) for *_, sockaddr in found)


async def check_address(url: str, allow: AllowList, *, lookup: Lookup = look_up) -> None:
    """Check a tenant's base address before it is saved. Raises AddressNotAllowed, which says what to do."""
    target = read_target(url)
    literal = check_target(target, allow)
    if literal is None and not allow.has_host(target.host, target.port):
        await resolve_allowed(target.host, target.port, allow, lookup=lookup)


@lru_cache(maxsize=4_096)
def read_target(url: str) -> Target:
    """Read an address by the same parser that connects. Raises AddressNotAllowed for odd ones."""
    # No parser agrees with another on these, so they are refused before any of them is asked.
    if len(url) > URL_LENGTH_MAX or not url.isascii() or any(mark <= " " or mark in "\\\x7f" for mark in url):
        raise AddressNotAllowed("A base address must be plain ASCII without spaces or backslashes.")
    try:
        parts = URL(url)
        host, port = parts.raw_host, parts.explicit_port
    except ValueError:
        raise AddressNotAllowed("The base address cannot be read; write it like https://host/v1.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise AddressNotAllowed("A base address must begin with https:// and name a host.")
    if parts.raw_user is not None or parts.raw_password is not None or "@" in url:
        raise AddressNotAllowed("A base address must not hold a user name or password; store the key as the secret.")
    if parts.raw_query_string or parts.raw_fragment or "?" in url or "#" in url:
        raise AddressNotAllowed("A base address must not hold a query or a fragment.")
    if not _HOST.fullmatch(host) or (_ENDS_IN_NUMBER.search(host) and _as_address(host) is None):
        raise AddressNotAllowed("The base address's host is not a plain host name or address.")
    if port == 0:
        raise AddressNotAllowed("Port 0 is not a port.")
    is_https = parts.scheme == "https"
    return Target(is_https, host, port or (443 if is_https else 80))


def check_target(target: Target, allow: AllowList) -> IPAddress | None:
    """Check all that can be checked without resolving; return the address if the host is one."""
    literal = _as_address(target.host)
    if allow.has_host(target.host, target.port) or (literal is not None and allow.has_address(literal)):
        return literal
    if not target.is_https:
        raise AddressNotAllowed("A base address must begin with https://.")
    # A name may still resolve into an allowed network, where any port is allowed: that is checked on connecting.
    if (literal is not None or not allow.networks) and target.port not in PORTS_ALLOWED:
        raise AddressNotAllowed(_port_message(target.port))
    if literal is not None and not is_public(literal):
        raise AddressNotAllowed(f"The base address leads to {literal}, which is not a public address.")
    return literal


async def resolve_allowed(host: str, port: int, allow: AllowList, *, lookup: Lookup = look_up) -> tuple[str, ...]:
    """Resolve once; return the addresses only if every one of them is allowed."""
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            addresses = await lookup(host, port)
    except (OSError, TimeoutError, UnicodeError):
        raise ConnectFailed(f"The host '{host}' cannot be resolved.") from None
    if not addresses:
        raise ConnectFailed(f"The host '{host}' has no address.")
    for text in addresses:
        check_connection(text, port, allow)
    return addresses


def check_connection(text: str, port: int, allow: AllowList) -> None:
    """The last wall: check a numeric address just before it is connected."""
    address = _as_address(text)
    if address is None:
        raise AddressNotAllowed("The host resolved to something that is not an address.")
    if allow.has_address(address):
        return
    # Not echoed for names: what an internal name resolves to is not the tenant's to learn.
    if not is_public(address):
        raise AddressNotAllowed("The base address leads to an address that is not public.")
    if port not in PORTS_ALLOWED:
        raise AddressNotAllowed(_port_message(port))


def is_public(address: IPAddress) -> bool:
    """Is it global unicast, with IPv4 inside IPv6 unwrapped?"""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    inner = _embedded(address)
    if inner is not None:
        return is_public(inner)
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP_MARKS:
        return False
    return address in _PUBLIC_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
    return None


def _as_address(text: str) -> IPAddress | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _port_message(port: int) -> str:
    allowed = " or ".join(str(number) for number in PORTS_ALLOWED)
    return f"Port {port} is not allowed in a base address; use {allowed}, or ask the operator to allow the host."
