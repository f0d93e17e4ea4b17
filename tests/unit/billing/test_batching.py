"""Batches form while one is in flight; whatever happens, everyone gets an answer."""

import asyncio
from collections.abc import Sequence

import pytest

from billing import BudgetInvalid, MeterUnavailable
from billing.batching import Batcher
from billing.errors import BillingError, DatabaseSilent


class Doubler:
    """Answers with twice the number, when let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()

    async def send(self, items: Sequence[int]) -> Sequence[int | BillingError]:
        self.batches.append(list(items))
        await self.gate.wait()
        return [2 * item if item >= 0 else BudgetInvalid(str(item)) for item in items]


async def test_the_first_goes_at_once_and_the_rest_gather_behind_it() -> None:
    doubler = Doubler()
    batcher = Batcher(doubler.send, batch_max=3, queue_max=10)
    first = batcher.submit(0)
    await asyncio.sleep(0)
    others = [batcher.submit(number) for number in range(1, 6)]
    doubler.gate.set()
    assert await asyncio.gather(first, *others) == [0, 2, 4, 6, 8, 10]
    assert doubler.batches == [[0], [1, 2, 3], [4, 5]]


async def test_an_error_among_the_answers_is_its_items_alone() -> None:
    doubler = Doubler()
    doubler.gate.set()
    batcher = Batcher(doubler.send, batch_max=3, queue_max=10)
    good, bad = batcher.submit(1), batcher.submit(-1)
    assert await good == 2
    with pytest.raises(BudgetInvalid):
        await bad


async def test_a_full_queue_refuses() -> None:
    batcher = Batcher(Doubler().send, batch_max=1, queue_max=2)
    held = [batcher.submit(1), batcher.submit(2)]
    with pytest.raises(MeterUnavailable, match="2 requests wait"):
        batcher.submit(3)
    for future in held:
        future.cancel()


async def test_a_failed_batch_fails_its_items_and_the_next_goes_on() -> None:
    calls = 0

    async def send(items: Sequence[int]) -> Sequence[int]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise MeterUnavailable("away")
        return items

    batcher = Batcher(send, batch_max=1, queue_max=10)
    first, second = batcher.submit(1), batcher.submit(2)
    with pytest.raises(MeterUnavailable):
        await first
    assert await second == 2


async def test_a_callers_cancellation_does_not_stop_the_batch() -> None:
    doubler = Doubler()
    batcher = Batcher(doubler.send, batch_max=3, queue_max=10)
    gone, stays = batcher.submit(1), batcher.submit(2)
    gone.cancel()
    doubler.gate.set()
    assert await stays == 4
    await batcher.drain()


async def test_who_waits_behind_a_silent_database_fails_with_the_batch_and_who_comes_later_tries() -> None:
    silent = asyncio.Event()
    batches: list[list[int]] = []

    async def send(items: Sequence[int]) -> Sequence[int]:
        batches.append(list(items))
        if not silent.is_set():
            await silent.wait()
            raise DatabaseSilent("away")
        return items

    batcher = Batcher(send, batch_max=2, queue_max=10)
    first = batcher.submit(1)
    await asyncio.sleep(0)
    waiting = [batcher.submit(number) for number in range(2, 6)]
    silent.set()
    answers = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert all(isinstance(answer, DatabaseSilent) for answer in answers)
    assert await batcher.submit(6) == 6
    assert batches == [[1], [6]]
