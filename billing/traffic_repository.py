"""The statements that move the buckets of rates, over the pool of `signalbox_meter`.

Called by `TrafficRates` and the worker. Invariant: each is one statement, in which a request takes from all its
buckets or from none.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Final

import msgspec

from billing.connection import Connection
from billing.traffic_limit import RateLimit
from tenants import Database

PURGE_ROWS_MAX: Final = 10_000


class TrafficAsk(msgspec.Struct, kw_only=True, eq=False):
    """One request takes itself and its tokens off some rates."""

    rates: tuple[RateLimit, ...]
    end_user: str
    tokens: int
    was_taken: bool = False

    def amount_of(self, rate: RateLimit) -> int:
        """How much it takes of one."""
        return self.tokens if rate.kind.is_of_tokens else 1


class BucketAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket after a request took from it, or could not."""

    is_taken: bool
    remaining: int
    reset_ms: int
    retry_after_ms: int


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """So many tokens more, or less, than were taken."""

    rate: RateLimit
    end_user: str
    tokens: int


async def take_batch(connection: Connection, asked: Sequence[TrafficAsk]) -> list[list[BucketAnswer]]:
    """Let each request take, in order; its answers are in the order of its rates."""
    rows = [(number, each, rate) for number, each in enumerate(asked) for rate in each.rates]
    found = await connection.fetch(
        "SELECT * FROM take_traffic($1, $2, $3, $4, $5, $6, $7, $8)",
        [number for number, _, _ in rows],
        [rate.tenant_id for _, _, rate in rows],
        [rate.limit_id for _, _, rate in rows],
        [each.end_user if rate.is_per_end_user else "" for _, each, rate in rows],
        [rate.limit_count for _, _, rate in rows],
        [rate.capacity for _, _, rate in rows],
        [rate.kind.period_s for _, _, rate in rows],
        [each.amount_of(rate) for _, each, rate in rows],
    )
    answers = iter([BucketAnswer(**row) for row in found])
    return [list(islice(answers, len(each.rates))) for each in asked]


async def correct_batch(connection: Connection, corrections: Sequence[Correction]) -> list[None]:
    """Move buckets by what was taken too much or too little."""
    await connection.execute(
        "SELECT correct_traffic($1, $2, $3, $4, $5, $6)",
        [each.rate.tenant_id for each in corrections],
        [each.rate.limit_id for each in corrections],
        [each.end_user if each.rate.is_per_end_user else "" for each in corrections],
        [each.rate.limit_count for each in corrections],
        [each.rate.kind.period_s for each in corrections],
        [each.tokens for each in corrections],
    )
    return [None] * len(corrections)


async def purge_traffic_buckets(database: Database) -> int:
    """Delete buckets that are full; return how many."""
    pool = await database.meter_pool()
    total = 0
    while True:
        purged: int = await pool.fetchval("SELECT purge_traffic_buckets($1)", PURGE_ROWS_MAX)
        total += purged
        if purged < PURGE_ROWS_MAX:
            return total
