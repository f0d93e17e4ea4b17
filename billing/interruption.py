"""Calls whose process died: the record that stands for them, and what the truth changes if it comes after all.

Called by the job that settles lost calls and, for a process that was taken for dead and comes back, when it
settles. Pure. Invariants: a lost call is billed what was held for it and no more; a record and its adjustment
together say what the true record says.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from billing.adjustment import Adjustment, AdjustmentReason, adjustment_between
from billing.ledger import PostingIds
from billing.records import AttemptRecord, CredentialOwner, Outcome, RequestRecord
from billing.usage import Usage

ERROR_TYPE: Final = "GatewayLost"
ERROR_MESSAGE: Final = "The gateway process ended before this call was settled; it is charged what was held for it."
HTTP_STATUS: Final = 500


class LostAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """What a reservation tells of the call it was held for."""

    tenant_id: UUID
    project_id: UUID
    api_key_id: UUID
    request_id: UUID
    attempt_id: UUID
    provider_name: str
    model: str
    credential_owner: CredentialOwner
    is_simulated: bool
    amount_nano_usd: int
    created_at: datetime
    end_user: str | None = None


def interrupted_record(lost: Sequence[LostAttempt]) -> RequestRecord:
    """The record of one request, made from what was held for it. Its tokens, cost and time are not known."""
    lost = sorted(lost, key=lambda attempt: (attempt.created_at, attempt.attempt_id.int))
    first, last = lost[0], lost[-1]
    return RequestRecord(
        tenant_id=first.tenant_id,
        request_id=first.request_id,
        project_id=first.project_id,
        api_key_id=first.api_key_id,
        operation_name="chat",
        surface="",
        is_streamed=False,
        started_at=first.created_at,
        request_model=f"{last.provider_name}/{last.model}",
        end_user=last.end_user,
        outcome=Outcome.INTERRUPTED,
        http_status=HTTP_STATUS,
        latency_ms=0,
        error_type=ERROR_TYPE,
        error_message=ERROR_MESSAGE,
        attempts=tuple(_interrupted(attempt, number) for number, attempt in enumerate(lost, 1)),
    )


def adjustment_of(
    record: RequestRecord, lost: Sequence[LostAttempt], process_id: UUID, posting_ids: PostingIds
) -> Adjustment:
    """What leads from the interrupted record of the lost attempts to the true one."""
    return adjustment_between(
        interrupted_record(lost),
        record,
        reason=AdjustmentReason.SETTLED_LATE,
        writer_id=process_id,
        posting_ids=posting_ids,
        charges={attempt.attempt_id: 0 for attempt in lost}
        | {attempt.attempt_id: attempt.billed_nano_usd for attempt in record.attempts},
    )


def _interrupted(attempt: LostAttempt, number: int) -> AttemptRecord:
    return AttemptRecord(
        attempt_id=attempt.attempt_id,
        attempt_number=number,
        provider_name=attempt.provider_name,
        model=attempt.model,
        credential_id=None,
        credential_owner=attempt.credential_owner,
        started_at=attempt.created_at,
        outcome=Outcome.INTERRUPTED,
        latency_ms=0,
        reserved_nano_usd=attempt.amount_nano_usd,
        usage=Usage(is_estimated=True),
        billed_nano_usd=attempt.amount_nano_usd,
        provider_cost_nano_usd=None,
        error_type=ERROR_TYPE,
        error_message=ERROR_MESSAGE,
        is_simulated=attempt.is_simulated,
    )
