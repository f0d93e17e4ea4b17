"""Rates of requests and tokens over several processes on one database: all or nothing, and never above the bucket."""

import asyncio
import random
from uuid import UUID, uuid4

import pytest

from billing import LimitKind, RequestAboveRate, TrafficLimited, Usage, purge_traffic_buckets
from billing.traffic_limit import RateLimit
from billing.traffic_rates import TrafficRates
from tenants import Database
from tests.integration.billing.builders import Books, an_attempt

MINUTES, DAYS = LimitKind.REQUESTS_PER_MINUTE, LimitKind.REQUESTS_PER_DAY
TOKENS = LimitKind.TOKENS_PER_DAY


def a_rate(books: Books, kind: LimitKind, limit_count: int, **fields: object) -> RateLimit:
    given: dict[str, object] = {
        "tenant_id": books.tenant_id, "limit_id": uuid4(), "kind": kind, "limit_count": limit_count,
        "capacity": limit_count, "model": None, "is_per_end_user": False, "scope": "Tenant 'acme'",
    }  # fmt: skip
    return RateLimit(**{**given, **fields})  # type: ignore[arg-type] # fields by their names


async def take(process: TrafficRates, *rates: RateLimit, tokens: int = 0, end_user: str = "") -> UUID | None:
    """One request; None when it is refused."""
    request_id = uuid4()
    try:
        await process.take(request_id, rates, end_user=end_user, tokens=tokens)
    except TrafficLimited:
        return None
    return request_id


async def passed(process: TrafficRates, count: int, *rates: RateLimit, tokens: int = 0, end_user: str = "") -> int:
    taken = await asyncio.gather(*(take(process, *rates, tokens=tokens, end_user=end_user) for _ in range(count)))
    return sum(each is not None for each in taken)


async def test_processes_together_let_through_what_the_bucket_holds(database: Database, books: Books) -> None:
    rate = a_rate(books, DAYS, 50)
    processes = [TrafficRates(database) for _ in range(3)]
    assert sum(await asyncio.gather(*(passed(each, 40, rate) for each in processes))) == 50
    for each in processes:
        await each.close()


async def test_a_request_takes_from_every_bucket_or_from_none(database: Database, books: Books) -> None:
    wide, narrow = a_rate(books, DAYS, 100), a_rate(books, DAYS, 3)
    process = TrafficRates(database)
    assert await passed(process, 10, wide, narrow) == 3
    assert await passed(process, 200, wide) == 97
    await process.close()


async def test_a_refusal_says_what_refused_and_when_to_come_again(database: Database, books: Books) -> None:
    process = TrafficRates(database)
    minutes = a_rate(books, MINUTES, 60, capacity=2)
    assert await passed(process, 2, minutes) == 2
    with pytest.raises(TrafficLimited, match="Tenant 'acme' allows 60 requests per minute and they are used") as caught:
        await process.take(uuid4(), [minutes, a_rate(books, DAYS, 5)], end_user="", tokens=0)
    assert 0 < caught.value.retry_after_ms <= 1_000
    assert [state.remaining for state in caught.value.states] == [0, 5]
    await process.close()


async def test_who_comes_again_when_told_gets_in(database: Database, books: Books) -> None:
    process = TrafficRates(database)
    rate = a_rate(books, MINUTES, 1_200, capacity=1)
    await take(process, rate)
    with pytest.raises(TrafficLimited) as caught:
        await process.take(uuid4(), [rate], end_user="", tokens=0)
    await asyncio.sleep(caught.value.retry_after_ms / 1000)
    assert await take(process, rate) is not None
    await process.close()


async def test_what_is_more_than_the_bucket_never_passes_and_is_told_so(database: Database, books: Books) -> None:
    process = TrafficRates(database)
    rate = a_rate(books, TOKENS, 1_000)
    with pytest.raises(RequestAboveRate, match="this request takes 1,001"):
        await process.take(uuid4(), [rate], end_user="", tokens=1_001)
    assert await passed(process, 1, rate, tokens=1_000) == 1
    await process.close()


async def test_tokens_are_brought_to_what_was_used(database: Database, books: Books) -> None:
    process = TrafficRates(database)
    rate = a_rate(books, TOKENS, 1_000)
    request_id = await take(process, rate, tokens=900)
    assert request_id is not None
    assert await take(process, rate, tokens=200) is None
    record = books.record(an_attempt(usage=Usage(input_tokens=80, output_tokens=20)), request_id=request_id)
    process.end(record)
    process.end(record)
    await process._corrections.drain()
    assert await take(process, rate, tokens=901) is None
    assert await take(process, rate, tokens=900) is not None
    await process.close()


async def test_more_than_was_estimated_is_a_debt(database: Database, books: Books) -> None:
    process = TrafficRates(database)
    rate = a_rate(books, TOKENS, 1_000)
    request_id = await take(process, rate, tokens=100)
    assert request_id is not None
    process.end(books.record(an_attempt(usage=Usage(input_tokens=1_000, output_tokens=500)), request_id=request_id))
    await process._corrections.drain()
    with pytest.raises(TrafficLimited) as caught:
        await process.take(uuid4(), [rate], end_user="", tokens=1)
    assert caught.value.retry_after_ms > 500 / 1_000 * 86_400_000 * 0.99
    await process.close()


async def test_a_request_that_is_tried_again_takes_once_and_of_what_is_new(database: Database, books: Books) -> None:
    process = TrafficRates(database)
    whole, first, second = (
        a_rate(books, DAYS, 5),
        a_rate(books, DAYS, 5, model="a/*"),
        a_rate(books, DAYS, 5, model="b/*"),
    )
    request_id = uuid4()
    assert len(await process.take(request_id, [whole, first], end_user="", tokens=0)) == 2
    [state] = await process.take(request_id, [whole, second], end_user="", tokens=0)
    assert state.remaining == 4
    assert await passed(process, 9, whole) == 4
    await process.close()


async def test_each_end_user_has_a_bucket_of_its_own(database: Database, books: Books) -> None:
    process = TrafficRates(database)
    each = a_rate(books, DAYS, 2, is_per_end_user=True)
    assert await passed(process, 5, each, end_user="ann") == 2
    assert await passed(process, 5, each, end_user="bob") == 2
    assert await books.value("SELECT count(*) FROM traffic_bucket") == 2
    await process.close()


async def test_a_bucket_that_is_full_again_is_not_kept(database: Database, books: Books) -> None:
    process = TrafficRates(database)
    await take(process, a_rate(books, DAYS, 5))
    await process.close()
    assert await purge_traffic_buckets(database) == 0
    assert await books.value("SELECT count(*) FROM traffic_bucket") == 1


@pytest.mark.parametrize("seed", range(2))
async def test_overlapping_limits_never_deadlock_nor_let_one_request_too_many_through(
    database: Database, books: Books, seed: int
) -> None:
    chance = random.Random(seed)
    rates = [a_rate(books, DAYS, chance.randint(20, 60)) for _ in range(4)]
    processes = [TrafficRates(database) for _ in range(3)]
    counts = dict.fromkeys((rate.limit_id for rate in rates), 0)

    async def one() -> None:
        covering = chance.sample(rates, chance.randint(1, 4))
        if await take(chance.choice(processes), *covering) is not None:
            for rate in covering:
                counts[rate.limit_id] += 1

    await asyncio.gather(*(one() for _ in range(300)))
    assert all(counts[rate.limit_id] <= rate.limit_count for rate in rates)
    # Whoever still fits alone gets in: nobody that was refused took anything.
    for rate in rates:
        assert await passed(processes[0], 70, rate) == rate.limit_count - counts[rate.limit_id]
    for process in processes:
        await process.close()
