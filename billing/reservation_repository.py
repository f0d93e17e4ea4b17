"""Housekeeping of reservations: closed ones are purged in chunks, so that the table stays small.

Called by the worker. Invariant: what is held, and what was closed within a day, is never touched.
"""

from typing import Final

from tenants import Database

PURGE_ROWS_MAX: Final = 10_000


async def purge_reservations(database: Database) -> int:
    """Delete reservations that were closed over a day ago; return how many."""
    pool = await database.meter_pool()
    total = 0
    while True:
        purged: int = await pool.fetchval("SELECT purge_reservations($1)", PURGE_ROWS_MAX)
        total += purged
        if purged < PURGE_ROWS_MAX:
            return total
