"""Gateway processes killed at random under live streams: no call is lost, none is counted twice.

The truth is the provider's own log. Bounded by REQUESTS; two replicas of two processes each.
"""

import asyncio
import itertools
import random

from billing import set_budget
from tenants import SYSTEM
from tests.chaos.books import balance
from tests.chaos.client import Told, ask
from tests.chaos.stage import Stage, stage

REPLICAS, WORKERS = 2, 2
REQUESTS = 20_000
STREAMS_AT_ONCE = 240
KILLS = 20
BUDGET_NANO_USD = 10**13


async def test_each_call_has_one_record_though_processes_are_killed_under_it() -> None:
    dice = random.Random(20)
    async with stage(replicas=REPLICAS, workers=WORKERS) as play:
        await set_budget(play.parts.database, SYSTEM, play.tenant_id, period="month", limit_nano_usd=BUDGET_NANO_USD)
        told, numbers = Told(), itertools.count()

        async def keep_asking() -> None:
            while (number := next(numbers)) < REQUESTS:
                url = play.replicas[number % REPLICAS].base_url
                await ask(play, url, told, words=dice.randrange(4, 60), model="sandbox/deep-large", stream=True)

        killer = asyncio.create_task(_kill_again_and_again(play, dice, told))
        await asyncio.gather(*(keep_asking() for _ in range(STREAMS_AT_ONCE)))
        killed = await killer
        assert killed == KILLS
        assert set(told.final) <= {"200", "broken"}, told
        assert told.final["broken"] <= KILLS * STREAMS_AT_ONCE, told
        found = await balance(play)
        assert found.lost > 0, "no process died under a call"
        assert found.billed_nano_usd >= found.upstream_nano_usd
        assert found.calls >= told.answered


async def _kill_again_and_again(play: Stage, dice: random.Random, told: Told) -> int:
    """Kill a process each time that a share of the requests has been answered."""
    killed = 0
    for share in range(1, KILLS + 1):
        while sum(told.final.values()) < REQUESTS * share // (KILLS + 2):
            await asyncio.sleep(0.02)
        if any(replica.living for replica in play.replicas):
            play.kill_one(dice)
            killed += 1
    return killed
