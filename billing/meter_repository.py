"""The statements of the request path, each for a whole batch, over the pool of `signalbox_meter`.

Called by `CommitMeter` alone; settling stands in `settlement_repository`. Invariant: each is one statement,
and so one transaction and one round trip; rows travel as JSON or arrays, one parameter for each set.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from billing.allowance import Grant
from billing.connection import Connection
from billing.meter import AdmissionRequest, Reservation
from billing.records import RequestRecord
from billing.settlement import rows_json

DEAD_LETTER_KIND: Final = "request_record"


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
            prefers_cheaper=bool(row["prefers_cheaper"]),
        )
        for row in rows
    ]


async def reserve_batch(
    connection: Connection, process_id: UUID, reservations: Sequence[Reservation]
) -> list[ReservationRow | None]:
    """Hold each attempt's amount in all its budgets or in none, in order; None: it is held."""
    refused = await connection.fetch("SELECT * FROM reserve_attempts($1, $2)", process_id, rows_json(reservations))
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


async def take_management_request(
    connection: Connection, tenant_id: UUID, *, requests_per_minute: int, request_burst: int
) -> int:
    """Take a call of the management API off its tenant's rate; 0, or the milliseconds until one fits."""
    retry_after_ms: int = await connection.fetchval(
        "SELECT take_management_request($1, $2, $3)", tenant_id, requests_per_minute, request_burst
    )
    return retry_after_ms


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


def _letter(record: RequestRecord) -> str:
    """The record as JSON; where its words cannot be written at all, what the money needs."""
    try:
        return rows_json([record])[1:-1]
    except (UnicodeError, ValueError, TypeError):
        attempts = [
            {"attempt_id": attempt.attempt_id, "billed_nano_usd": attempt.billed_nano_usd}
            for attempt in record.attempts
        ]
        return msgspec.json.encode({"request_id": record.request_id, "attempts": attempts}).decode()
