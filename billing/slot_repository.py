"""The statements that lend slots of concurrency limits to processes, over the pool of `signalbox_meter`.

Called by `Concurrency`. Invariant: at every commit the slots lent of a limit are at most its slots, unless it was
lowered while more were in use.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from billing.connection import Connection
from billing.slot_leases import ConcurrencyLimit


class LeaseQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """So many requests run under a limit here, and so many more want to begin."""

    limit: ConcurrencyLimit
    used: int
    wanted: int


class LeaseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """So many may run here, and so many may be kept idle."""

    granted: int
    spare: int


async def lease_batch(
    connection: Connection, process_id: UUID, questions: Sequence[LeaseQuestion], *, lease_s: int
) -> list[LeaseAnswer]:
    """Say what a process uses and wants of each limit, and hear what it may have."""
    rows = await connection.fetch(
        "SELECT * FROM lease_slots($1, $2, $3, $4, $5, $6, $7) ORDER BY ordinal",
        process_id,
        [question.limit.tenant_id for question in questions],
        [question.limit.limit_id for question in questions],
        [question.limit.slots_max for question in questions],
        [question.used for question in questions],
        [question.wanted for question in questions],
        lease_s,
    )
    return [LeaseAnswer(granted=row["granted"], spare=row["spare"]) for row in rows]


async def end_slot_leases(connection: Connection, process_id: UUID) -> None:
    """End what a process was lent, and what ended by itself."""
    await connection.execute("SELECT end_slot_leases($1)", process_id)
