"""Folding of rollups and partitions ahead: nothing is lost, whoever runs meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from billing import CommitMeter, ensure_partitions, fold_rollups
from tenants import Database
from tests.integration.billing.builders import Books, a_tenant, an_attempt

LONG_AGO = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
SUMS = """SELECT sum(request_count), sum(billed_nano_usd), sum(input_tokens), histogram_sum(latency_histogram)
          FROM usage_rollup"""


async def test_folding_keeps_every_sum_and_leaves_one_writer(database: Database, books: Books) -> None:
    meters = [CommitMeter(database, uuid4()) for _ in range(3)]
    other = await a_tenant(database, "globex")
    for meter in meters:
        for tenant in (books, other):
            for minutes in (0, 5, 65):
                await meter.settle(tenant.record(an_attempt(), started_at=LONG_AGO + timedelta(minutes=minutes)))
    before = await books.rows(SUMS)
    assert await fold_rollups(database) == 3 * 2 * 2
    assert await books.rows(SUMS) == before
    assert await books.rows("SELECT DISTINCT writer_id FROM usage_rollup") == [(UUID(int=0),)]
    assert await fold_rollups(database) == 0
    await meters[0].settle(books.record(an_attempt(), started_at=LONG_AGO))
    assert await fold_rollups(database) == 1
    assert await books.value("SELECT count(*) FROM usage_rollup") == 2
    assert await books.value("SELECT sum(request_count) FROM usage_rollup") == 10


async def test_the_running_hour_is_left_to_its_writers(database: Database, books: Books) -> None:
    meter = CommitMeter(database, uuid4())
    await meter.settle(books.record(an_attempt()))
    assert await fold_rollups(database) == 0


async def test_folding_while_requests_settle_loses_nothing(database: Database, books: Books) -> None:
    meters = [CommitMeter(database, uuid4(), batch_max=4) for _ in range(2)]

    async def settle(number: int) -> None:
        for _ in range(15):
            await meters[number % 2].settle(books.record(an_attempt(), started_at=LONG_AGO))

    async def fold() -> None:
        for _ in range(12):
            await fold_rollups(database)

    await asyncio.gather(*(settle(number) for number in range(8)), fold(), fold())
    await fold_rollups(database)
    assert await books.value("SELECT sum(request_count) FROM usage_rollup") == 8 * 15
    assert await books.value("SELECT count(*) FROM usage_rollup") == 1
    assert await books.value("SELECT sum(n) FROM usage_rollup, unnest(latency_histogram) AS n") == 8 * 15


async def test_partitions_ahead_are_made_once_and_hold_the_records(database: Database, books: Books) -> None:
    assert await ensure_partitions(database) == 0
    made = await asyncio.gather(*(ensure_partitions(database, months_ahead=4) for _ in range(3)))
    assert sum(made) == 4
    assert await ensure_partitions(database, months_ahead=4) == 0
    await CommitMeter(database, uuid4()).settle(books.record(an_attempt()))
    assert await books.value("SELECT tableoid::regclass::text FROM request_record") != "request_record_default"
