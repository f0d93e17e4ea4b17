"""No address that a tenant sets leads into a private network, however it is written or resolved."""

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers import AddressNotAllowed, AllowList, AllowListInvalid, ConnectFailed, check_address
from app.providers.addresses import is_public
from tests.unit.app.providers.hostile_addresses import REFUSED, WORLD

NONE = AllowList()


def test_there_are_enough_hostile_addresses() -> None:
    assert len(set(REFUSED)) >= 120


@pytest.mark.parametrize("url", REFUSED)
async def test_a_hostile_address_is_refused(url: str) -> None:
    with pytest.raises(AddressNotAllowed):
        await check_address(url, NONE, lookup=WORLD)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/v1",
        "https://example.com:8443/v1",
        "https://EXAMPLE.com/v1",
        "https://93.184.216.34/v1",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/v1",
        "https://[::ffff:93.184.216.34]/v1",
        "https://[64:ff9b::5db8:d822]/v1",
    ],
)
async def test_a_public_address_is_allowed(url: str) -> None:
    await check_address(url, NONE, lookup=WORLD)


async def test_a_name_that_does_not_resolve_is_told_as_such() -> None:
    with pytest.raises(ConnectFailed, match=r"nowhere\.test"):
        await check_address("https://nowhere.test/", NONE, lookup=WORLD)


async def test_what_an_inner_name_resolves_to_is_not_told() -> None:
    with pytest.raises(AddressNotAllowed) as caught:
        await check_address("https://internal/", NONE, lookup=WORLD)
    assert "10.0.0.5" not in str(caught.value)


async def test_an_allowed_host_and_port_is_reached_over_http_and_inwards() -> None:
    allow = AllowList.parse("internal:8080, [fd00::5]:9000")
    await check_address("http://internal:8080/v1", allow, lookup=WORLD)
    await check_address("http://[fd00::5]:9000/v1", allow, lookup=WORLD)
    for url in ("http://internal:8081/", "https://internal/", "http://internal.:8080/", "http://[fd00::5]:9001/"):
        with pytest.raises(AddressNotAllowed):
            await check_address(url, allow, lookup=WORLD)


async def test_an_allowed_network_is_reached_at_any_port() -> None:
    allow = AllowList.parse("10.0.0.0/24 fd00::/64")
    await check_address("http://10.0.0.7:8000/v1", allow, lookup=WORLD)
    await check_address("https://internal:9443/v1", allow, lookup=WORLD)
    for url in ("http://10.0.1.7:8000/", "https://127.0.0.1/", "https://localhost/", "https://example.com:22/"):
        with pytest.raises(AddressNotAllowed):
            await check_address(url, allow, lookup=WORLD)


@pytest.mark.parametrize(
    "text", ["localhost", "host:", "host:x", "host:0", "host:70000", "10.0.0.0/33", "10.0.0.1/8", ":80"]
)
def test_an_allow_list_that_cannot_be_read_names_the_entry(text: str) -> None:
    with pytest.raises(AllowListInvalid, match="SIGNALBOX_UPSTREAM_ALLOW"):
        AllowList.parse(text)


def test_an_empty_allow_list_allows_nothing() -> None:
    assert AllowList.parse("  ") == NONE


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_wrapping_an_address_never_makes_it_public(address: IPv4Address) -> None:
    number = int(address)
    wrapped = (
        f"::ffff:{address}",
        f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}",
        f"2002:{number >> 16:x}:{number & 0xFFFF:x}::",
    )
    assert {is_public(ip_address(text)) for text in wrapped} == {is_public(address)}


@settings(deadline=None)
@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(address: IPv4Address) -> None:
    if address.is_private or address.is_multicast or address.is_loopback or address.is_link_local:
        embedded = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
        assert not is_public(address) or embedded
