"""Admission over a real database: the rate by the server's clock, kept by several meters, and what budgets leave."""

import asyncio
from uuid import uuid4

import pytest

from billing import CommitMeter, RateLimited
from tenants import Database
from tests.integration.billing.builders import Books, a_tenant, spend


async def test_admit_tells_the_state_of_the_rate(meter: CommitMeter, books: Books) -> None:
    first = await meter.admit(books.admission(requests_per_minute=60, request_burst=5))
    assert (first.rate_limit, first.rate_remaining) == (60, 4)
    assert first.headroom_nano_usd is None
    assert first.unspent_nano_usd is None


async def test_admit_rejects_when_the_burst_is_used(meter: CommitMeter, books: Books) -> None:
    request = books.admission(requests_per_minute=1, request_burst=2)
    await meter.admit(request)
    await meter.admit(request)
    with pytest.raises(RateLimited, match="1 requests per minute") as refused:
        await meter.admit(request)
    assert 0 < refused.value.retry_after_ms <= 60_000


async def test_meters_that_keep_grants_admit_no_more_than_rate_and_burst_together(
    database: Database, books: Books
) -> None:
    pool = await database.meter_pool()
    started = await pool.fetchval("SELECT clock_timestamp()")
    meters = [CommitMeter(database, uuid4()) for _ in range(3)]
    request = books.admission(requests_per_minute=60, request_burst=100)
    outcomes: list[object] = []
    for _ in range(10):
        calls = (meters[number % 3].admit(request) for number in range(15))
        outcomes += await asyncio.gather(*calls, return_exceptions=True)
    admitted = sum(not isinstance(outcome, RateLimited) for outcome in outcomes)
    elapsed_s = (await pool.fetchval("SELECT clock_timestamp()") - started).total_seconds()
    # Each meter may keep one that it was granted ahead and did not need.
    assert 100 - len(meters) <= admitted <= 100 + elapsed_s + 1


async def test_one_tenants_rate_leaves_anothers_alone(meter: CommitMeter, books: Books, database: Database) -> None:
    other = await a_tenant(database, "globex")
    await meter.admit(books.admission(requests_per_minute=1, request_burst=1))
    await meter.admit(other.admission(requests_per_minute=1, request_burst=1))


async def test_a_larger_plan_is_not_held_back_by_the_smaller_ones_backlog(meter: CommitMeter, books: Books) -> None:
    for _ in range(20):
        await meter.admit(books.admission(requests_per_minute=1, request_burst=20))
    with pytest.raises(RateLimited) as refused:
        await meter.admit(books.admission(requests_per_minute=6_000, request_burst=1))
    assert refused.value.retry_after_ms <= 10


async def test_admit_passes_when_a_budget_is_used_up_and_says_so(meter: CommitMeter, books: Books) -> None:
    await books.budget(100)
    await spend(meter, books, 100)
    admission = await meter.admit(books.admission())
    assert (admission.headroom_nano_usd, admission.unspent_nano_usd) == (0, 0)


async def test_admit_reports_the_tightest_budget(meter: CommitMeter, books: Books) -> None:
    await books.budget(1_000)
    await books.budget(300, project=True)
    await meter.reserve(books.reservation(100))
    admission = await meter.admit(books.admission())
    assert (admission.headroom_nano_usd, admission.unspent_nano_usd) == (200, 300)


async def test_no_more_than_rate_and_burst_pass_in_a_window(database: Database, books: Books) -> None:
    pool = await database.meter_pool()
    calls, per_minute, burst = 400, 6_000, 25
    started = await pool.fetchval("SELECT clock_timestamp()")
    admitted = 0
    for _ in range(5):
        ids = [[each] * calls for each in (books.tenant_id, books.project_id, books.api_key_id)]
        admitted += await pool.fetchval(
            "SELECT sum(granted) FROM admit_requests($1, $2, $3, $4, $5, $6)",
            *ids,
            [per_minute] * calls,
            [burst] * calls,
            [1] * calls,
        )
    elapsed_s = (await pool.fetchval("SELECT clock_timestamp()") - started).total_seconds()
    assert burst <= admitted <= burst + elapsed_s * per_minute / 60 + 1
