"""The job that settles what processes left behind when they died.

Called by the worker, over the pool of `signalbox_meter`; any number of them may run at once. Invariant: a lost
call is recorded once, by whoever locked its reservation, and a request that has a record was never lost.
"""

from itertools import groupby
from typing import Final
from uuid import UUID

import structlog

from billing.connection import Connection
from billing.interruption import LostAttempt, interrupted_record
from billing.meter_repository import release_batch
from billing.reservation_repository import lock_lost
from billing.settlement_repository import record_lost, stored_requests
from tenants import Database

SILENT_S_MAX: Final = 120
LOST_ROWS_MAX: Final = 500
# Who counts: no process of the request path has this id.
WRITER_ID: Final = UUID(int=1)
log = structlog.get_logger(__name__)


async def settle_lost(database: Database, *, silent_s_max: int = SILENT_S_MAX) -> int:
    """Record the calls of processes that are silent for so long as interrupted; return how many attempts it were."""
    pool = await database.meter_pool()
    total = 0
    while True:
        async with pool.acquire() as connection, connection.transaction():
            count = await _settle_some(connection, silent_s_max)
        total += count
        if count < LOST_ROWS_MAX:
            break
    if total:
        log.warning("calls_lost", attempts=total)
    return total


async def _settle_some(connection: Connection, silent_s_max: int) -> int:
    lost = await lock_lost(connection, silent_s_max=silent_s_max, rows_max=LOST_ROWS_MAX)
    requests = {key: list(attempts) for key, attempts in groupby(sorted(lost, key=_order), key=_key)}
    stored = await stored_requests(connection, list(requests))
    # A request that has its record did not need these: it was their release that got lost.
    spare = [attempt for key in stored for attempt in requests[key]]
    if spare:
        await release_batch(connection, [(attempt.tenant_id, attempt.attempt_id) for attempt in spare])
    records = [interrupted_record(attempts) for key, attempts in requests.items() if key not in stored]
    if records:
        await record_lost(connection, WRITER_ID, records)
    return len(lost)


def _key(attempt: LostAttempt) -> tuple[UUID, UUID]:
    return attempt.tenant_id, attempt.request_id


def _order(attempt: LostAttempt) -> tuple[int, int]:
    return attempt.tenant_id.int, attempt.request_id.int
