"""The plan's request rate over replicas: no window of time sees more than the limit and the burst.

The truth is the provider's own log. Bounded by STORM_S and RETRIES.
"""

import asyncio
import itertools
import time
from collections.abc import Sequence
from datetime import datetime

import msgspec

from tests.chaos.client import Told, ask
from tests.chaos.stage import PLAN, stage

REPLICAS = 3
CALLERS = 90
PER_MINUTE, BURST = 600, 50
STORM_S = 20.0
RETRIES, RETRIES_ANSWERED_MIN = 100, 99
# Between its admission and the provider a call takes a moment, and some take longer than others on a busy machine.
UNDER_WAY_S = 1.5


async def test_no_window_sees_more_than_limit_and_burst_and_who_waits_as_told_is_served() -> None:
    plan = msgspec.structs.replace(PLAN, plan_id="rated", requests_per_minute=PER_MINUTE, request_burst=BURST)
    async with stage(replicas=REPLICAS, plan=plan) as play:
        told, numbers, ends = Told(), itertools.count(), time.monotonic() + STORM_S

        async def storm() -> None:
            while time.monotonic() < ends:
                await ask(play, play.replicas[next(numbers) % REPLICAS].base_url, told, tries_max=1)

        await asyncio.gather(*(storm() for _ in range(CALLERS)))
        assert set(told.seen) == {200, 429}, told
        started = sorted(call.started_at for call in play.calls())
        assert len(started) == told.seen[200]
        assert len(started) >= PER_MINUTE / 60 * STORM_S, "what the plan allows was not given out"
        assert most_above(started) <= 0

        alone = Told()
        for _ in range(RETRIES):
            await ask(play, play.replicas[next(numbers) % REPLICAS].base_url, alone, tries_max=2)
        assert alone.answered >= RETRIES_ANSWERED_MIN, alone


def most_above(started: Sequence[datetime]) -> float:
    """By how much the fullest of all windows passes the limit and the burst; 0 or less: none does."""
    per_s = PER_MINUTE / 60
    return max(
        (last - first + 1) - BURST - per_s * ((started[last] - started[first]).total_seconds() + UNDER_WAY_S)
        for first in range(len(started))
        for last in range(first, len(started))
    )
