"""What a batch of records adds up to: rows of attempts, rollups and ledger postings. Pure.

Called by the meter's repository with the records that the database had not seen before. Invariant:
each row is computed from those records alone, so that a replay counts nothing twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from billing.histogram import bucket_of, empty_histogram
from billing.records import AttemptRecord, CredentialOwner, Outcome, RequestRecord
from billing.usage import Usage

Currency = Literal["USD", "XTS"]
# ISO 4217's code for testing: simulated usage is posted like any other, and no invoice ever reads it.
SIMULATED_CURRENCY: Final = "XTS"
REAL_CURRENCY: Final = "USD"
POSTING_SOURCE: Final = "usage"


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


class RollupRow(msgspec.Struct, kw_only=True):
    """A row of `usage_rollup`; sums are over the requests of one hour, dimensions and writer.

    `own_credential_cost_nano_usd` is the part of the provider cost that the tenant pays directly.
    """

    tenant_id: UUID
    hour: datetime
    project_id: UUID
    api_key_id: UUID
    provider_name: str
    model: str
    task: str
    outcome: Outcome
    writer_id: UUID
    request_count: int = 0
    attempt_count: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    provider_cost_nano_usd: int = 0
    own_credential_cost_nano_usd: int = 0
    billed_nano_usd: int = 0
    absorbed_nano_usd: int = 0
    baseline_nano_usd: int = 0
    baselined_billed_nano_usd: int = 0
    unpriced_count: int = 0
    latency_histogram: list[int] = msgspec.field(default_factory=empty_histogram)
    first_token_histogram: list[int] = msgspec.field(default_factory=empty_histogram)


class PostingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `ledger_posting`."""

    tenant_id: UUID
    posting_id: UUID
    currency: Currency
    source: str = POSTING_SOURCE


class EntryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `ledger_entry`: debit positive, credit negative."""

    tenant_id: UUID
    posting_id: UUID
    account: str
    amount_nano_usd: int


PostingIds = Mapping[tuple[UUID, Currency], UUID]


def currency_of(attempt: AttemptRecord) -> Currency:
    """Which books an attempt's money stands in."""
    return SIMULATED_CURRENCY if attempt.is_simulated else REAL_CURRENCY


def totals_of(record: RequestRecord, posting_ids: PostingIds) -> RecordTotals:
    """Sum a record's attempts. Its cost is unknown when the cost of any attempt is."""
    attempts = record.attempts
    usage = _usage_of(record)
    costs = [attempt.provider_cost_nano_usd for attempt in attempts]
    moving = [attempt for attempt in attempts if _moves_money(attempt)]
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


def rollups_of(records: Iterable[RequestRecord], writer_id: UUID) -> list[RollupRow]:
    """The records counted by hour and dimensions, in key order so that writers and the folder do not deadlock."""
    rows: dict[tuple[UUID, datetime, UUID, UUID, str, str, str, str], RollupRow] = {}
    for record in records:
        provider_name, model = _answered_by(record)
        hour = record.started_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        task = record.task or ""
        key = (
            record.tenant_id, hour, record.project_id, record.api_key_id, provider_name, model, task,
            record.outcome.value,
        )  # fmt: skip
        row = rows.get(key)
        if row is None:
            row = rows[key] = RollupRow(
                tenant_id=record.tenant_id,
                hour=hour,
                project_id=record.project_id,
                api_key_id=record.api_key_id,
                provider_name=provider_name,
                model=model,
                task=task,
                outcome=record.outcome,
                writer_id=writer_id,
            )
        _count(row, record)
    return [rows[key] for key in sorted(rows)]


def postings_of(records: Iterable[RequestRecord], posting_ids: PostingIds) -> tuple[list[PostingRow], list[EntryRow]]:
    """One balanced posting for each tenant and currency whose money moved."""
    moves: dict[tuple[UUID, Currency], dict[str, int]] = {}
    for record in records:
        for attempt in record.attempts:
            if _moves_money(attempt):
                accounts = moves.setdefault((record.tenant_id, currency_of(attempt)), {})
                for account, amount in _entries_of(attempt):
                    accounts[account] = accounts.get(account, 0) + amount
    postings, entries = [], []
    for (tenant_id, currency), accounts in moves.items():
        posting_id = posting_ids[tenant_id, currency]
        postings.append(PostingRow(tenant_id=tenant_id, posting_id=posting_id, currency=currency))
        entries += [
            EntryRow(tenant_id=tenant_id, posting_id=posting_id, account=account, amount_nano_usd=amount)
            for account, amount in accounts.items()
            if amount
        ]
    return postings, entries


def _entries_of(attempt: AttemptRecord) -> Sequence[tuple[str, int]]:
    """Billed is earned; with our credential its cost is owed, and what was absorbed is set apart from it."""
    earned = (("accrued_usage", attempt.billed_nano_usd), ("revenue", -attempt.billed_nano_usd))
    cost = attempt.provider_cost_nano_usd
    if attempt.credential_owner == "tenant" or not cost:
        return earned
    # Absorbed is counted at the tenant's rate, which may lie above what the provider charges us.
    absorbed = min(attempt.absorbed_nano_usd, cost)
    return (
        *earned,
        ("provider_cost", cost - absorbed),
        ("absorbed", absorbed),
        ("provider_payable", -cost),
    )


def _moves_money(attempt: AttemptRecord) -> bool:
    return any(amount for _, amount in _entries_of(attempt))


def _count(row: RollupRow, record: RequestRecord) -> None:
    usage = _usage_of(record)
    row.request_count += 1
    row.attempt_count += len(record.attempts)
    row.input_tokens += usage.input_tokens
    row.output_tokens += usage.output_tokens
    row.cache_read_input_tokens += usage.cache_read_input_tokens
    row.cache_creation_input_tokens += usage.cache_creation_input_tokens
    row.reasoning_output_tokens += usage.reasoning_output_tokens
    billed_nano_usd = 0
    is_unpriced = False
    for attempt in record.attempts:
        cost = attempt.provider_cost_nano_usd
        is_unpriced = is_unpriced or cost is None
        row.provider_cost_nano_usd += cost or 0
        if attempt.credential_owner == "tenant":
            row.own_credential_cost_nano_usd += cost or 0
        row.absorbed_nano_usd += attempt.absorbed_nano_usd
        billed_nano_usd += attempt.billed_nano_usd
    row.billed_nano_usd += billed_nano_usd
    row.unpriced_count += is_unpriced
    if record.baseline_nano_usd is not None:
        row.baseline_nano_usd += record.baseline_nano_usd
        row.baselined_billed_nano_usd += billed_nano_usd
    row.latency_histogram[bucket_of(record.latency_ms)] += 1
    if record.first_token_ms is not None:
        row.first_token_histogram[bucket_of(record.first_token_ms)] += 1


def _answered_by(record: RequestRecord) -> tuple[str, str]:
    """Who answered, or was tried last; empty for a request that reached nobody."""
    last = record.attempts[-1] if record.attempts else None
    return (
        record.provider_name or (last.provider_name if last else ""),
        record.response_model or (last.model if last else ""),
    )


def _usage_of(record: RequestRecord) -> Usage:
    return sum((attempt.usage for attempt in record.attempts), Usage())
