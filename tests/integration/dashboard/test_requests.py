"""The list of requests and the page of one."""

import json
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from uuid_utils.compat import uuid7

from billing import Outcome, Price, Usage, declare_prices
from dashboard.request_repository import REQUEST_PAGE_ROWS
from tenants import Database
from tests.integration.dashboard.builders import HOSTILE, Customer, a_decision, settle, traffic
from tests.integration.dashboard.conftest import Browser


def ids(page: str) -> list[str]:
    return re.findall(r'class="open" href="/console/requests/([0-9a-f-]{36})', page)


async def test_every_request_is_reached_once_newest_first_page_by_page(
    member: Browser, database: Database, acme: Customer
) -> None:
    records = traffic(acme, datetime.now(UTC), 2 * REQUEST_PAGE_ROWS + 7, hours=20)
    await settle(database, *records)
    seen: list[str] = []
    address: str | None = "/console/requests"
    while address:
        page = (await member.get(address)).text
        seen += ids(page)
        older = re.search(r'rel="next" href="([^"]*)"', page)
        address = older[1].replace("&amp;", "&") if older else None
    assert seen == [str(record.request_id) for record in sorted(records, key=lambda r: r.request_id, reverse=True)]


async def test_another_tenant_s_requests_are_not_listed_and_not_found(
    member: Browser, database: Database, acme: Customer, globex: Customer
) -> None:
    theirs = globex.record(globex.attempt())
    await settle(database, theirs)
    assert ids((await member.get("/console/requests")).text) == []
    response = await member.get(f"/console/requests/{theirs.request_id}")
    missing = await member.get(f"/console/requests/{uuid7()}")
    assert response.status_code == missing.status_code == 404
    assert response.text == missing.text


@pytest.mark.parametrize("name", ["nonsense", "0", "%00", "a" * 300])
async def test_an_id_that_is_none_is_not_found(member: Browser, name: str) -> None:
    response = await member.get(f"/console/requests/{name}")
    assert response.status_code == 404
    assert "There is no such page" in response.text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"outcome": "budget"}, {"refused"}),
        ({"outcome": "refused"}, {"refused"}),
        ({"outcome": "failed"}, {"failed"}),
        ({"outcome": "answered"}, {"mini", "other"}),
        ({"model": "gpt-4o-mini"}, {"mini", "failed"}),
        ({"provider": "anthropic"}, {"other"}),
        ({"task": "summarization"}, {"other"}),
        ({"task": "summarization", "provider": "openai"}, set()),
        ({"key": "not-a-key"}, set()),
        ({"outcome": "' OR true --"}, set()),
        ({"model": "%"}, set()),
    ],
)
async def test_filters_narrow_list_and_sums_alike(
    member: Browser, database: Database, acme: Customer, query: dict[str, str], expected: set[str]
) -> None:
    failed = acme.attempt(outcome=Outcome.UPSTREAM_ERROR, billed_nano_usd=0)
    records = {
        "refused": acme.record(),
        "failed": acme.record(failed, http_status=502),
        "mini": acme.record(acme.attempt()),
        "other": acme.record(acme.attempt("anthropic/claude-haiku"), task="summarization"),
    }
    await settle(database, *records.values())
    page = (await member.get("/console/requests", params=query)).text
    assert set(ids(page)) == {str(records[name].request_id) for name in expected}
    assert f'data-value="requests">{len(expected)}<' in page


async def test_filters_by_key_and_project(
    member: Browser, database: Database, acme: Customer, globex: Customer
) -> None:
    await settle(database, acme.record(acme.attempt()))
    for name, own, foreign in (
        ("key", acme.api_key_id, globex.api_key_id),
        ("project", acme.project_id, globex.project_id),
    ):
        assert len(ids((await member.get("/console/requests", params={name: str(own)})).text)) == 1
        assert ids((await member.get("/console/requests", params={name: str(foreign)})).text) == []


async def test_the_range_bounds_the_list(member: Browser, database: Database, acme: Customer) -> None:
    now = datetime.now(UTC)
    await settle(database, acme.record(acme.attempt(), at=now), acme.record(acme.attempt(), at=now - timedelta(days=3)))
    counts = [len(ids((await member.get("/console/requests", params={"range": name})).text)) for name in ("24h", "7d")]
    assert counts == [1, 2]


async def test_the_list_shows_the_way_a_request_took(member: Browser, database: Database, acme: Customer) -> None:
    first = acme.attempt("openai/gpt-5", outcome=Outcome.UPSTREAM_ERROR, billed_nano_usd=0)
    second = acme.attempt("anthropic/claude-haiku", attempt_number=2)
    await settle(database, acme.record(first, second))
    page = (await member.get("/console/requests")).text
    chips = re.findall(r'class="attempt (\w+)"', page)
    assert chips == ["failed", "answered"]


async def test_a_refused_request_says_why(member: Browser, database: Database, acme: Customer) -> None:
    refused = acme.record(
        outcome=Outcome.BUDGET, error_message="Project 'search' budget is used.", decision=msgspec.Raw(b"null")
    )
    await settle(database, refused)
    assert "Project &#39;search&#39; budget is used." in (await member.get("/console/requests")).text
    page = (await member.get(f"/console/requests/{refused.request_id}")).text
    assert "Project &#39;search&#39; budget is used." in page
    assert "ended before a route was decided" in page
    assert "No provider was called" in page


async def test_a_request_page_explains_route_attempts_and_cost(
    member: Browser, database: Database, acme: Customer
) -> None:
    price = Price(
        price_version_id=uuid7(), provider_name="openai", model="gpt-4o-mini", input_nano_usd_per_million=150_000_000,
        output_nano_usd_per_million=600_000_000, cache_read_nano_usd_per_million=75_000_000,
    )  # fmt: skip
    version = await declare_prices(database, "test", [price])
    usage = Usage(input_tokens=900, output_tokens=240, cache_read_input_tokens=300, reasoning_output_tokens=20)
    record = acme.record(
        acme.attempt(price_version_id=version, usage=usage, credential_owner="platform"),
        is_streamed=True, client_request_id="mine-1", tags=("team-a",), metadata={"ticket": "T-7"},
    )  # fmt: skip
    await settle(database, record)
    page = (await member.get(f"/console/requests/{record.request_id}")).text
    for said in (
        "code to a strong model", "default", "v3", "0.83", "write, function", "First choice; attempt 1 answered.",
        "the plan Free does not allow it", "0.912", "$0.001100000", "$0.004400000", "$0.003300000",
        "openai/gpt-5", "team-a", "T-7", "mine-1", "streamed", "platform", "$0.1500", "$0.0750", "$0.6000",
    ):  # fmt: skip
        assert said in page, said
    # What the platform pays behind its own credential is not the tenant's to see.
    assert "$0.001000000" not in page


async def test_what_the_tenant_pays_a_provider_directly_is_shown(
    member: Browser, database: Database, acme: Customer
) -> None:
    record = acme.record(acme.attempt(credential_owner="tenant", provider_cost_nano_usd=7_000_000))
    await settle(database, record)
    assert "$0.007000000" in (await member.get(f"/console/requests/{record.request_id}")).text


async def test_what_is_not_known_is_a_dash(member: Browser, database: Database, acme: Customer) -> None:
    record = acme.record(acme.attempt(provider_cost_nano_usd=None), baseline_nano_usd=None, baseline_model=None)
    await settle(database, record)
    page = (await member.get(f"/console/requests/{record.request_id}")).text
    cost = page.partition('id="cost"')[2].partition("</section>")[0]
    assert re.findall(r"<dt>(?:Saved|Price version)</dt><dd[^>]*>(.)", cost) == ["—", "—"]


async def test_hostile_text_is_inert_wherever_it_is_shown(member: Browser, database: Database, acme: Customer) -> None:
    hostile = acme.attempt(f"x/{HOSTILE}", error_message=HOSTILE, error_type=HOSTILE, response_id=HOSTILE)
    evidence = {"value": HOSTILE, "confidence": 0.5, "decided_by": "tag", "because": HOSTILE}
    decision = a_decision(
        task=evidence, rule=HOSTILE, reason=HOSTILE, candidates=[{"name": HOSTILE, "rank": None, "detail": HOSTILE}]
    )
    record = acme.record(
        hostile, request_model=HOSTILE, task=HOSTILE, rule=HOSTILE, tags=(HOSTILE,), metadata={HOSTILE: HOSTILE},
        end_user=HOSTILE, client_request_id=HOSTILE, error_message=HOSTILE, error_type=HOSTILE, finish_reason=HOSTILE,
        decision=msgspec.Raw(json.dumps(decision).encode()),
    )  # fmt: skip
    await settle(database, record)
    for path in (f"/console/requests/{record.request_id}", "/console/requests", f"/console/requests?model={HOSTILE}"):
        page = (await member.get(path)).text
        assert "<img" not in page
        assert "<script>" not in page
        assert "{{7*7}}" in page


async def test_the_own_credential_is_named_and_another_tenant_s_is_not(
    member: Browser, database: Database, acme: Customer
) -> None:
    record = acme.record(acme.attempt(credential_owner="tenant", credential_id=uuid4()))
    await settle(database, record)
    page = (await member.get(f"/console/requests/{record.request_id}")).text
    assert "yours" in page.partition('id="attempts"')[2]
