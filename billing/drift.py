"""Whether the books agree: records, rollups, ledger and statements, compared by tenant, model and day.

Called by the worker once a day and by `signalbox reconcile --check`. Invariant: it reads in one snapshot, so that
what is settled meanwhile is in all of the books or in none of them.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import structlog

from billing.drift_repository import COMPARISONS, compare
from tenants import Database

DAYS_DEFAULT: Final = 2
DRIFTS_LOGGED_MAX: Final = 20
log = structlog.get_logger(__name__)


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """Two books that tell different sums. What a comparison does not know by provider or model is ''."""

    comparison: str  # which books, as 'records and rollups'
    quantity: str  # what of them, as 'billed_nano_usd'
    tenant_id: UUID
    provider_name: str
    model: str
    day: date  # UTC
    expected: int
    found: int


async def find_drift(database: Database, since: datetime, until: datetime) -> tuple[Drift, ...]:
    """Every disagreement of the days from the one that holds `since` up to the one that holds `until`, UTC."""
    starts, ends = _day(since), _day(until) + timedelta(days=1)
    pool = await database.meter_pool()
    found: list[Drift] = []
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        for comparison in COMPARISONS:
            rows = await compare(connection, comparison, starts, ends)
            found += [Drift(comparison=comparison.books, **row) for row in rows]
    return tuple(found)


async def watch_drift(database: Database, *, now: datetime | None = None) -> int:
    """Compare the last days and raise an alarm for each disagreement; return how many there are."""
    until = now or datetime.now(UTC)
    drifts = await find_drift(database, until - timedelta(days=DAYS_DEFAULT), until)
    for drift in drifts[:DRIFTS_LOGGED_MAX]:
        log.error("books_drifted", **{name: str(value) for name, value in msgspec.structs.asdict(drift).items()})
    if drifts:
        log.error("books_drifted_total", count=len(drifts))
    return len(drifts)


def _day(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
