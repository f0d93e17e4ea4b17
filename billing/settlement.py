"""A record and its attempts as rows: what is summed over the attempts, and which posting holds the money.

Called by the meter's repository. Pure. Invariant: a request's usage and amounts are the sums over its
attempts, and are never stored from anywhere else.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from billing.ledger import PostingIds, currency_of, moves_money
from billing.records import AttemptRecord, CredentialOwner, Outcome, RequestRecord
from billing.rollups import usage_of


class RecordTotals(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of `request_record` that are sums over the attempts, and the posting that holds its money."""

    tenant_id: UUID
    request_id: UUID
    attempt_count: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_output_tokens: int
    is_usage_estimated: bool
    is_simulated: bool
    provider_cost_nano_usd: int | None
    billed_nano_usd: int
    absorbed_nano_usd: int
    posting_id: UUID | None


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `attempt`."""

    tenant_id: UUID
    request_id: UUID
    attempt_number: int
    attempt_id: UUID
    provider_name: str
    model: str
    credential_id: UUID | None
    credential_owner: CredentialOwner
    started_at: datetime
    outcome: Outcome
    http_status: int | None
    error_type: str | None
    error_message: str | None
    response_id: str | None
    latency_ms: int
    first_token_ms: int | None
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_output_tokens: int
    is_usage_estimated: bool
    is_simulated: bool
    price_version_id: UUID | None
    reserved_nano_usd: int
    provider_cost_nano_usd: int | None
    billed_nano_usd: int
    absorbed_nano_usd: int


def totals_of(record: RequestRecord, posting_ids: PostingIds) -> RecordTotals:
    """Sum a record's attempts. Its cost is unknown when the cost of any attempt is."""
    attempts = record.attempts
    usage = usage_of(record)
    costs = [attempt.provider_cost_nano_usd for attempt in attempts]
    moving = [attempt for attempt in attempts if moves_money(attempt)]
    return RecordTotals(
        tenant_id=record.tenant_id,
        request_id=record.request_id,
        attempt_count=len(attempts),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_input_tokens=usage.cache_read_input_tokens,
        cache_creation_input_tokens=usage.cache_creation_input_tokens,
        reasoning_output_tokens=usage.reasoning_output_tokens,
        is_usage_estimated=usage.is_estimated,
        is_simulated=any(attempt.is_simulated for attempt in attempts),
        provider_cost_nano_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
        billed_nano_usd=sum(attempt.billed_nano_usd for attempt in attempts),
        absorbed_nano_usd=sum(attempt.absorbed_nano_usd for attempt in attempts),
        posting_id=posting_ids[record.tenant_id, currency_of(moving[-1])] if moving else None,
    )


def attempt_row(record: RequestRecord, attempt: AttemptRecord) -> AttemptRow:
    """An attempt with its usage spread over columns."""
    usage = attempt.usage
    return AttemptRow(
        tenant_id=record.tenant_id,
        request_id=record.request_id,
        attempt_number=attempt.attempt_number,
        attempt_id=attempt.attempt_id,
        provider_name=attempt.provider_name,
        model=attempt.model,
        credential_id=attempt.credential_id,
        credential_owner=attempt.credential_owner,
        started_at=attempt.started_at,
        outcome=attempt.outcome,
        http_status=attempt.http_status,
        error_type=attempt.error_type,
        error_message=attempt.error_message,
        response_id=attempt.response_id,
        latency_ms=attempt.latency_ms,
        first_token_ms=attempt.first_token_ms,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_input_tokens=usage.cache_read_input_tokens,
        cache_creation_input_tokens=usage.cache_creation_input_tokens,
        reasoning_output_tokens=usage.reasoning_output_tokens,
        is_usage_estimated=usage.is_estimated,
        is_simulated=attempt.is_simulated,
        price_version_id=attempt.price_version_id,
        reserved_nano_usd=attempt.reserved_nano_usd,
        provider_cost_nano_usd=attempt.provider_cost_nano_usd,
        billed_nano_usd=attempt.billed_nano_usd,
        absorbed_nano_usd=attempt.absorbed_nano_usd,
    )
