"""The statements of the request path, each for a whole batch, over the pool of `signalbox_meter`.

Called by `CommitMeter` alone. Each is one statement and so one transaction and one round trip; rows travel
as JSON or arrays, one parameter for each set. Invariant: a record is counted by the statement that inserts
it or not at all: its primary key refuses the statement that brings it again.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

from billing.allowance import Grant
from billing.ledger import ACCOUNTS, PostingIds, currency_of, postings_of
from billing.meter import AdmissionRequest, Reservation
from billing.records import RequestRecord
from billing.rollup_repository import MERGE_ROLLUPS
from billing.rollups import RollupRow, rollups_of
from billing.settlement import AttemptRow, RecordRow, attempt_row, column_defaults, record_row

# asyncpg's connection as its pool hands it out; the package has no types.
Connection = Any
DEAD_LETTER_KIND: Final = "request_record"
# How often a batch is cleaned of records that were settled before; others may settle some meanwhile.
REPLAYS_MAX: Final = 5


def _insert(table: str, row: type[msgspec.Struct], parameter: int) -> str:
    columns = ", ".join(row.__struct_fields__)
    values = ", ".join(
        f"coalesce({name}, {default})" if (default := defaults.get(name)) else name
        for defaults in (column_defaults(row),)
        for name in row.__struct_fields__
    )
    return f"""INSERT INTO {table} ({columns}) SELECT {values}
               FROM json_populate_recordset(NULL::{table}, ${parameter}::json)"""  # noqa: S608 - constants


SETTLE: Final = f"""
WITH records AS ({_insert("request_record", RecordRow, 1)}),
     attempts AS ({_insert("attempt", AttemptRow, 2)} RETURNING tenant_id, attempt_id, billed_nano_usd),
     rollups AS ({_insert("usage_rollup", RollupRow, 3)} {MERGE_ROLLUPS}),
     posted AS MATERIALIZED (
         SELECT * FROM json_to_recordset($4::json) AS p(tenant_id uuid, posting_id uuid, currency text, source text,
             billed_nano_usd bigint, provider_cost_nano_usd bigint, absorbed_nano_usd bigint)),
     postings AS (INSERT INTO ledger_posting (tenant_id, posting_id, currency, source)
                  SELECT tenant_id, posting_id, currency, source FROM posted),
     entries AS (INSERT INTO ledger_entry (tenant_id, posting_id, account, amount_nano_usd)
                 SELECT p.tenant_id, p.posting_id, e.account, e.amount FROM posted p CROSS JOIN LATERAL (VALUES
                     {", ".join(f"('{account}', {amount})" for account, amount in ACCOUNTS.items())}
                 ) AS e(account, amount) WHERE e.amount <> 0)
SELECT settle_attempts(array_agg(tenant_id), array_agg(attempt_id), array_agg(billed_nano_usd)) FROM attempts
HAVING count(*) > 0"""  # noqa: S608 - constants


class ReservationRow(msgspec.Struct, frozen=True, kw_only=True):
    """Why an attempt is not held: which budget is 'exceeded' or 'contended'."""

    outcome: str
    budget_id: UUID
    limit_nano_usd: int
    spent_nano_usd: int
    reserved_nano_usd: int
    resets_at: datetime | None


async def admit_batch(connection: Connection, requests: Sequence[tuple[AdmissionRequest, int]]) -> list[Grant]:
    """Take each request off its tenant's rate, as often as wanted, in order."""
    rows = await connection.fetch(
        "SELECT * FROM admit_requests($1, $2, $3, $4, $5, $6) ORDER BY ordinal",
        [request.tenant_id for request, _ in requests],
        [request.project_id for request, _ in requests],
        [request.api_key_id for request, _ in requests],
        [request.requests_per_minute for request, _ in requests],
        [request.request_burst for request, _ in requests],
        [wanted for _, wanted in requests],
    )
    return [
        Grant(
            granted=row["granted"],
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
) -> list[ReservationRow | None]:
    """Hold each attempt's amount in all its budgets or in none, in order; None: it is held."""
    refused = await connection.fetch("SELECT * FROM reserve_attempts($1, $2)", process_id, _json(reservations))
    answers: list[ReservationRow | None] = [None] * len(reservations)
    for row in refused:
        answers[row["ordinal"] - 1] = ReservationRow(
            outcome=row["outcome"],
            budget_id=row["budget_id"],
            limit_nano_usd=row["limit_nano_usd"],
            spent_nano_usd=row["spent_nano_usd"],
            reserved_nano_usd=row["reserved_nano_usd"],
            resets_at=row["resets_at"],
        )
    return answers


async def release_batch(connection: Connection, attempts: Sequence[tuple[UUID, UUID]]) -> None:
    """Return what these attempts (tenant, attempt) held."""
    await connection.fetchval(
        "SELECT settle_attempts($1, $2, $3)",
        [tenant_id for tenant_id, _ in attempts],
        [attempt_id for _, attempt_id in attempts],
        [None] * len(attempts),
    )


async def settle_batch(connection: Connection, process_id: UUID, records: Sequence[RequestRecord]) -> None:
    """Write the records that are new, and count exactly those."""
    # In key order: batches that share records wait for each other and do not deadlock.
    fresh = [
        record
        for _, record in sorted({(record.tenant_id.int, record.request_id.int): record for record in records}.items())
    ]
    for _ in range(REPLAYS_MAX):
        try:
            await connection.fetchval(SETTLE, *_parameters(process_id, fresh))
            return
        except asyncpg.UniqueViolationError:
            stored = await _stored(connection, fresh)
            if not stored:
                raise
            fresh = [record for record in fresh if (record.tenant_id, record.request_id) not in stored]
            if not fresh:
                return
    raise asyncpg.SerializationError("records were settled elsewhere while they were settled here")


def _parameters(process_id: UUID, records: Sequence[RequestRecord]) -> tuple[str, ...]:
    posting_ids: PostingIds = {
        key: uuid7()
        for key in {(record.tenant_id, currency_of(attempt)) for record in records for attempt in record.attempts}
    }
    attempts = [attempt_row(record, attempt) for record in records for attempt in record.attempts]
    return (
        _json([record_row(record, posting_ids) for record in records]),
        _json(attempts),
        _json(rollups_of(records, process_id)),
        _json(postings_of(records, posting_ids)),
    )


async def _stored(connection: Connection, records: Sequence[RequestRecord]) -> set[tuple[UUID, UUID]]:
    """Which of the records were settled before."""
    rows = await connection.fetch(
        """SELECT r.tenant_id, r.request_id FROM unnest($1::uuid[], $2::uuid[]) AS sent(tenant_id, request_id)
           JOIN request_record r USING (tenant_id, request_id)""",
        [record.tenant_id for record in records],
        [record.request_id for record in records],
    )
    return {(row["tenant_id"], row["request_id"]) for row in rows}


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
