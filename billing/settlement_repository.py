"""The statements that write records and count them, over the pool of `signalbox_meter`.

Called by `CommitMeter` and by the job that settles lost calls. Invariant: a record is counted by the statement
that inserts it or not at all: its primary key refuses the statement that brings it again.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from billing.adjustment_repository import lock_request, write_adjustment
from billing.connection import Connection
from billing.counting_repository import COUNT, insertion, posting_ids_of
from billing.interruption import adjustment_of, interrupted_record
from billing.ledger import postings_of
from billing.records import RequestRecord
from billing.reservation_repository import lock_orphans
from billing.rollups import rollups_of
from billing.settlement import AttemptRow, RecordRow, attempt_row, record_row, rows_json

# How often a batch is cleaned of records that were settled before; others may settle some meanwhile.
REPLAYS_MAX: Final = 5


SETTLE: Final = f"""
WITH {COUNT},
     records AS ({insertion("request_record", RecordRow, 3)}),
     attempts AS ({insertion("attempt", AttemptRow, 4)} RETURNING tenant_id, attempt_id, billed_nano_usd)
SELECT settle_attempts(array_agg(tenant_id), array_agg(attempt_id), array_agg(billed_nano_usd), $5)
FROM attempts HAVING count(*) > 0"""  # noqa: S608 - constants


async def settle_batch(connection: Connection, process_id: UUID, records: Sequence[RequestRecord]) -> None:
    """Write the records that are new, and count exactly those. The truth about a lost call replaces the guess."""
    # In key order: batches that share records wait for each other and do not deadlock.
    by_key = {(record.tenant_id.int, record.request_id.int): record for record in records}
    fresh = [record for _, record in sorted(by_key.items())]
    for _ in range(REPLAYS_MAX):
        try:
            await connection.fetchval(SETTLE, *_rows(process_id, fresh), False)
            return
        except asyncpg.UniqueViolationError:
            stored = await stored_requests(connection, [(each.tenant_id, each.request_id) for each in fresh])
            if not stored:
                raise
        for record in fresh:
            if (record.tenant_id, record.request_id) in stored:
                await _adjust(connection, process_id, record)
        fresh = [record for record in fresh if (record.tenant_id, record.request_id) not in stored]
        if not fresh:
            return
    raise asyncpg.SerializationError("records were settled elsewhere while they were settled here")


async def record_lost(connection: Connection, writer_id: UUID, records: Sequence[RequestRecord]) -> None:
    """Write the records of lost calls; what was held for them is kept as spent, and remembered."""
    await connection.fetchval(SETTLE, *_rows(writer_id, records), True)


async def stored_requests(connection: Connection, keys: Sequence[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
    """Which of the requests (tenant, request) have a record."""
    rows = await connection.fetch(
        """SELECT r.tenant_id, r.request_id FROM unnest($1::uuid[], $2::uuid[]) AS sent(tenant_id, request_id)
           JOIN request_record r USING (tenant_id, request_id)""",
        [tenant_id for tenant_id, _ in keys],
        [request_id for _, request_id in keys],
    )
    return {(row["tenant_id"], row["request_id"]) for row in rows}


def _rows(process_id: UUID, records: Sequence[RequestRecord]) -> tuple[str, ...]:
    posting_ids = posting_ids_of(records)
    return (
        rows_json(rollups_of(records, process_id)),
        rows_json(postings_of(records, posting_ids)),
        rows_json([record_row(record, posting_ids) for record in records]),
        rows_json([attempt_row(record, attempt) for record in records for attempt in record.attempts]),
    )


async def _adjust(connection: Connection, process_id: UUID, record: RequestRecord) -> None:
    """Put the truth beside what was recorded for a process that was taken for dead; once, and else nothing."""
    async with connection.transaction():
        await lock_request(connection, record.request_id)
        lost = await lock_orphans(connection, record.tenant_id, record.request_id)
        if not lost:
            return
        posting_ids = posting_ids_of([record, interrupted_record(lost)])
        await write_adjustment(connection, adjustment_of(record, lost, process_id, posting_ids))
