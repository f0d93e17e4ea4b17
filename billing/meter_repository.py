"""The statements of the request path, each for a whole batch, over the pool of `signalbox_meter`.

Called by `CommitMeter` alone. Rows travel as JSON or arrays, one parameter for each set, so that the
number of statements does not grow with the batch.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from billing.ledger import EntryRow, PostingIds, PostingRow, currency_of, postings_of
from billing.meter import AdmissionRequest, Reservation
from billing.records import RequestRecord
from billing.rollup_repository import MERGE_ROLLUPS
from billing.rollups import RollupRow, rollups_of
from billing.settlement import AttemptRow, RecordTotals, attempt_row, totals_of

# asyncpg's connection as its pool hands it out; the package has no types.
Connection = Any
DEAD_LETTER_KIND: Final = "request_record"

TOTAL_COLUMNS: Final = tuple(name for name in RecordTotals.__struct_fields__ if name not in {"tenant_id", "request_id"})
RECORD_COLUMNS: Final = tuple(name for name in RequestRecord.__struct_fields__ if name != "attempts")
# In key order: two batches that share records wait for each other and do not deadlock.
INSERT_RECORDS: Final = f"""
INSERT INTO request_record ({", ".join(RECORD_COLUMNS)}, {", ".join(TOTAL_COLUMNS)})
SELECT {", ".join(f"r.{name}" for name in RECORD_COLUMNS)}, {", ".join(f"t.{name}" for name in TOTAL_COLUMNS)}
FROM ROWS FROM (json_populate_recordset(NULL::request_record, $1::json)) WITH ORDINALITY AS r
JOIN ROWS FROM (json_populate_recordset(NULL::request_record, $2::json)) WITH ORDINALITY AS t USING (ordinality)
ORDER BY r.tenant_id, r.request_id
ON CONFLICT DO NOTHING RETURNING tenant_id, request_id"""  # noqa: S608 - constants


def _insert(table: str, row: type[msgspec.Struct], parameter: int) -> str:
    columns = ", ".join(row.__struct_fields__)
    return (
        f"INSERT INTO {table} ({columns}) SELECT {columns} "  # noqa: S608 - constants
        f"FROM json_populate_recordset(NULL::{table}, ${parameter}::json)"
    )


COUNT_RECORDS: Final = f"""
WITH attempts AS ({_insert("attempt", AttemptRow, 1)}),
     rollups AS ({_insert("usage_rollup", RollupRow, 2)} {MERGE_ROLLUPS}),
     postings AS ({_insert("ledger_posting", PostingRow, 3)}),
     entries AS ({_insert("ledger_entry", EntryRow, 4)})
SELECT settle_attempts($5, $6, $7)"""


class AdmissionRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the database said of one request."""

    is_admitted: bool
    remaining: int
    retry_after_ms: int
    reset_ms: int
    headroom_nano_usd: int | None
    unspent_nano_usd: int | None


class ReservationRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the database said of one attempt: 'held', or which budget is 'exceeded' or 'contended'."""

    outcome: str
    budget_id: UUID | None
    limit_nano_usd: int | None
    spent_nano_usd: int | None
    reserved_nano_usd: int | None
    resets_at: datetime | None


async def admit_batch(connection: Connection, requests: Sequence[AdmissionRequest]) -> list[AdmissionRow]:
    """Take each request off its tenant's rate, in order."""
    rows = await connection.fetch(
        "SELECT * FROM admit_requests($1, $2, $3, $4, $5) ORDER BY ordinal",
        [request.tenant_id for request in requests],
        [request.project_id for request in requests],
        [request.api_key_id for request in requests],
        [request.requests_per_minute for request in requests],
        [request.request_burst for request in requests],
    )
    return [
        AdmissionRow(
            is_admitted=row["is_admitted"],
            remaining=row["remaining"],
            retry_after_ms=row["retry_after_ms"],
            reset_ms=row["reset_ms"],
            headroom_nano_usd=row["headroom_nano_usd"],
            unspent_nano_usd=row["unspent_nano_usd"],
        )
        for row in rows
    ]


async def reserve_batch(
    connection: Connection, process_id: UUID, reservations: Sequence[Reservation]
) -> list[ReservationRow]:
    """Hold each attempt's amount in all its budgets or in none, in order."""
    rows = await connection.fetch(
        "SELECT * FROM reserve_attempts($1, $2, $3, $4, $5, $6, $7) ORDER BY ordinal",
        process_id,
        [reservation.tenant_id for reservation in reservations],
        [reservation.project_id for reservation in reservations],
        [reservation.api_key_id for reservation in reservations],
        [reservation.request_id for reservation in reservations],
        [reservation.attempt_id for reservation in reservations],
        [reservation.amount_nano_usd for reservation in reservations],
    )
    return [
        ReservationRow(
            outcome=row["outcome"],
            budget_id=row["budget_id"],
            limit_nano_usd=row["limit_nano_usd"],
            spent_nano_usd=row["spent_nano_usd"],
            reserved_nano_usd=row["reserved_nano_usd"],
            resets_at=row["resets_at"],
        )
        for row in rows
    ]


async def release_batch(connection: Connection, attempts: Sequence[tuple[UUID, UUID]]) -> None:
    """Return what these attempts (tenant, attempt) held."""
    await connection.fetchval(
        "SELECT settle_attempts($1, $2, $3)",
        [tenant_id for tenant_id, _ in attempts],
        [attempt_id for _, attempt_id in attempts],
        [0] * len(attempts),
    )


async def settle_batch(connection: Connection, process_id: UUID, records: Sequence[RequestRecord]) -> None:
    """Write the records that are new, and count exactly those: one transaction."""
    unique = list({(record.tenant_id, record.request_id): record for record in records}.values())
    posting_ids: PostingIds = {
        key: uuid7()
        for key in {(record.tenant_id, currency_of(attempt)) for record in unique for attempt in record.attempts}
    }
    async with connection.transaction():
        inserted = await connection.fetch(
            INSERT_RECORDS,
            _json([msgspec.structs.replace(record, attempts=()) for record in unique]),
            _json([totals_of(record, posting_ids) for record in unique]),
        )
        is_new = {(row["tenant_id"], row["request_id"]) for row in inserted}
        fresh = [record for record in unique if (record.tenant_id, record.request_id) in is_new]
        if not fresh:
            return
        attempts = [(record, attempt) for record in fresh for attempt in record.attempts]
        postings, entries = postings_of(fresh, posting_ids)
        await connection.fetchval(
            COUNT_RECORDS,
            _json([attempt_row(record, attempt) for record, attempt in attempts]),
            _json(rollups_of(fresh, process_id)),
            _json(postings),
            _json(entries),
            [record.tenant_id for record, _ in attempts],
            [attempt.attempt_id for _, attempt in attempts],
            [attempt.billed_nano_usd for _, attempt in attempts],
        )


async def keep_dead_letter(connection: Connection, record: RequestRecord, error: str) -> None:
    """Keep a record that the tables refuse, once, for a person to look at."""
    await connection.execute(
        """INSERT INTO dead_letter (tenant_id, dead_letter_id, kind, payload, error)
           VALUES ($1, $2, $3, $4::jsonb, $5) ON CONFLICT DO NOTHING""",
        record.tenant_id,
        record.request_id,
        DEAD_LETTER_KIND,
        _letter(record),
        error,
    )


def _json(rows: Sequence[msgspec.Struct]) -> str:
    # PostgreSQL's text holds no NUL; the caller's words may.
    return msgspec.json.encode(rows).decode().replace("\\u0000", "\\ufffd")


def _letter(record: RequestRecord) -> str:
    """The record as JSON; where its words cannot be written at all, what the money needs."""
    try:
        return _json([record])[1:-1]
    except (UnicodeError, ValueError, TypeError):
        attempts = [
            {"attempt_id": attempt.attempt_id, "billed_nano_usd": attempt.billed_nano_usd}
            for attempt in record.attempts
        ]
        return msgspec.json.encode({"request_id": record.request_id, "attempts": attempts}).decode()
