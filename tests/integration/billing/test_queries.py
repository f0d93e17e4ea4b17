"""Reading requests and usage back, and what another tenant gets to see: nothing."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing import (
    CommitMeter,
    Outcome,
    RequestFilters,
    RequestPage,
    UsageDimension,
    UsageRow,
    find_request,
    list_requests,
    percentile_ms,
    usage,
)
from tenants import Database
from tests.integration.billing.builders import Books, a_tenant, an_attempt

HOUR = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)


async def test_a_request_comes_back_with_its_attempts_and_decision(meter: CommitMeter, books: Books) -> None:
    failed = an_attempt(
        billed_nano_usd=0, provider_cost_nano_usd=0, outcome=Outcome.UPSTREAM_ERROR, http_status=500, model="gpt-4o"
    )
    answered = an_attempt(attempt_number=2, first_token_ms=40)
    record = books.record(failed, answered, decision=msgspec.Raw(b'{"rule": "cheap"}'), tags=("a",), overhead_ms=2.5)
    await meter.settle(record)
    async with books.database.tenant(books.tenant_id) as session:
        stored = await find_request(session, books.tenant_id, record.request_id)
    assert stored is not None
    assert [attempt.model for attempt in stored.attempts] == ["gpt-4o", "gpt-4o-mini"]
    assert (stored.billed_nano_usd, stored.provider_cost_nano_usd, stored.attempt_count) == (1_100, 1_000, 2)
    assert (stored.input_tokens, stored.tags, stored.overhead_ms) == (200, ("a",), 2.5)
    assert msgspec.json.decode(msgspec.json.encode(stored))["decision"] == {"rule": "cheap"}


async def test_another_tenant_finds_and_lists_nothing(meter: CommitMeter, books: Books, database: Database) -> None:
    record = books.record(an_attempt(), started_at=HOUR)
    await meter.settle(record)
    other = await a_tenant(database, "globex")
    for asked_for in (other.tenant_id, books.tenant_id):
        async with database.tenant(other.tenant_id) as session:
            assert await find_request(session, asked_for, record.request_id) is None
            assert (await list_requests(session, asked_for, RequestFilters())).requests == ()
            assert await usage(session, asked_for, (), HOUR, HOUR + timedelta(hours=1)) == ()


async def test_pages_hold_every_request_once_newest_first(meter: CommitMeter, books: Books) -> None:
    ids = []
    for _ in range(7):
        record = books.record(an_attempt())
        await meter.settle(record)
        ids.append(record.request_id)
    seen: list[UUID] = []
    cursor = None
    async with books.database.tenant(books.tenant_id) as session:
        while True:
            page = await list_requests(session, books.tenant_id, RequestFilters(), cursor, limit=3)
            seen += [line.request_id for line in page.requests]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert seen == ids[::-1]


async def test_filters_narrow_and_combine(meter: CommitMeter, books: Books) -> None:
    answered = books.record(an_attempt(), task="summarization")
    tried = books.record(
        an_attempt(provider_name="groq", model="llama", outcome=Outcome.UPSTREAM_ERROR),
        an_attempt(attempt_number=2),
        task="translation",
    )
    refused = books.record(outcome=Outcome.BUDGET, http_status=402)
    for record in (answered, tried, refused):
        await meter.settle(record)
    async with books.database.tenant(books.tenant_id) as session:

        async def ids(**fields: object) -> set[UUID]:
            filters = msgspec.structs.replace(RequestFilters(), **fields)
            return _ids(await list_requests(session, books.tenant_id, filters))

        assert await ids(outcome="budget", http_status=402) == {refused.request_id}
        assert await ids(task="summarization") == {answered.request_id}
        assert await ids(provider_name="groq") == {tried.request_id}
        assert await ids(model="gpt-4o-mini") == {answered.request_id, tried.request_id}
        assert await ids(project_id=books.project_id, api_key_id=books.api_key_id, model="llama") == {tried.request_id}
        assert await ids(project_id=UUID(int=1)) == set()
        now = datetime.now(UTC)
        assert len(await ids(since=now - timedelta(minutes=5), until=now + timedelta(minutes=5))) == 3
        assert await ids(since=now + timedelta(minutes=5)) == set()
        assert await ids(until=now - timedelta(minutes=5)) == set()


async def test_usage_sums_by_any_dimensions(meter: CommitMeter, books: Books) -> None:
    for minutes, model, latency_ms in ((0, "small", 100), (10, "small", 900), (70, "large", 5_000)):
        await meter.settle(
            books.record(
                an_attempt(model=model),
                started_at=HOUR + timedelta(minutes=minutes),
                latency_ms=latency_ms,
                baseline_nano_usd=2_000,
            )
        )
    await meter.settle(books.record(outcome=Outcome.INVALID, http_status=400, started_at=HOUR))
    async with books.database.tenant(books.tenant_id) as session:
        by_model = await _usage(session, books, UsageDimension.MODEL)
        by_hour_and_outcome = await _usage(session, books, UsageDimension.HOUR, UsageDimension.OUTCOME)
        [whole] = await _usage(session, books)
    assert [(row.group, row.request_count, row.billed_nano_usd) for row in by_model] == [
        (("",), 1, 0),
        (("large",), 1, 1_100),
        (("small",), 2, 2_200),
    ]
    assert [row.group for row in by_hour_and_outcome] == [
        ("2026-11-24T10:00Z", "invalid"),
        ("2026-11-24T10:00Z", "ok"),
        ("2026-11-24T11:00Z", "ok"),
    ]
    assert (whole.request_count, whole.ok_count, whole.saved_nano_usd) == (4, 3, 2_700)
    assert 4_000 < (percentile_ms(whole.latency_histogram, 95) or 0) <= 5_000
    assert sum(whole.first_token_histogram) == 0


async def test_days_are_those_of_the_time_zone(meter: CommitMeter, books: Books) -> None:
    await meter.settle(books.record(an_attempt(), started_at=datetime(2026, 11, 24, 23, 30, tzinfo=UTC)))
    async with books.database.tenant(books.tenant_id) as session:
        [row] = await usage(
            session,
            books.tenant_id,
            [UsageDimension.DAY],
            HOUR,
            HOUR + timedelta(days=2),
            time_zone="Europe/Berlin",
        )
    assert row.group == ("2026-11-25",)


def _ids(page: RequestPage) -> set[UUID]:
    return {line.request_id for line in page.requests}


async def _usage(session: AsyncSession, books: Books, *dimensions: UsageDimension) -> tuple[UsageRow, ...]:
    return await usage(session, books.tenant_id, dimensions, HOUR, HOUR + timedelta(hours=3))
