"""What all pages share: the way around, the scope, the range, and what happened last."""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from litestar import Response

from dashboard import ConsoleServices
from dashboard.flash import leave_flash, read_flash
from dashboard.render import AnyRequest
from tenants import ConsoleSession, Database, MemberRole, Vault
from tests.integration.dashboard.builders import HOSTILE, MASTER_KEY, Customer, settle, traffic
from tests.integration.dashboard.conftest import Browser


def a_session(**fields: object) -> ConsoleSession:
    defaults: dict[str, object] = {
        "tenant_id": uuid4(), "tenant_name": "Acme", "member_id": uuid4(), "email": "owner@acme.test",
        "role": MemberRole.OWNER, "csrf_token": "t" * 40, "cookie_value": "c" * 40,
        "expires_at": datetime.now(UTC) + timedelta(hours=1),
    }  # fmt: skip
    return ConsoleSession(**(defaults | fields))  # type: ignore[arg-type]  # a builder


def a_request(cookies: dict[str, str]) -> AnyRequest:
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return AnyRequest({"type": "http", "headers": [(b"cookie", header.encode())]})  # type: ignore[typeddict-item]  # all that cookies need


def links(page: str) -> list[str]:
    return [address.replace("&amp;", "&") for address in re.findall(r'href="(/console[^"#]*)"', page)]


async def test_every_link_of_the_navigation_keeps_range_zone_comparison_and_project(
    member: Browser, acme: Customer
) -> None:
    query = f"range=7d&compare=weeks&tz=Asia%2FTokyo&project={acme.project_id}"
    page = (await member.get(f"/console?{query}")).text
    navigation = page.partition('aria-label="Main"')[2].partition("</nav>")[0]
    assert links(navigation)
    assert all(address.endswith(f"?{query}") for address in links(navigation))


async def test_the_change_is_against_what_was_asked_for(member: Browser, database: Database, acme: Customer) -> None:
    now = datetime.now(UTC)
    week_before = [acme.record(acme.attempt(), at=now - timedelta(days=7, minutes=number)) for number in range(2)]
    day_before = [acme.record(acme.attempt(), at=now - timedelta(hours=30))]
    await settle(database, *week_before, *day_before, acme.record(acme.attempt(), at=now))

    async def change(query: str) -> str:
        page = (await member.get(f"/console{query}")).text
        tile = page.partition('id="tile-requests"')[2].partition("</article>")[0]
        return "".join(re.findall(r'class="change[^>]*>([^<]*)<', tile))

    assert [await change(query) for query in ("", "?compare=weeks", "?compare=none")] == ["±0%", "−50%", ""]


async def test_hours_are_those_of_the_zone_that_was_asked_for(
    member: Browser, database: Database, acme: Customer
) -> None:
    await settle(database, *traffic(acme, datetime.now(UTC), 5, hours=3))
    page = (await member.get("/console", params={"tz": "Asia/Tokyo"})).text
    assert "Asia/Tokyo" in page.partition('class="window">')[2].partition("<")[0]


@pytest.mark.parametrize("query", ["tz=%3Cb%3Ex", "compare=%3Cb%3Ex", "range=%3Cb%3Ex"])
async def test_state_without_sense_is_told_and_inert(member: Browser, query: str) -> None:
    response = await member.get(f"/console?{query}")
    assert response.status_code == 200
    assert "instead." in response.text
    assert "<b>x" not in response.text


async def test_a_message_is_shown_once(member: Browser, database: Database) -> None:
    services = ConsoleServices(database=database, vault=Vault(MASTER_KEY), is_https=False)
    session = a_session()
    left = Response("")
    leave_flash(left, services, session, f"Made. {HOSTILE}")
    value = next(one.value for one in left.cookies if one.key == "signalbox_flash")
    assert value is not None
    read = read_flash(a_request({"signalbox_flash": value}), services, session)
    assert read is not None
    assert (read.tone, read.message) == ("good", f"Made. {HOSTILE}")
    member.cookies.set("signalbox_flash", value, domain="testserver.local")
    response = await member.get("/console")
    assert "Made." not in response.text  # of another session
    assert "signalbox_flash" not in member.cookies


@pytest.mark.parametrize("value", ["", ".", "e30.", "e30.00", "%", "€.€", "e30." + "0" * 64])
def test_a_message_that_this_session_did_not_leave_is_none(value: str) -> None:
    services = ConsoleServices(database=None, vault=Vault(MASTER_KEY), is_https=False)  # type: ignore[arg-type]  # never asked
    assert read_flash(a_request({"signalbox_flash": value}), services, a_session()) is None
