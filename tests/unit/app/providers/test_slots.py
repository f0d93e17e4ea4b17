"""Slots: given in turn, none lost or given twice whoever is cancelled, and never all to one tenant."""

import asyncio
import random
from uuid import UUID

import pytest

from app.providers.slots import SHARE_OF_FREE, Slots

TENANT, OTHER, THIRD = (UUID(int=number) for number in (1, 2, 3))


def taken_alone(slots: Slots, tenant_id: UUID) -> int:
    """Take as many as a tenant may have now."""
    count = 0
    while slots.may_take(tenant_id):
        slots.take_now(tenant_id)
        count += 1
    return count


async def test_slots_of_one_tenant_are_given_in_the_order_of_coming() -> None:
    slots = Slots(1)
    served: list[int] = []

    async def one(number: int) -> None:
        await slots.take(TENANT)
        served.append(number)
        slots.give_back(TENANT)

    await slots.take(TENANT)
    tasks = [asyncio.create_task(one(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert served == []
    slots.give_back(TENANT)
    await asyncio.gather(*tasks)
    assert served == [0, 1, 2, 3, 4]
    assert slots.free == 1


@pytest.mark.parametrize("seed", range(30))
async def test_no_slot_is_lost_or_given_twice_whoever_is_cancelled(seed: int) -> None:
    chance = random.Random(seed)
    slots = Slots(3)
    held = held_max = 0

    async def one(tenant_id: UUID) -> None:
        nonlocal held, held_max
        await slots.take(tenant_id)
        held += 1
        held_max = max(held_max, held)
        try:
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
        finally:
            held -= 1
            slots.give_back(tenant_id)

    tasks = [asyncio.create_task(one(chance.choice((TENANT, OTHER, THIRD)))) for _ in range(40)]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        if chance.random() < 0.5:
            chance.choice(tasks).cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (slots.free, held, held_max) == (3, 0, 3)
    assert not slots._waiters
    assert not slots._held


@pytest.mark.parametrize("count", [5, 50, 500])
async def test_what_is_left_to_others_shrinks_and_never_ends(count: int) -> None:
    slots = Slots(count)
    assert taken_alone(slots, TENANT) == -(-count * SHARE_OF_FREE // (SHARE_OF_FREE + 1))
    others = [taken_alone(slots, UUID(int=number)) for number in range(10, 14)]
    assert others == sorted(others, reverse=True)
    assert others[0] > 0


async def test_a_tenant_that_waits_for_many_lets_another_in_between() -> None:
    slots = Slots(2)
    served: list[UUID] = []

    async def one(tenant_id: UUID) -> None:
        await slots.take(tenant_id)
        served.append(tenant_id)
        await asyncio.sleep(0)
        slots.give_back(tenant_id)

    await slots.take(TENANT)
    await slots.take(TENANT)
    crowd = [asyncio.create_task(one(TENANT)) for _ in range(20)]
    await asyncio.sleep(0)
    late = asyncio.create_task(one(OTHER))
    await asyncio.sleep(0)
    slots.give_back(TENANT)
    slots.give_back(TENANT)
    await asyncio.gather(late, *crowd)
    assert served.index(OTHER) <= 2
    assert slots.free == 2


async def test_who_may_have_one_does_not_wait_behind_who_may_not() -> None:
    slots = Slots(5)
    assert taken_alone(slots, TENANT) == 4
    waiting = asyncio.create_task(slots.take(TENANT))
    await asyncio.sleep(0)
    assert not waiting.done()
    await asyncio.wait_for(slots.take(OTHER), 1)
    slots.give_back(OTHER)
    assert not waiting.done()
    slots.give_back(TENANT)
    await waiting
