"""A budget under a storm of callers on several replicas: never overspent, and used to its last cent.

The truth is the provider's own log. Bounded: 3 replicas of one process each, three scenes of seconds.
"""

import asyncio
from uuid import UUID

import msgspec

from app.sandbox import SANDBOX_MODELS, sandbox_prices
from billing import Price, set_budget
from tenants import SYSTEM
from tests.chaos.books import balance
from tests.chaos.client import Told, ask
from tests.chaos.stage import stage

REPLICAS = 3
CLIENTS_PER_REPLICA = 500
REQUESTS_WITHIN_BUDGET = 100
PRICE_NANO_USD = 1_000_000
TENTHS, TENTHS_ANSWERED_MIN = 1_000, 950
LAST_DOLLARS_NANO_USD = 100_000_000
# What is answered has about 26 tokens.
OUTPUT_TOKENS_MAX, TOKEN_PRICE_NANO_USD = 280, 1_000
# A call whose bound is at most $0.0005.
SEQUENTIAL, SEQUENTIAL_OUTPUT_TOKENS_MAX = 100, 1_000
MODEL = SANDBOX_MODELS["swift-mini"]


def prices(**changed: int) -> list[Price]:
    """The sandbox's prices, with those of its smallest model changed: nothing but what is named costs."""
    free = {"input_nano_usd_per_million": 0, "output_nano_usd_per_million": 0, "cache_read_nano_usd_per_million": 0}
    return [
        msgspec.structs.replace(price, **(free | changed)) if price.model == MODEL.name else price
        for price in sandbox_prices(UUID(int=0))
    ]


async def test_exactly_what_the_budget_holds_succeeds_when_calls_cost_their_bound() -> None:
    async with stage(replicas=REPLICAS, prices=prices(per_request_nano_usd=PRICE_NANO_USD)) as play:
        limit = REQUESTS_WITHIN_BUDGET * PRICE_NANO_USD
        await set_budget(play.parts.database, SYSTEM, play.tenant_id, period="month", limit_nano_usd=limit)
        told = Told()
        await asyncio.gather(
            *(ask(play, replica.base_url, told) for replica in play.replicas for _ in range(CLIENTS_PER_REPLICA))
        )
        assert told.final == {"200": REQUESTS_WITHIN_BUDGET, "402": REPLICAS * CLIENTS_PER_REPLICA - 100}, told
        found = await balance(play)
        assert (found.calls, found.billed_nano_usd, found.lost) == (REQUESTS_WITHIN_BUDGET, limit, 0)


async def test_answers_at_a_tenth_of_their_bound_use_the_budget_up() -> None:
    per_million = TOKEN_PRICE_NANO_USD * 1_000_000
    async with stage(replicas=REPLICAS, prices=prices(output_nano_usd_per_million=per_million)) as play:
        limit = TENTHS // 10 * OUTPUT_TOKENS_MAX * TOKEN_PRICE_NANO_USD
        await set_budget(play.parts.database, SYSTEM, play.tenant_id, period="month", limit_nano_usd=limit)
        told = Told()
        waiting = asyncio.Semaphore(CLIENTS_PER_REPLICA)

        async def one(number: int) -> None:
            async with waiting:
                await ask(play, play.replicas[number % REPLICAS].base_url, told, max_tokens=OUTPUT_TOKENS_MAX)

        await asyncio.gather(*(one(number) for number in range(TENTHS)))
        assert told.answered >= TENTHS_ANSWERED_MIN, told
        found = await balance(play)
        used = sum(call.output_tokens for call in play.calls())
        assert OUTPUT_TOKENS_MAX * 0.08 < used / found.calls <= OUTPUT_TOKENS_MAX * 0.1, "answers are not a tenth"
        assert found.billed_nano_usd == used * TOKEN_PRICE_NANO_USD <= limit


async def test_the_last_cents_are_spent_by_calls_that_follow_each_other() -> None:
    async with stage(replicas=REPLICAS) as play:
        await set_budget(
            play.parts.database, SYSTEM, play.tenant_id, period="month", limit_nano_usd=LAST_DOLLARS_NANO_USD
        )
        told = Told()
        for number in range(SEQUENTIAL):
            await ask(
                play,
                play.replicas[number % REPLICAS].base_url,
                told,
                max_tokens=SEQUENTIAL_OUTPUT_TOKENS_MAX,
                tries_max=1,
            )
        assert told.final == {"200": SEQUENTIAL}, told
        found = await balance(play)
        assert found.billed_nano_usd <= LAST_DOLLARS_NANO_USD
