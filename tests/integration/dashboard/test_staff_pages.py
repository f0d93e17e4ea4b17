"""The operator's pulse, list of tenants and page of one tenant."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from billing import Outcome
from dashboard.staff_repository import tenant_lines
from dashboard.staff_rows import SORTS, cursor_text, parse_filter
from tenants import PLATFORM_TENANT_ID, Database
from tests.integration.dashboard.builders import HOSTILE, Customer, settle, submit
from tests.integration.dashboard.conftest import Browser
from tests.integration.dashboard.test_operator import events


def tile(page: str, name: str) -> str:
    """The value of a tile."""
    found = re.search(rf'<p class="value"[^>]* data-value="{name}">([^<]*)</p>', page)
    assert found is not None
    return found[1]


def shown(page: str, *customers: Customer) -> list[str]:
    """The tenants whose line stands in the list, from the top."""
    places = {customer.name: page.find(f'id="tenant-{customer.tenant_id}"') for customer in customers}
    return [name for name, place in sorted(places.items(), key=lambda one: one[1]) if place >= 0]


async def status_of(database: Database, customer: Customer) -> str:
    async with database.tenant(customer.tenant_id) as session:
        return str((await session.execute(text("SELECT status FROM tenant"))).scalar_one())


@pytest.fixture
async def traded(database: Database, acme: Customer, globex: Customer) -> None:
    """Acme earns a margin and has an error; Globex costs more than it brings; Acme was there before."""
    failed = acme.attempt(outcome=Outcome.UPSTREAM_ERROR, billed_nano_usd=0, provider_cost_nano_usd=0)
    own = acme.attempt(credential_owner="tenant", billed_nano_usd=10_000_000, provider_cost_nano_usd=500_000_000)
    before = datetime.now(UTC) - timedelta(hours=30)
    await settle(
        database,
        acme.record(acme.attempt(billed_nano_usd=1_500_000_000, provider_cost_nano_usd=1_000_000_000)),
        acme.record(failed, http_status=502),
        acme.record(own),
        globex.record(globex.attempt(billed_nano_usd=1_000_000_000, provider_cost_nano_usd=1_250_000_000)),
        acme.record(acme.attempt(billed_nano_usd=755_000_000, provider_cost_nano_usd=1, started_at=before), at=before),
    )


@pytest.mark.usefixtures("traded")
async def test_the_pulse_adds_up_all_tenants_and_holds_them_against_before(staff: Browser, acme: Customer) -> None:
    page = (await staff.get("/operator/pulse")).text
    assert (tile(page, "requests"), tile(page, "errors")) == ("4", "25.0%")
    assert (tile(page, "billed"), tile(page, "cost"), tile(page, "margin")) == ("$2.51", "$2.25", "$0.2600")
    assert "$0.5000 more paid directly by tenants" in page
    row = page.partition(f'id="top-{acme.tenant_id}"')[2].partition("</tr>")[0]
    assert "$1.51" in row
    assert "+100%" in row


async def test_a_pulse_without_traffic_is_a_page_without_numbers(staff: Browser) -> None:
    page = (await staff.get("/operator/pulse?range=1h&compare=none")).text
    assert tile(page, "errors") == "—"
    assert "Nobody called anything" in page


@pytest.mark.parametrize("path", ["/operator/pulse", "/operator/tenants/{}"])
async def test_each_look_stands_in_the_platform_s_trail(
    staff: Browser, database: Database, acme: Customer, operator_email: str, path: str
) -> None:
    before = len(await events(database, PLATFORM_TENANT_ID))
    assert (await staff.get(path.format(acme.tenant_id))).status_code == 200
    added = (await events(database, PLATFORM_TENANT_ID))[before:]
    assert [event["action"].endswith(".viewed") for event in added] == [True]
    assert added[0]["actor"]["name"] == operator_email


@pytest.mark.usefixtures("traded")
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Acme", "Globex"]),
        ("sort=cost", ["Globex", "Acme"]),
        ("sort=margin", ["Acme", "Globex"]),
        ("sort=margin_share", ["Acme", "Globex"]),
        ("sort=errors", ["Acme", "Globex"]),
        ("sort=name", ["Acme", "Globex"]),
        ("sort=%27%3B--", ["Acme", "Globex"]),
        ("segment=loss", ["Globex"]),
        ("segment=suspended", []),
        ("q=ACM", ["Acme"]),
        ("q=%25", []),
        ("after=nonsense", ["Acme", "Globex"]),
    ],
)
async def test_the_list_is_searched_sorted_and_cut(
    staff: Browser, acme: Customer, globex: Customer, query: str, names: list[str]
) -> None:
    page = (await staff.get(f"/operator?{query}")).text
    assert shown(page, acme, globex) == names
    assert f"<dt>Tenants</dt><dd>{len(names)}</dd>" in page


@pytest.mark.usefixtures("traded")
@pytest.mark.parametrize("sort", SORTS)
async def test_pages_of_the_list_meet_without_gap_or_double(database: Database, sort: str) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    since = until - timedelta(days=1)
    wanted = parse_filter({"sort": sort})
    async with database.across_tenants() as session:
        whole = [line.name for line, _ in await tenant_lines(session, since, until, wanted)]
        walked = []
        while page := await tenant_lines(session, since, until, wanted, limit=1):
            ((line, value),) = page
            walked.append(line.name)
            wanted = parse_filter({"sort": sort, "after": cursor_text((value, line.tenant_id))})
    assert sorted(whole) == ["Acme", "Globex"]
    assert walked == whole


@pytest.mark.usefixtures("traded")
async def test_a_tenant_s_page_shows_its_own_sums_and_nothing_of_another(
    staff: Browser, acme: Customer, globex: Customer
) -> None:
    page = (await staff.get(f"/operator/tenants/{acme.tenant_id}")).text
    assert tile(page, "requests") == "3"
    assert "$1.51" in page
    assert "Globex" not in page
    assert str(globex.tenant_id) not in page
    assert "$1.25" not in page


@pytest.mark.parametrize("tenant", ["01a20cf1-0000-7000-8000-000000000001", str(PLATFORM_TENANT_ID), "nonsense"])
async def test_a_tenant_that_is_not_there_has_no_page_and_takes_no_form(
    staff: Browser, acme: Customer, tenant: str
) -> None:
    page, path = f"/operator/tenants/{acme.tenant_id}", f"/operator/tenants/{tenant}"
    assert (await staff.get(path)).status_code == 404
    assert (await submit(staff, page, f"{path}/status", do="suspend", reason="abuse")).status_code == 404
    assert (await submit(staff, page, f"{path}/credit", amount="5", kind="prepaid")).status_code == 404


async def test_suspending_needs_a_reason_that_stands_in_the_tenant_s_trail(
    staff: Browser, database: Database, acme: Customer, globex: Customer, operator_email: str
) -> None:
    page = f"/operator/tenants/{acme.tenant_id}"
    refused = await submit(staff, page, f"{page}/status", do="suspend", reason=" ")
    assert (refused.status_code, await status_of(database, acme)) == (422, "active")
    assert (await submit(staff, page, f"{page}/status?range=7d", do="suspend", reason="card stolen")).status_code == 303
    assert (await status_of(database, acme), await status_of(database, globex)) == ("suspended", "active")
    last = (await events(database, acme.tenant_id))[-1]
    assert (last["action"], last["actor"]["name"]) == ("tenant.suspended", operator_email)
    assert last["after"] == {"status": "suspended", "reason": "card stolen"}
    after = (await staff.get(page)).text
    assert "its keys are refused from now on" in after
    assert "reason: card stolen" in after
    assert (await submit(staff, page, f"{page}/status", do="resume", reason="cleared")).status_code == 303
    assert await status_of(database, acme) == "active"


async def test_credit_is_given_once_and_shown_with_what_is_left(
    staff: Browser, database: Database, acme: Customer, globex: Customer, operator_email: str
) -> None:
    page = f"/operator/tenants/{acme.tenant_id}"
    fields = {"amount": "$1,250.50", "kind": "promotional", "expires": "2099-12-31", "note": HOSTILE[:40]}
    assert (await submit(staff, page, f"{page}/credit", **fields)).status_code == 303
    shown_page = (await staff.get(page)).text
    assert "$1,250.50 of credit was given" in shown_page
    assert "01 Jan 2100 00:00" in shown_page
    assert "amount_nano_usd: $1,250.500000000" in shown_page
    assert "<img" not in shown_page
    last = (await events(database, acme.tenant_id))[-1]
    assert (last["actor"]["name"], last["after"]["amount_nano_usd"]) == (operator_email, 1_250_500_000_000)
    assert "None: it is billed for what it used" in (await staff.get(f"/operator/tenants/{globex.tenant_id}")).text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", ""), ("amount", "NaN"), ("amount", "1e99"), ("amount", "-5"), ("amount", "0"),
        ("amount", "0.0000000001"), ("amount", "five"), ("kind", "gift"), ("expires", "tomorrow"),
        ("expires", "2001-01-01"), ("expires", "9999-12-31"), ("note", "x" * 500),
    ],
)  # fmt: skip
async def test_credit_that_makes_no_sense_is_refused_with_what_was_typed(
    staff: Browser, database: Database, acme: Customer, field: str, value: str
) -> None:
    page = f"/operator/tenants/{acme.tenant_id}"
    fields = {"amount": "5", "kind": "prepaid", "expires": "", "note": "welcome"} | {field: value}
    response = await submit(staff, page, f"{page}/credit", **fields)
    assert response.status_code == 422
    assert 'role="alert"' in response.text
    async with database.tenant(acme.tenant_id) as session:
        assert (await session.execute(text("SELECT count(*) FROM credit_grant"))).scalar_one() == 0


@pytest.mark.parametrize("door", ["status", "credit", "plan"])
async def test_a_form_without_its_token_changes_nothing(
    staff: Browser, database: Database, acme: Customer, door: str
) -> None:
    fields = {"do": "suspend", "reason": "abuse", "amount": "5", "kind": "prepaid", "plan_id": "free"}
    response = await staff.post(f"/operator/tenants/{acme.tenant_id}/{door}", data=fields)
    assert response.status_code == 403
    assert await status_of(database, acme) == "active"


async def test_a_member_opens_no_page_of_the_operator(member: Browser, database: Database, acme: Customer) -> None:
    page = f"/operator/tenants/{acme.tenant_id}"
    for path in ("/operator/pulse", page):
        assert (await member.get(path)).status_code == 404
    assert (await submit(member, "/console", f"{page}/credit", amount="5", kind="prepaid")).status_code == 404
    assert await status_of(database, acme) == "active"
