"""Reservations read back, signs of life of those who hold them, and housekeeping.

Called by the heartbeat, by settling and by the worker's jobs, over the pool of `signalbox_meter`. Invariant: what
is held or orphaned is never deleted here.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from billing.connection import Connection
from billing.interruption import LostAttempt
from tenants import Database

PURGE_ROWS_MAX: Final = 10_000


async def beat_process(connection: Connection, process_id: UUID) -> None:
    """Note that a process lives."""
    await connection.execute("SELECT beat_process($1)", process_id)


async def held_attempts(connection: Connection, process_id: UUID, *, age_s: int) -> list[tuple[UUID, UUID]]:
    """What a process has held for longer than that, as tenants and attempts."""
    rows = await connection.fetch("SELECT tenant_id, attempt_id FROM held_reservations($1, $2)", process_id, age_s)
    return [(row["tenant_id"], row["attempt_id"]) for row in rows]


async def lock_lost(connection: Connection, *, silent_s_max: int, rows_max: int) -> list[LostAttempt]:
    """What silent processes hold, locked for this transaction; what somebody else has locked is passed over."""
    rows = await connection.fetch("SELECT * FROM lost_reservations($1, $2)", silent_s_max, rows_max)
    return [_lost_attempt(row) for row in rows]


async def lock_orphans(connection: Connection, tenant_id: UUID, request_id: UUID) -> list[LostAttempt]:
    """What a request left behind and was recorded for, locked for this transaction."""
    attempts = await connection.fetch(
        "SELECT tenant_id, attempt_id FROM attempt WHERE tenant_id = $1 AND request_id = $2", tenant_id, request_id
    )
    rows: Sequence[Connection] = await connection.fetch(
        "SELECT * FROM orphaned_reservations($1, $2)",
        [row["tenant_id"] for row in attempts],
        [row["attempt_id"] for row in attempts],
    )
    return [_lost_attempt(row) for row in rows]


async def unresolved_requests(connection: Connection, *, age_s: int, attempts_max: int) -> list[tuple[UUID, UUID]]:
    """Requests (tenant, request) that were recorded as lost so long ago, and of which nothing was heard since."""
    rows = await connection.fetch("SELECT * FROM unresolved_reservations($1, $2)", age_s, attempts_max)
    return list(dict.fromkeys((row["tenant_id"], row["request_id"]) for row in rows))


async def purge_reservations(database: Database) -> int:
    """Delete reservations that were released over a day ago; return how many."""
    pool = await database.meter_pool()
    total = 0
    while True:
        purged: int = await pool.fetchval("SELECT purge_reservations($1)", PURGE_ROWS_MAX)
        total += purged
        if purged < PURGE_ROWS_MAX:
            return total


def _lost_attempt(row: Connection) -> LostAttempt:
    return LostAttempt(**{name: row[name] for name in LostAttempt.__struct_fields__})
