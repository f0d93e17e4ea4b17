"""Whatever is asked for, there is one sum: of the tile, the table, the API's report and list, and the records."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing import RequestFilters, UsageDimension, list_requests, usage
from dashboard import queries
from dashboard.filters import UsageFilter
from dashboard.ranges import Grain, TimeRange
from dashboard.request_repository import REQUEST_PAGE_ROWS, request_rows
from dashboard.usage import total
from tenants import Database
from tests.integration.dashboard.builders import MODELS, TASKS, Customer, settle, traffic

FILTERS = 20
RECORDS = 400
Sums = tuple[int, int]  # requests, nano-USD billed


async def test_for_any_filter_every_way_of_asking_gives_the_sum_of_the_records(
    database: Database, acme: Customer, globex: Customer
) -> None:
    now = datetime.now(UTC)
    await settle(database, *traffic(acme, now, RECORDS, hours=60), *traffic(globex, now, 50, hours=60, seed=8))
    dice = random.Random(20)
    asked = [a_filter(dice, acme, now) for _ in range(FILTERS)]
    seen = set()
    for within, wanted in asked:
        async with database.tenant(acme.tenant_id) as session:
            truth = await of_records(session, within, wanted)
            assert await of_tile(session, acme.tenant_id, within, wanted) == truth, (within, wanted)
            assert await of_table(session, acme.tenant_id, within, wanted) == truth, (within, wanted)
            assert await of_list(session, acme.tenant_id, within, wanted) == truth, (within, wanted)
            assert await of_report(session, acme.tenant_id, within, wanted) == truth, (within, wanted)
        seen.add(truth)
    assert len(seen) > FILTERS // 3, "the filters hardly filter"


def a_filter(dice: random.Random, customer: Customer, now: datetime) -> tuple[TimeRange, UsageFilter]:
    """A window of whole hours, and some fields narrowed."""
    until = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1 - dice.randrange(0, 12))
    within = TimeRange(
        preset="custom", since=until - timedelta(hours=dice.randrange(1, 60)), until=until, now=now,
        grain=Grain.HOUR, zone=ZoneInfo("UTC"),
    )  # fmt: skip
    provider_name, _, model = dice.choice(MODELS)[0].partition("/")
    fields: dict[str, Any] = {
        "project_id": customer.project_id,
        "api_key_id": customer.api_key_id,
        "provider_name": provider_name,
        "model": model,
        "task": dice.choice(TASKS),
        "outcome": dice.choice(("ok", "budget", "interrupted", "upstream_error")),
    }
    chosen = dice.sample(sorted(fields), dice.randrange(0, 3))
    return within, UsageFilter(**{name: fields[name] for name in chosen})


def narrowing(wanted: UsageFilter) -> dict[str, Any]:
    """The fields that are set."""
    return {name: getattr(wanted, name) for name in UsageFilter.__slots__ if getattr(wanted, name) is not None}


async def of_records(session: AsyncSession, within: TimeRange, wanted: UsageFilter) -> Sums:
    """The records themselves; one that nobody answered counts under who was tried last."""
    names = {
        "provider_name": "coalesce(r.provider_name, a.provider_name)",
        "model": "coalesce(r.response_model, a.model)",
    }
    conditions = "".join(f" AND {names.get(name, f'r.{name}')} = :{name}" for name in narrowing(wanted))
    found = await session.execute(
        text(f"""SELECT count(*), coalesce(sum(r.billed_nano_usd), 0)::bigint FROM request_record r
                 LEFT JOIN attempt a ON a.tenant_id = r.tenant_id AND a.request_id = r.request_id
                     AND a.attempt_number = r.attempt_count
                 WHERE r.started_at >= :since AND r.started_at < :until{conditions}"""),
        {"since": within.since, "until": within.until, **narrowing(wanted)},
    )
    requests, billed = found.one()
    return requests, billed


async def of_tile(session: AsyncSession, tenant_id: UUID, within: TimeRange, wanted: UsageFilter) -> Sums:
    """What a tile of the console prints."""
    sums = total(await queries.usage_rows(session, tenant_id, within.buckets(), within.until, wanted))
    return sums.request_count, sums.billed_nano_usd


async def of_table(session: AsyncSession, tenant_id: UUID, within: TimeRange, wanted: UsageFilter) -> Sums:
    """What the rows of the console's table of requests add up to, page by page."""
    rows: list[Any] = []
    while True:
        page = await request_rows(session, tenant_id, within, wanted, before=rows[-1].request_id if rows else None)
        rows += page[:REQUEST_PAGE_ROWS]
        if len(page) <= REQUEST_PAGE_ROWS:
            return len(rows), sum(row.billed_nano_usd for row in rows)


async def of_list(session: AsyncSession, tenant_id: UUID, within: TimeRange, wanted: UsageFilter) -> Sums:
    """What the API lists, page by page: it also finds requests that a provider only tried, which are left out here."""
    filters = RequestFilters(since=within.since, until=within.until, **narrowing(wanted))
    rows: list[Any] = []
    cursor = None
    while True:
        page = await list_requests(session, tenant_id, filters, cursor, limit=200)
        rows += page.requests
        cursor = page.next_cursor
        if cursor is None:
            break
    kept = [row for row in rows if wanted.provider_name in (None, row.provider_name) or row.provider_name is None]
    kept = [row for row in kept if wanted.model in (None, row.response_model) or row.response_model is None]
    return len(kept), sum(row.billed_nano_usd for row in kept)


async def of_report(session: AsyncSession, tenant_id: UUID, within: TimeRange, wanted: UsageFilter) -> Sums:
    """What the API's report adds up to over the groups that pass the filter."""
    dimensions = {
        "project_id": UsageDimension.PROJECT,
        "api_key_id": UsageDimension.API_KEY,
        "provider_name": UsageDimension.PROVIDER,
        "model": UsageDimension.MODEL,
        "task": UsageDimension.TASK,
        "outcome": UsageDimension.OUTCOME,
    }
    rows = await usage(session, tenant_id, tuple(dimensions.values()), within.since, within.until)
    kept = []
    for row in rows:
        group = dict(zip(dimensions, row.group, strict=True))
        group["model"] = group["model"].removeprefix(f"{group['provider_name']}/")
        if all(group[name] == str(value) for name, value in narrowing(wanted).items()):
            kept.append(row)
    return sum(row.request_count for row in kept), sum(row.billed_nano_usd for row in kept)
