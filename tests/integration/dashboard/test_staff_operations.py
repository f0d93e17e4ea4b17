"""The operator's pages about running the platform: providers, jobs, plans and prices, and the staff's own trail."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from app.embedded import EmbeddedPostgres
from app.embedded.postgres import SUPERUSER
from billing import Outcome, Price, declare_prices
from tenants import PLATFORM_TENANT_ID, Database, suspend_tenant
from tests.integration.dashboard.builders import HOSTILE, OPERATOR, Customer, settle, submit
from tests.integration.dashboard.conftest import Browser
from tests.integration.dashboard.test_operator import events

PAGES = ("/operator/prices", "/operator/providers", "/operator/jobs", "/operator/audit")


def cells(page: str, words: str) -> dict[str, str]:
    """The cells by their label of the first line that holds some words."""
    row = next(row for row in re.findall(r"<tr[^>]*>.*?</tr>", page, re.DOTALL) if f"<b>{words}</b>" in row)
    found = re.findall(r'<td data-label="([^"]+)"[^>]*>(.*?)</td>', row, re.DOTALL)
    return {label: " ".join(re.sub(r"<[^>]+>", " ", cell).split()) for label, cell in found}


def a_price(model: str, **fields: Any) -> Price:
    rates = {"input_nano_usd_per_million": 150_000_000, "output_nano_usd_per_million": 600_000_000}
    return Price(price_version_id=uuid4(), provider_name="openai", model=model, **(rates | fields))


@pytest.mark.parametrize("path", PAGES)
async def test_each_look_stands_in_the_platform_s_trail(staff: Browser, database: Database, path: str) -> None:
    before = len(await events(database, PLATFORM_TENANT_ID))
    assert (await staff.get(path)).status_code == 200
    added = (await events(database, PLATFORM_TENANT_ID))[before:]
    assert [event["action"].endswith(".viewed") for event in added] == [True]


@pytest.mark.parametrize("path", PAGES)
async def test_a_member_opens_none_of_them(member: Browser, path: str) -> None:
    assert (await member.get(path)).status_code == 404


async def test_a_failure_that_a_fallback_hid_counts_against_its_provider(
    staff: Browser, database: Database, acme: Customer, globex: Customer
) -> None:
    failed = acme.attempt(
        "openai/gpt-5", outcome=Outcome.UPSTREAM_ERROR, http_status=503, error_type="overloaded", billed_nano_usd=0
    )
    rescue = acme.attempt("mistral/mistral-small", attempt_number=2, latency_ms=300)
    old = datetime.now(UTC) - timedelta(hours=3)
    await settle(
        database,
        acme.record(failed, rescue),
        globex.record(globex.attempt("openai/gpt-5", latency_ms=700)),
        globex.record(globex.attempt("openai/gpt-5", started_at=old), at=old),
    )
    page = (await staff.get("/operator/providers")).text
    line = cells(page, "openai/gpt-5")
    assert (line["Attempts, last hour"], line["Failed, last hour"], line["Mostly"]) == ("2", "50.0%", "overloaded")
    assert (line["p95, last hour"], line["Requests"], line["Errors"]) == ("700 ms", "2", "0%")
    assert cells(page, "mistral/mistral-small")["Failed, last hour"] == "0%"


async def test_what_failed_and_waits_is_shown_without_any_body(
    staff: Browser, database: Database, postgres: EmbeddedPostgres, acme: Customer
) -> None:
    async with database.nobody() as session:
        name = (await session.execute(text("SELECT current_database()"))).scalar_one()
    admin = await asyncpg.connect(host=postgres.url("any").rpartition("host=")[2], user=SUPERUSER, database=name)
    await admin.execute(
        "INSERT INTO dead_letter VALUES ($1, $2, 'request_record', $3, $4)",
        acme.tenant_id, uuid7(), '{"prompt": "a secret of theirs"}', f"value out of range {HOSTILE}",
    )  # fmt: skip
    await admin.execute(
        """INSERT INTO reservation VALUES ($1, $2, $2, $2, $2, $2, 'openai', 'gpt-5', 'platform', false,
           7000000000, '{}', '{}', 'orphaned')""",
        acme.tenant_id, uuid7(),
    )  # fmt: skip
    await admin.close()
    page = (await staff.get("/operator/jobs")).text
    assert "value out of range" in page
    assert "$7.00" in page
    assert "a secret of theirs" not in page
    assert "<img" not in page


async def test_the_books_are_compared_when_somebody_asks(staff: Browser, database: Database, acme: Customer) -> None:
    await settle(database, acme.record(acme.attempt()))
    assert 'id="drift"' not in (await staff.get("/operator/jobs")).text
    assert "The books agree" in (await staff.get("/operator/jobs?check=books")).text


async def test_plans_stand_with_their_versions_and_tenants(staff: Browser) -> None:
    page = (await staff.get("/operator/prices")).text
    line = cells(page, "Pro")
    assert (line["Version"], line["Tenants"], line["Monthly"], line["Markup"]) == ("1", "1", "$49.00", "5 %")


async def test_the_version_in_force_is_told_from_past_and_coming_ones(staff: Browser, database: Database) -> None:
    now = datetime.now(UTC)
    for days, cents in ((-2, 1), (-1, 2), (3, 3)):
        price = a_price("ours", input_nano_usd_per_million=cents * 10_000_000)
        await declare_prices(database, "by hand", [price], effective_from=now + timedelta(days=days))
    page = (await staff.get("/operator/prices?q=OURS")).text
    section = page.partition('id="versions-list"')[2].partition("</table>")[0]
    assert re.findall(r'<span class="badge [^"]*">([^<]+)</span>', section) == ["coming", "in force", "past"]
    assert cells(page.partition('id="in-force"')[2], "openai/ours")["Input"] == "$0.0200"


async def test_implausible_prices_are_kept_only_after_a_yes(staff: Browser, database: Database) -> None:
    page, action = "/operator/prices", "/operator/prices/import"
    wrong = a_price("gpt-4o-mini", input_nano_usd_per_million=1)
    await declare_prices(database, "genai-prices", [wrong], effective_from=datetime.now(UTC) - timedelta(days=1))
    refused = await submit(staff, page, action)
    assert refused.status_code == 422
    assert "openai/gpt-4o-mini input_nano_usd_per_million went from 1 to" in refused.text
    assert (await submit(staff, page, action, accept_jumps="yes")).status_code == 303
    assert "is in force" in (await staff.get(page)).text
    asked = [e for e in await events(database, PLATFORM_TENANT_ID) if e["action"] == "prices.import_requested"]
    assert [event["after"]["accept_jumps"] for event in asked] == [False, True]


async def test_an_import_without_its_token_is_refused(staff: Browser) -> None:
    assert (await staff.post("/operator/prices/import", data={"accept_jumps": "yes"})).status_code == 403


async def test_the_staff_s_trail_holds_looks_and_changes_in_all_trails(
    staff: Browser, database: Database, acme: Customer, globex: Customer
) -> None:
    await suspend_tenant(database, OPERATOR, acme.tenant_id, reason="card stolen")
    await staff.get(f"/operator/tenants/{globex.tenant_id}")
    changes = (await staff.get("/operator/audit?told=changes")).text
    assert "reason: card stolen" in changes
    assert "tenant.viewed" not in changes
    looks = (await staff.get("/operator/audit?told=looks")).text
    assert "tenant.viewed" in looks
    assert "card stolen" not in looks
    both = (await staff.get("/operator/audit?told=nonsense")).text
    assert both.index("tenant.viewed") < both.index("reason: card stolen")


async def test_the_staff_s_trail_goes_back_page_by_page(staff: Browser, database: Database, acme: Customer) -> None:
    for number in range(55):
        await suspend_tenant(database, OPERATOR, acme.tenant_id, reason=f"reason {number:03}")
    first = (await staff.get("/operator/audit?told=changes")).text
    following = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = (await staff.get(following)).text
    seen = re.findall(r"reason: reason (\d{3})", first) + re.findall(r"reason: reason (\d{3})", second)
    assert seen == [f"{number:03}" for number in reversed(range(55))]
