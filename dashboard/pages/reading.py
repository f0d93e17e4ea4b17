"""What the pages of usage read: the sums of a range by a group, of the compared period, and of short ranges finely.

Called by the pages in their transaction. Invariant: tiles, figures, tables and exports of a page are folds of one
reading.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from billing import UsageDimension, latency_bounds_ms
from dashboard import queries
from dashboard.filters import UsageFilter
from dashboard.ranges import Grain, TimeRange
from dashboard.request_repository import fine_rows
from dashboard.usage import UsageRow, UsageSums, by_slot


@dataclass(frozen=True, slots=True)
class Reading:
    """Sums by bar and group: `rows` of the range, `before` of the compared period, `drawn` as finely as bars are."""

    within: TimeRange
    rows: tuple[UsageRow, ...]
    before: tuple[UsageRow, ...]
    drawn: tuple[UsageRow, ...]

    @property
    def slots(self) -> tuple[UsageSums, ...]:
        """The sums of each bar."""
        return by_slot(self.drawn, len(self.within.buckets()))

    @property
    def compared(self) -> Sequence[UsageSums]:
        """The sums of each bar of the compared period; none where bars are finer than rollups."""
        if self.within.grain is Grain.FIVE_MINUTES or not self.within.shift:
            return ()
        return by_slot(self.before, len(self.within.buckets()))


async def read_usage(
    session: AsyncSession,
    tenant_id: UUID,
    within: TimeRange,
    wanted: UsageFilter,
    by: UsageDimension = UsageDimension.MODEL,
) -> Reading:
    """Everything that a page of usage folds."""
    starts, shift = within.buckets(), within.shift
    rows = await queries.usage_rows(session, tenant_id, starts, within.until, wanted, by)
    before: tuple[UsageRow, ...] = ()
    if shift:
        earlier = tuple(start - shift for start in starts)
        before = await queries.usage_rows(session, tenant_id, earlier, within.until - shift, wanted, by)
    drawn = rows
    if within.grain is Grain.FIVE_MINUTES:  # hours are the grain of rollups
        drawn = await fine_rows(session, tenant_id, within, wanted, latency_bounds_ms, by)
    return Reading(within, rows, before, drawn)
