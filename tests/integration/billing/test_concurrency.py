"""Requests at once over several processes on one database: never more than the limit, whoever comes, goes or dies."""

import asyncio
import random
from uuid import UUID, uuid4

import pytest

from billing import ConcurrencyLimited
from billing.concurrency import Concurrency
from billing.slot_leases import ConcurrencyLimit
from tenants import Database
from tests.integration.billing.builders import Books

DEADLINE_S = 600.0


def a_limit(books: Books, slots_max: int, limit_id: UUID | None = None) -> ConcurrencyLimit:
    return ConcurrencyLimit(
        tenant_id=books.tenant_id, limit_id=limit_id or uuid4(), slots_max=slots_max, scope="Tenant 'acme'"
    )


async def enter_all(process: Concurrency, count: int, *limits: ConcurrencyLimit) -> list[UUID]:
    """Let so many try; return who got in."""
    requests = [uuid4() for _ in range(count)]
    outcomes = await asyncio.gather(*(process.enter(each, limits) for each in requests), return_exceptions=True)
    assert all(outcome is None or isinstance(outcome, ConcurrencyLimited) for outcome in outcomes)
    return [request for request, outcome in zip(requests, outcomes, strict=True) if outcome is None]


def some(database: Database, count: int) -> list[Concurrency]:
    return [Concurrency(database, uuid4(), deadline_s=DEADLINE_S) for _ in range(count)]


@pytest.mark.parametrize("slots_max", [1, 7, 100])
async def test_processes_together_run_exactly_what_the_limit_allows(
    database: Database, books: Books, slots_max: int
) -> None:
    limit = a_limit(books, slots_max)
    processes = some(database, 3)
    entered = await asyncio.gather(*(enter_all(process, 60, limit) for process in processes))
    total = sum(map(len, entered))
    # What others keep to spare is a sixteenth at most, and nothing of a small limit.
    assert slots_max - 3 * (slots_max // 16) <= total <= slots_max
    for process in processes:
        await process.close()


async def test_a_slot_that_was_left_serves_another_process(database: Database, books: Books) -> None:
    limit = a_limit(books, 2)
    one, other = some(database, 2)
    first, _ = await enter_all(one, 2, limit)
    assert await enter_all(other, 3, limit) == []
    one.leave(first)
    await one._batcher.drain()
    await asyncio.sleep(0.25)  # for so long the other remembers that it was full
    assert len(await enter_all(other, 3, limit)) == 1
    await one.close()
    await other.close()


async def test_of_two_limits_both_hold_and_a_refused_request_holds_neither(database: Database, books: Books) -> None:
    tenants, keys = a_limit(books, 5), a_limit(books, 2)
    [process] = some(database, 1)
    assert len(await enter_all(process, 6, tenants, keys)) == 2
    assert len(await enter_all(process, 6, tenants)) == 3
    await process.close()


async def test_a_process_that_died_keeps_its_slots_until_its_lease_ends(database: Database, books: Books) -> None:
    limit = a_limit(books, 3)
    dead, alive = some(database, 2)
    await enter_all(dead, 3, limit)
    assert await enter_all(alive, 1, limit) == []
    ends_in_s = await books.value("SELECT extract(epoch FROM ends_at - now()) FROM slot_lease")
    assert DEADLINE_S < ends_in_s < DEADLINE_S + 300
    short = Concurrency(database, uuid4(), deadline_s=-119.5 - 30)
    other = a_limit(books, 1)
    await enter_all(short, 1, other)
    await asyncio.sleep(0.6)
    assert len(await enter_all(alive, 1, other)) == 1
    await alive.close()


async def test_a_lowered_limit_lets_nobody_in_until_enough_have_left(database: Database, books: Books) -> None:
    limit = a_limit(books, 4)
    [process] = some(database, 1)
    running = await enter_all(process, 4, limit)
    lowered = a_limit(books, 2, limit.limit_id)
    for left in (3, 2):
        process.leave(running.pop())
        await asyncio.sleep(0.25)
        assert await enter_all(process, 1, lowered) == [], left
    process.leave(running.pop())
    await process._batcher.drain()
    assert len(await enter_all(process, 3, lowered)) == 1
    await process.close()
    assert await books.rows("SELECT 1 FROM slot_lease") == []


async def test_an_idle_process_gives_back_what_it_does_not_need(database: Database, books: Books) -> None:
    limit = a_limit(books, 64)
    [process] = some(database, 1)
    for request in await enter_all(process, 40, limit):
        process.leave(request)
    await process._batcher.drain()
    assert await books.value("SELECT coalesce(sum(slots), 0) FROM slot_lease") <= 2 * 64 // 16
    await process.close()


@pytest.mark.parametrize("seed", range(3))
async def test_however_they_come_and_go_never_more_than_the_limit_run(
    database: Database, books: Books, seed: int
) -> None:
    chance = random.Random(seed)
    limits = [a_limit(books, 9), a_limit(books, 5), a_limit(books, 40)]
    processes = some(database, 3)
    running = dict.fromkeys((limit.limit_id for limit in limits), 0)
    admitted = 0

    async def one(process: Concurrency, covering: list[ConcurrencyLimit]) -> None:
        nonlocal admitted
        request_id = uuid4()
        await asyncio.sleep(chance.random() * 0.3)
        try:
            await process.enter(request_id, covering)
        except ConcurrencyLimited:
            return
        admitted += 1
        for limit in covering:
            running[limit.limit_id] += 1
            assert running[limit.limit_id] <= limit.slots_max
        await asyncio.sleep(chance.random() * 0.02)
        for limit in covering:
            running[limit.limit_id] -= 1
        process.leave(request_id)

    await asyncio.gather(
        *(one(chance.choice(processes), chance.sample(limits, chance.randint(1, 3))) for _ in range(400))
    )
    assert admitted >= 100
    for process in processes:
        await process.close()
    assert await books.rows("SELECT 1 FROM slot_lease") == []


async def test_a_request_that_hung_up_while_it_asked_holds_nothing(database: Database, books: Books) -> None:
    limit = a_limit(books, 3)
    [process] = some(database, 1)
    asking = [asyncio.create_task(process.enter(uuid4(), [limit])) for _ in range(3)]
    await asyncio.sleep(0)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await process._batcher.drain()
    assert len(await enter_all(process, 4, limit)) == 3
    await process.close()
