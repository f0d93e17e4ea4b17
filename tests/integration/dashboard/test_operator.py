"""The operator's page of tenants."""

import json
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from billing import Outcome
from tenants import PLATFORM_TENANT_ID, Database
from tests.integration.dashboard.builders import HOSTILE, Customer, settle, submit, traffic
from tests.integration.dashboard.conftest import Browser


def line(page: str, customer: Customer) -> dict[str, str]:
    """The cells of a tenant by their label."""
    row = page.partition(f'id="tenant-{customer.tenant_id}"')[2].partition("</tr>")[0]
    cells = re.findall(r'<td data-label="([^"]+)"[^>]*>(.*?)</td>', row, re.DOTALL)
    return {label: " ".join(re.sub(r"<[^>]+>", " ", cell).split()) for label, cell in cells}


async def events(database: Database, tenant_id: UUID) -> list[Any]:
    async with database.tenant(tenant_id) as session:
        rows = await session.execute(text("SELECT payload FROM audit_event ORDER BY audit_event_id"))
        return [json.loads(row.payload) for row in rows]


async def plan_of(database: Database, customer: Customer) -> str:
    async with database.tenant(customer.tenant_id) as session:
        return str((await session.execute(text("SELECT plan_id FROM subscription"))).scalar_one())


async def test_each_tenant_has_its_own_sums(
    staff: Browser, database: Database, acme: Customer, globex: Customer
) -> None:
    failed = acme.attempt(outcome=Outcome.UPSTREAM_ERROR, billed_nano_usd=0, provider_cost_nano_usd=0)
    own = acme.attempt(credential_owner="tenant", billed_nano_usd=10_000_000, provider_cost_nano_usd=500_000_000)
    await settle(
        database,
        acme.record(acme.attempt(billed_nano_usd=1_500_000_000, provider_cost_nano_usd=1_000_000_000)),
        acme.record(failed, http_status=502),
        acme.record(own),
        acme.record(),
        globex.record(globex.attempt(billed_nano_usd=1_000_000_000, provider_cost_nano_usd=1_250_000_000)),
    )
    page = (await staff.get("/operator")).text
    acme_line, globex_line = line(page, acme), line(page, globex)
    assert acme_line["Billed"] == "$1.51"
    assert acme_line["Provider cost"] == "$1.00 $0.5000 direct"
    assert acme_line["Margin"] == "$0.5100"
    assert acme_line["Margin %"] == "33.8%"
    assert (acme_line["Requests"], acme_line["Errors"], acme_line["Plan"]) == ("4", "25.0%", "Pro")
    assert globex_line["Margin"] == "−$0.2500"
    assert globex_line["Margin %"] == "−25.0%"
    assert "Signalbox" not in [line(page, customer)["Tenant"] for customer in (acme, globex)]
    assert str(PLATFORM_TENANT_ID) not in page


async def test_each_look_across_tenants_is_recorded(staff: Browser, database: Database, operator_email: str) -> None:
    before = len(await events(database, PLATFORM_TENANT_ID))
    await staff.get("/operator", params={"range": "7d"})
    added = (await events(database, PLATFORM_TENANT_ID))[before:]
    assert [event["action"] for event in added] == ["tenants.viewed"]
    assert added[0]["actor"]["name"] == operator_email


async def test_moving_a_tenant_changes_its_plan_and_stands_in_its_trail(
    staff: Browser, database: Database, acme: Customer, globex: Customer, operator_email: str
) -> None:
    response = await submit(
        staff, "/operator?range=7d", f"/operator/tenants/{acme.tenant_id}/plan?range=7d", plan_id="enterprise"
    )
    assert response.status_code == 303
    assert response.headers["location"] == f"/operator?range=7d&moved={acme.tenant_id}"
    assert (await plan_of(database, acme), await plan_of(database, globex)) == ("enterprise", "free")
    page = (await staff.get(response.headers["location"])).text
    assert "is on Enterprise now" in page
    last = (await events(database, acme.tenant_id))[-1]
    assert (last["actor"]["name"], last["after"]["plan_id"]) == (operator_email, "enterprise")


async def test_a_plan_that_does_not_exist_changes_nothing_and_is_named(
    staff: Browser, database: Database, acme: Customer
) -> None:
    response = await submit(staff, "/operator", f"/operator/tenants/{acme.tenant_id}/plan", plan_id=HOSTILE)
    assert response.status_code == 422
    assert "No plan is called" in response.text
    assert "<img" not in response.text
    assert await plan_of(database, acme) == "pro"


@pytest.mark.parametrize("tenant", ["01a20cf1-0000-7000-8000-000000000001", str(PLATFORM_TENANT_ID), "nonsense"])
async def test_a_tenant_that_does_not_exist_is_not_found(staff: Browser, acme: Customer, tenant: str) -> None:
    response = await submit(staff, "/operator", f"/operator/tenants/{tenant}/plan", plan_id="pro")
    assert response.status_code == 404


async def test_a_move_without_the_form_s_token_is_refused(staff: Browser, database: Database, acme: Customer) -> None:
    response = await staff.post(f"/operator/tenants/{acme.tenant_id}/plan", data={"plan_id": "free"})
    assert response.status_code == 403
    assert await plan_of(database, acme) == "pro"


async def test_a_member_moves_nobody(member: Browser, database: Database, acme: Customer) -> None:
    response = await submit(member, "/console", f"/operator/tenants/{acme.tenant_id}/plan", plan_id="enterprise")
    assert response.status_code == 404
    assert await plan_of(database, acme) == "pro"


async def test_staff_has_no_tenant_pages(staff: Browser) -> None:
    for path in ("/console", "/console/requests"):
        response = await staff.get(path, follow_redirects=False)
        assert response.headers["location"].startswith("/console/sign-in")


async def test_the_sums_at_the_top_are_those_of_the_lines(
    staff: Browser, database: Database, acme: Customer, globex: Customer
) -> None:
    now = datetime.now(UTC)
    await settle(database, *traffic(acme, now, 40, hours=20), *traffic(globex, now, 25, hours=20, seed=2))
    page = (await staff.get("/operator")).text
    strip = page.partition('class="strip"')[2].partition("</dl>")[0]
    assert f"<dt>Requests</dt><dd>{sum(int(line(page, one)['Requests']) for one in (acme, globex))}</dd>" in strip
