"""The database stopped at once, and cut off, under load: the books stay whole and callers are told at once.

The truth is the provider's own log. Bounded by STOPS and CUT_OFF_S.
"""

import asyncio
import itertools
import random
import time

import aiohttp

from billing import set_budget
from tenants import SYSTEM
from tests.chaos.books import balance
from tests.chaos.client import Told, ask
from tests.chaos.stage import Stage, stage

REPLICAS = 2
CALLERS = 60
STOPS, BETWEEN_STOPS_S = 5, 3.0
CUT_OFF_S = 60.0
STREAMS = 20
# A call that finds no database is to be refused within a second. Twice that is slow, and not a busy machine.
REFUSED_WITHIN_S = 2.0
BUDGET_NANO_USD = 10**13
LONG_STREAM_WORDS = 9_000
TIMEOUT = aiohttp.ClientTimeout(total=20)


async def test_the_books_are_whole_though_the_database_is_stopped_at_once_under_load() -> None:
    dice = random.Random(5)
    async with stage(replicas=REPLICAS) as play:
        await set_budget(play.parts.database, SYSTEM, play.tenant_id, period="month", limit_nano_usd=BUDGET_NANO_USD)
        told, numbers, is_over = Told(), itertools.count(), asyncio.Event()

        async def keep_asking() -> None:
            while not is_over.is_set():
                url = play.replicas[next(numbers) % REPLICAS].base_url
                await ask(play, url, told, words=dice.randrange(4, 60), stream=dice.random() < 0.5)

        asking = [asyncio.create_task(keep_asking()) for _ in range(CALLERS)]
        for _ in range(STOPS):
            await asyncio.sleep(BETWEEN_STOPS_S)
            await play.stop_postgres_at_once()
        await asyncio.sleep(BETWEEN_STOPS_S)
        is_over.set()
        await asyncio.gather(*asking)
        assert set(told.final) == {"200"}, told
        found = await balance(play)
        assert found.lost == 0, "no process died"
        assert found.billed_nano_usd >= found.upstream_nano_usd
        assert found.calls >= told.answered


async def test_streams_finish_and_settle_though_the_database_is_cut_off() -> None:
    async with stage(replicas=REPLICAS) as play:
        await set_budget(play.parts.database, SYSTEM, play.tenant_id, period="month", limit_nano_usd=BUDGET_NANO_USD)
        told = Told()
        for replica in play.replicas:
            await ask(play, replica.base_url, told)
        running = [
            asyncio.create_task(
                ask(
                    play, play.replicas[number % REPLICAS].base_url, told,
                    words=LONG_STREAM_WORDS, model="sandbox/deep-large", max_tokens=30_000, stream=True,
                )
            )
            for number in range(STREAMS)
        ]  # fmt: skip
        while await play.value("SELECT count(*) FROM reservation WHERE state = 'held'") < STREAMS:
            await asyncio.sleep(0.05)
        async with play.postgres_cut_off():
            refused_after_s = await _refusals(play, for_s=CUT_OFF_S)
        await asyncio.gather(*running)
        assert told.final == {"200": STREAMS + REPLICAS}, told
        slow = [taken for taken in refused_after_s if taken > REFUSED_WITHIN_S]
        assert not slow, (len(slow), len(refused_after_s), max(slow))
        found = await balance(play)
        assert found.lost == 0
        assert (found.billed_nano_usd, found.calls) == (found.upstream_nano_usd, STREAMS + REPLICAS)


async def _refusals(play: Stage, *, for_s: float) -> list[float]:
    """Call again and again while the database is away; how long each waited for its refusal."""
    waited, ends, numbers = [], time.monotonic() + for_s, itertools.count()

    async def one() -> None:
        while time.monotonic() < ends:
            began = time.monotonic()
            url = play.replicas[next(numbers) % REPLICAS].base_url
            request = {"model": "sandbox/swift-mini", "messages": [{"role": "user", "content": "Hello"}]}
            async with play.client.post(
                f"{url}/v1/chat/completions", json=request, headers=play.headers, timeout=TIMEOUT
            ) as answer:
                assert answer.status == 503, await answer.text()
                assert int(answer.headers["retry-after"]) >= 1
            waited.append(time.monotonic() - began)
            await asyncio.sleep(0.5)

    await asyncio.gather(*(one() for _ in range(8)))
    return waited
