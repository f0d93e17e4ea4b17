"""The page "Plan & usage": the plan as it is stored, and a statement whose page, total and CSV agree."""

import csv
import io
import re
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from dashboard import formats
from dashboard.pages.plan import MONTHS_BACK, months_until
from tenants import Database
from tests.integration.dashboard.builders import Customer, a_browser, an_app, settle, traffic
from tests.integration.dashboard.conftest import Browser, Prepared

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def a_member(database: Database, prepared: Prepared) -> Browser:
    """A browser of Acme's owner on the day of the tests."""
    client = a_browser(an_app(database, now=NOW))
    client.cookies.set("signalbox_session", prepared.member_cookie, domain="testserver.local")
    return client


async def test_the_plan_is_told_with_its_limits_rates_and_features(member: Browser) -> None:
    page = (await member.get("/console/plan")).text
    assert "$49.00" in page
    assert "provider’s price + 5.0%" in page
    assert re.search(r"Signed audit export</dt><dd><span class=\"good\">included", page)
    assert re.search(r"Single sign-on</dt><dd><span class=\"faint\">not in this plan", page)


async def test_page_total_and_csv_are_the_records_of_the_month_and_of_this_tenant(
    database: Database, prepared: Prepared, acme: Customer, globex: Customer
) -> None:
    within = traffic(acme, NOW, 60, hours=24 * 20)
    before = traffic(acme, datetime(2026, 10, 20, tzinfo=UTC), 15, hours=24 * 10, seed=3)
    await settle(database, *within, *before, *traffic(globex, NOW, 20, hours=24))
    client = a_member(database, prepared)
    billed = sum(attempt.billed_nano_usd for record in within for attempt in record.attempts)
    page = (await client.get("/console/plan")).text
    total = page.partition('id="total"')[2]
    assert f">{len(within)}</b>" in total
    assert formats.exact_money(billed) in total
    response = await client.get("/console/plan/statement.csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert sum(int(row["request_count"]) for row in rows) == len(within)
    assert sum(Decimal(row["billed_usd"]) for row in rows) == Decimal(billed) / 1_000_000_000
    assert response.headers["content-disposition"] == 'attachment; filename="usage-2026-11.csv"'
    earlier = list(csv.DictReader(io.StringIO((await client.get("/console/plan/statement.csv?month=2026-10")).text)))
    assert sum(int(row["request_count"]) for row in earlier) == len(before)
    await client.aclose()


async def test_a_month_without_sense_or_usage_is_the_running_one_or_empty(
    database: Database, prepared: Prepared
) -> None:
    client = a_member(database, prepared)
    assert "Usage of 2026-11" in (await client.get("/console/plan?month=%3Cb%3E")).text
    assert "Nothing was used in 2026-01" in (await client.get("/console/plan?month=2026-01")).text
    await client.aclose()


def test_months_meet_without_gap_in_the_tenants_zone() -> None:
    months = months_until(datetime(2027, 1, 31, 23, 30, tzinfo=UTC), ZoneInfo("Asia/Tokyo"))
    assert [month.name for month in months[:3]] == ["2027-02", "2027-01", "2026-12"]
    assert len(months) == MONTHS_BACK
    assert all(later.since == earlier.until for later, earlier in pairwise(months))
