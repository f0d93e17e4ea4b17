"""How adjustments are written and requests read back as they truly were, over the pool of `signalbox_meter`.

Called by settling and by reconciliation. Invariant: who writes an adjustment holds the request's lock, and read
what it adjusts under that lock.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from billing.adjustment import Adjustment
from billing.connection import Connection
from billing.counting_repository import COUNT
from billing.records import AttemptRecord, RequestRecord
from billing.settlement import NO_DECISION, AttemptRow, RecordRow, rows_json
from billing.usage import Usage

ADJUST: Final = f"""
WITH {COUNT},
     adjusted AS (
         INSERT INTO adjustment (tenant_id, request_id, adjustment_number, reason, record, attempts, billed_nano_usd)
         SELECT $3, $4, coalesce(max(adjustment_number), 0) + 1, $5, $6::json, $7::json, $8
         FROM adjustment WHERE tenant_id = $3 AND request_id = $4)
SELECT settle_attempts($9, $10, $11)"""  # noqa: S608 - constants
# The newest adjustment of a request, laid over its record.
LATEST: Final = """LEFT JOIN LATERAL (
        SELECT record, attempts FROM adjustment
        WHERE tenant_id = r.tenant_id AND request_id = r.request_id ORDER BY adjustment_number DESC LIMIT 1
    ) a ON true
    CROSS JOIN LATERAL json_populate_record(r, a.record) t"""
TRUTH: Final = f"""
SELECT (to_jsonb(t) - 'decision')::text AS record, t.decision::text AS decision, coalesce(a.attempts, (
           SELECT coalesce(json_agg(to_json(x) ORDER BY x.attempt_number), '[]') FROM attempt x
           WHERE x.tenant_id = r.tenant_id AND x.request_id = r.request_id))::text AS attempts
FROM unnest($1::uuid[], $2::uuid[]) AS wanted(tenant_id, request_id)
JOIN request_record r USING (tenant_id, request_id) {LATEST}"""  # noqa: S608 - constants
_decode_record: Final = msgspec.json.Decoder(RecordRow).decode
_decode_attempts: Final = msgspec.json.Decoder(tuple[AttemptRow, ...]).decode
_USAGE_COUNTS: Final = tuple(name for name in Usage.__struct_fields__ if name in AttemptRow.__struct_fields__)


async def lock_request(connection: Connection, request_id: UUID) -> None:
    """Let one adjuster of a request in at a time; held until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"signalbox.adjust:{request_id}")


async def write_adjustment(connection: Connection, adjustment: Adjustment) -> None:
    """Write an adjustment, post and count its differences, and settle the reservations that still stand."""
    await connection.fetchval(
        ADJUST,
        rows_json(adjustment.rollups),
        rows_json(adjustment.postings),
        adjustment.tenant_id,
        adjustment.request_id,
        adjustment.reason,
        adjustment.record,
        adjustment.attempts,
        adjustment.billed_nano_usd,
        [adjustment.tenant_id] * len(adjustment.charges),
        list(adjustment.charges),
        list(adjustment.charges.values()),
    )


async def true_records(connection: Connection, keys: Sequence[tuple[UUID, UUID]]) -> list[RequestRecord]:
    """The requests (tenant, request) as they are known now, those that have a record."""
    rows = await connection.fetch(TRUTH, [tenant_id for tenant_id, _ in keys], [request_id for _, request_id in keys])
    return [_record(_decode_record(row["record"]), row["decision"], _decode_attempts(row["attempts"])) for row in rows]


def _record(row: RecordRow, decision: str | None, attempts: Sequence[AttemptRow]) -> RequestRecord:
    shared = {
        name: getattr(row, name)
        for name in RequestRecord.__struct_fields__
        if name in RecordRow.__struct_fields__ and name != "decision"
    }
    kept = NO_DECISION if decision is None else msgspec.Raw(decision.encode())
    return RequestRecord(**shared, decision=kept, attempts=tuple(_attempt(attempt) for attempt in attempts))


def _attempt(row: AttemptRow) -> AttemptRecord:
    shared = {
        name: getattr(row, name) for name in AttemptRecord.__struct_fields__ if name in AttemptRow.__struct_fields__
    }
    counts = {name: getattr(row, name) for name in _USAGE_COUNTS}
    return AttemptRecord(**shared, usage=Usage(**counts, is_estimated=row.is_usage_estimated))
