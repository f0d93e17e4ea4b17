"""The overview over a real database: what is printed is the sum of the records."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from billing import Outcome, fold_rollups
from dashboard import formats
from tenants import Database
from tests.integration.dashboard.builders import HOSTILE, Customer, a_browser, an_app, settle, signed_in, traffic
from tests.integration.dashboard.conftest import Browser

RANGES = ("1h", "24h", "7d", "30d")


def value(page: str, name: str) -> str:
    """The value of a tile."""
    found = re.search(rf'data-value="{name}">([^<]*)<', page)
    assert found is not None, name
    return found[1]


def exact(page: str, name: str) -> str:
    """The exact amount behind a tile."""
    found = re.search(rf'title="([^"]*)" data-value="{name}"', page)
    assert found is not None, name
    return found[1]


def figure(page: str, figure_id: str) -> Any:
    """What plotly is given."""
    found = re.search(rf'id="{figure_id}-data">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


def since_of(page: str) -> datetime:
    found = re.search(r'class="window">(\d+ \w+ \d+ \d+:\d+) –', page)
    assert found is not None
    return datetime.strptime(found[1], "%d %b %Y %H:%M").replace(tzinfo=UTC)


async def sums(database: Database, tenant_id: UUID, since: datetime) -> Any:
    """The records' own sums."""
    async with database.tenant(tenant_id) as session:
        found = await session.execute(
            text("""SELECT count(*) AS requests, coalesce(sum(billed_nano_usd), 0)::bigint AS billed,
                           count(*) FILTER (WHERE outcome = 'ok') AS answered,
                           coalesce(sum(baseline_nano_usd - billed_nano_usd), 0)::bigint AS saved
                    FROM request_record WHERE started_at >= :since"""),
            {"since": since},
        )
        return found.one()


@pytest.mark.parametrize("preset", RANGES)
async def test_tiles_figures_and_table_are_the_sums_of_the_records(
    member: Browser, database: Database, acme: Customer, globex: Customer, preset: str
) -> None:
    now = datetime.now(UTC)
    await settle(
        database, *traffic(acme, now, 250), *traffic(acme, now, 60, hours=1, seed=3), *traffic(globex, now, 40)
    )
    page = (await member.get("/console", params={"range": preset})).text
    truth = await sums(database, acme.tenant_id, since_of(page))
    assert truth.requests > 50
    assert exact(page, "spend") == formats.exact_money(truth.billed)
    assert value(page, "requests") == formats.count(truth.requests)
    assert value(page, "success_rate") == formats.share(truth.answered, truth.requests)
    assert exact(page, "saved") == formats.exact_money(truth.saved)
    spend = [trace for trace in figure(page, "spend-by-model")["data"] if trace["type"] == "bar"]
    drawn_nano_usd = sum(round(y * 1_000_000_000) for trace in spend for y in trace["y"])
    assert drawn_nano_usd == truth.billed
    drawn_requests = sum(y for trace in figure(page, "requests")["data"] for y in trace["y"])
    assert drawn_requests == truth.requests
    table = page.partition('id="breakdown"')[2].partition("</tbody>")[0]
    in_table = sum(int(n.replace(",", "")) for n in re.findall(r'data-label="Requests">([\d,]+)<', table))
    assert in_table == truth.requests


async def test_rollups_of_many_writers_and_after_folding_show_the_same(
    member: Browser, database: Database, acme: Customer
) -> None:
    now = datetime.now(UTC)
    for seed in range(4):  # each settle is a writer of its own
        await settle(database, *traffic(acme, now, 20, hours=5, seed=seed))
    before = (await member.get("/console")).text
    await fold_rollups(database)
    after = (await member.get("/console")).text
    truth = await sums(database, acme.tenant_id, since_of(after))
    assert exact(before, "spend") == exact(after, "spend") == formats.exact_money(truth.billed)
    assert value(before, "p95_latency") == value(after, "p95_latency")


async def test_another_tenant_s_traffic_is_not_in_it(member: Browser, database: Database, globex: Customer) -> None:
    await settle(database, *traffic(globex, datetime.now(UTC), 30, hours=5))
    page = (await member.get("/console")).text
    assert value(page, "requests") == "0"
    assert "Nothing came through" in page
    assert "Globex" not in page


async def test_a_project_of_another_tenant_filters_to_nothing(
    member: Browser, database: Database, acme: Customer, globex: Customer
) -> None:
    await settle(database, acme.record(acme.attempt()), globex.record(globex.attempt()))
    assert value((await member.get("/console", params={"project": str(acme.project_id)})).text, "requests") == "1"
    assert value((await member.get("/console", params={"project": str(globex.project_id)})).text, "requests") == "0"


async def test_the_change_compares_with_the_period_before(member: Browser, database: Database, acme: Customer) -> None:
    now = datetime.now(UTC)
    before = [acme.record(acme.attempt(), at=now - timedelta(hours=30, minutes=number)) for number in range(2)]
    await settle(database, *before, *(acme.record(acme.attempt(), at=now) for _ in range(3)))
    page = (await member.get("/console")).text
    tile = page.partition('id="tile-requests"')[2].partition("</article>")[0]
    assert "+50%" in tile


async def test_a_request_in_the_tenant_s_own_credential_is_billed_our_fee_and_told_apart(
    member: Browser, database: Database, acme: Customer
) -> None:
    own = acme.attempt(credential_owner="tenant", billed_nano_usd=10_000_000, provider_cost_nano_usd=1_000_000_000)
    await settle(database, acme.record(own))
    page = (await member.get("/console")).text
    assert value(page, "spend") == "$0.0100"
    assert "plus $1.00 paid directly to providers" in page


async def test_an_unknown_cost_is_not_zero(member: Browser, database: Database, acme: Customer) -> None:
    await settle(database, acme.record(acme.attempt(provider_cost_nano_usd=None), baseline_nano_usd=None))
    page = (await member.get("/console")).text
    assert "1 requests of unknown provider cost" in page
    assert value(page, "saved") == "—"


async def test_hostile_names_are_inert(member: Browser, database: Database, acme: Customer) -> None:
    await settle(database, acme.record(acme.attempt(f"x/{HOSTILE}")))
    page = (await member.get("/console")).text
    assert "<img" not in page
    assert HOSTILE not in page
    assert "&lt;img src=x" in page
    assert "{{7*7}}" in page


async def test_a_range_without_sense_is_answered_with_the_default(member: Browser) -> None:
    response = await member.get("/console", params={"range": "<b>x"})
    assert response.status_code == 200
    assert "Showing the last 24 hours instead" in response.text
    assert "<b>x" not in response.text


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns", "Pacific/Auckland"])
async def test_in_any_zone_the_bars_are_the_tile(
    member: Browser, database: Database, acme: Customer, zone: str
) -> None:
    async with database.tenant(acme.tenant_id) as session:
        await session.execute(text("UPDATE tenant SET time_zone = :zone"), {"zone": zone})
    await settle(database, *traffic(acme, datetime.now(UTC), 150))
    page = (await member.get("/console", params={"range": "30d"})).text
    assert zone in page
    drawn = sum(y for trace in figure(page, "requests")["data"] for y in trace["y"])
    assert value(page, "requests") == formats.count(drawn)


async def test_the_theme_is_in_the_first_bytes(member: Browser) -> None:
    member.cookies.set("signalbox_theme", "dark")
    assert 'data-theme="dark"' in (await member.get("/console")).text[:200]
    member.cookies.set("signalbox_theme", '"><script>')
    assert "data-theme" not in (await member.get("/console")).text[:200]


async def test_a_quiet_tenant_is_told_how_to_begin(database: Database, acme: Customer) -> None:
    async with a_browser(an_app(database), "http://gateway.test") as client:
        await signed_in(client, acme.email)
        page = (await client.get("/console")).text
    assert "curl http://gateway.test/v1/chat/completions" in page


async def test_a_failed_request_counts_under_the_model_that_was_tried_last(
    member: Browser, database: Database, acme: Customer
) -> None:
    failed = acme.attempt("openai/gpt-5", outcome=Outcome.UPSTREAM_ERROR, billed_nano_usd=0, attempt_id=uuid7())
    await settle(database, acme.record(failed, http_status=502))
    for preset in ("1h", "24h"):
        page = (await member.get("/console", params={"range": preset})).text
        assert "openai/gpt-5" in page.partition('id="breakdown"')[2]
        assert figure(page, "requests")["data"][0]["name"] == "Failed"
