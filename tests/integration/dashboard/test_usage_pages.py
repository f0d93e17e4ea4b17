"""Cost, usage and reliability: one reading, whatever it is grouped and filtered by."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from billing import Outcome, Usage
from dashboard.filters import GROUPINGS
from tenants import Database, create_project
from tests.integration.dashboard.builders import HOSTILE, OPERATOR, Customer, settle, traffic
from tests.integration.dashboard.conftest import Browser
from tests.integration.dashboard.test_overview import exact, figure, value

PAGES = ("cost", "usage", "reliability")


def numbers(page: str, label: str) -> list[str]:
    """A column of the table, and then its last line."""
    table = page.partition('id="breakdown"')[2].partition("</table>")[0]
    return re.findall(rf'data-label="{label}"[^>]*>([^<]*)<', table)


def as_count(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.mark.parametrize("by", [dimension.value for dimension in GROUPINGS])
async def test_whatever_it_is_split_by_the_parts_are_the_tile(
    member: Browser, database: Database, acme: Customer, globex: Customer, by: str
) -> None:
    now = datetime.now(UTC)
    await settle(database, *traffic(acme, now, 120, hours=24 * 6), *traffic(globex, now, 20))
    page = (await member.get("/console/usage", params={"range": "7d", "by": by})).text
    requests = [as_count(text) for text in numbers(page, "Requests")]
    parts = requests if len(requests) == 1 else requests[:-1]
    assert value(page, "requests") == str(sum(parts)) == str(requests[-1]) == "120"
    drawn = sum(y for trace in figure(page, f"requests-by-{by}")["data"] for y in trace["y"])
    assert drawn == 120


async def test_tokens_are_of_one_kind_each(member: Browser, database: Database, acme: Customer) -> None:
    usage = Usage(
        input_tokens=1000, output_tokens=300, cache_read_input_tokens=400, cache_creation_input_tokens=100,
        reasoning_output_tokens=120,
    )  # fmt: skip
    await settle(database, acme.record(acme.attempt(usage=usage)))
    for preset in ("1h", "24h", "30d"):
        page = (await member.get("/console/cost", params={"range": preset})).text
        drawn = {trace["name"]: sum(trace["y"]) for trace in figure(page, "tokens")["data"]}
        assert drawn == {
            "Input": 500, "Read from cache": 400, "Written to cache": 100, "Output": 180, "Reasoning": 120,
        }  # fmt: skip
        assert value(page, "tokens") == "1,300"


async def test_savings_are_claimed_for_what_has_a_baseline_and_may_be_negative(
    member: Browser, database: Database, acme: Customer
) -> None:
    await settle(
        database,
        acme.record(acme.attempt(billed_nano_usd=3_000_000_000), baseline_nano_usd=2_000_000_000),
        acme.record(acme.attempt(billed_nano_usd=1_000_000_000), baseline_nano_usd=None),
    )
    page = (await member.get("/console/cost")).text
    assert exact(page, "saved") == "−$1.000000000"
    assert "75.0% of the spend has a baseline" in page
    bars = {trace["x"][0]: trace["y"][0] for trace in figure(page, "savings")["data"]}
    assert bars == {"Baseline": 2, "Saved": -1, "Billed": 3, "No baseline": 1, "All billed": 4}


async def test_reliability_tells_failures_refusals_and_fallbacks_apart(
    member: Browser, database: Database, acme: Customer
) -> None:
    failed = acme.attempt("openai/gpt-5", outcome=Outcome.UPSTREAM_ERROR, billed_nano_usd=0)
    second = acme.attempt("anthropic/claude-haiku", attempt_number=2)
    await settle(database, acme.record(failed, second), acme.record(failed, http_status=502), acme.record())
    page = (await member.get("/console/reliability")).text
    assert value(page, "success_rate") == value(page, "failure_rate") == value(page, "refusal_rate") == "33.3%"
    assert value(page, "attempts_per_request") == "1.50"
    errors = {trace["name"]: sum(trace["y"]) for trace in figure(page, "errors")["data"]}
    assert errors == {"upstream error": 1, "budget": 1}


async def test_first_tokens_are_of_streams_alone(member: Browser, database: Database, acme: Customer) -> None:
    await settle(
        database,
        *(acme.record(acme.attempt(latency_ms=900), first_token_ms=200, is_streamed=True) for _ in range(3)),
        acme.record(acme.attempt(latency_ms=9000)),
    )
    for preset in ("1h", "24h"):
        page = (await member.get("/console/reliability", params={"range": preset})).text
        assert value(page, "p95_first_token") == "200 ms"
        assert any(y == 200 for y in figure(page, "first-token")["data"][1]["y"])


async def test_hours_of_the_week_are_of_the_zone(member: Browser, database: Database, acme: Customer) -> None:
    at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)
    await settle(database, *(acme.record(acme.attempt(), at=at + timedelta(seconds=number)) for number in range(3)))
    page = (await member.get("/console/usage", params={"range": "7d", "tz": "Asia/Tokyo"})).text
    there = at + timedelta(hours=9)
    cells = figure(page, "week")["data"][0]["z"]
    assert cells[there.weekday()][there.hour] == 3
    assert sum(map(sum, cells)) == 3


async def test_a_group_leads_to_its_requests(member: Browser, database: Database, acme: Customer) -> None:
    await settle(database, *traffic(acme, datetime.now(UTC), 40, hours=20))
    for by in GROUPINGS:
        page = (await member.get("/console/cost", params={"by": by.value})).text
        table = page.partition('id="breakdown"')[2].partition("</tbody>")[0]
        for address, count in re.findall(r'href="(/console/requests[^"]*)">.*?"Requests"[^>]*>([\d,]+)<', table, re.S):
            listed = (await member.get(address.replace("&amp;", "&"))).text
            assert len(re.findall(r'class="open"', listed)) == as_count(count), (by, address)


async def test_a_project_s_name_stands_for_it_and_another_tenant_s_is_not_told(
    member: Browser, database: Database, acme: Customer, globex: Customer
) -> None:
    await create_project(database, OPERATOR, globex.tenant_id, name="secret-of-globex")
    await settle(database, acme.record(acme.attempt()), globex.record(globex.attempt()))
    for page_name in PAGES:
        page = (await member.get(f"/console/{page_name}", params={"by": "project"})).text
        assert ">default</a>" in page
        assert "secret-of-globex" not in page
        foreign = (await member.get(f"/console/{page_name}", params={"project": str(globex.project_id)})).text
        assert "Nothing came through" in foreign


@pytest.mark.parametrize("page_name", PAGES)
async def test_a_page_without_traffic_says_so_and_shows_no_made_up_number(member: Browser, page_name: str) -> None:
    response = await member.get(f"/console/{page_name}", params={"range": "90d"})
    assert response.status_code == 200
    assert "Nothing came through in the last 90 days" in response.text
    assert "$0.00" not in response.text.partition('id="breakdown-title"')[2]


@pytest.mark.parametrize("page_name", PAGES)
async def test_hostile_names_and_addresses_are_inert(
    member: Browser, database: Database, acme: Customer, page_name: str
) -> None:
    await settle(database, acme.record(acme.attempt(f"x/{HOSTILE}"), task=HOSTILE))
    for query in ({}, {"by": "task"}, {"by": HOSTILE}, {"model": HOSTILE}, {"key": HOSTILE}):
        page = (await member.get(f"/console/{page_name}", params=query)).text
        assert "<img" not in page
        assert "<script>document" not in page
