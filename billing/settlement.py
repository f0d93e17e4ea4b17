"""A record and its attempts as rows: what is summed over the attempts, and which posting holds the money.

Called by the meter's repository. Pure. Invariants: a request's usage and amounts are the sums over its
attempts, and are never stored from anywhere else; a default here is what the column holds when it is left out.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from billing.ledger import PostingIds, currency_of, moves_money
from billing.records import AttemptRecord, CredentialOwner, Outcome, RequestRecord
from billing.rollups import usage_of

NO_DECISION: Final = msgspec.Raw(b"null")


class RecordRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of `request_record`: the record, the sums over its attempts, and the posting that holds its money."""

    tenant_id: UUID
    request_id: UUID
    project_id: UUID
    api_key_id: UUID
    operation_name: str
    surface: str
    is_streamed: bool
    started_at: datetime
    request_model: str
    outcome: Outcome
    http_status: int
    latency_ms: int
    client_request_id: str | None = None
    provider_name: str | None = None
    response_model: str | None = None
    task: str | None = None
    domain: str | None = None
    policy_name: str | None = None
    policy_version: int | None = None
    rule: str | None = None
    decision: msgspec.Raw | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    end_user: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    finish_reason: str | None = None
    attempt_count: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    is_usage_estimated: bool = False
    is_simulated: bool = False
    provider_cost_nano_usd: int | None = None
    billed_nano_usd: int = 0
    absorbed_nano_usd: int = 0
    baseline_nano_usd: int | None = None
    baseline_model: str | None = None
    first_token_ms: int | None = None
    overhead_ms: float | None = None
    posting_id: UUID | None = None


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of `attempt`."""

    tenant_id: UUID
    request_id: UUID
    attempt_number: int
    attempt_id: UUID
    provider_name: str
    model: str
    credential_owner: CredentialOwner
    started_at: datetime
    outcome: Outcome
    latency_ms: int
    credential_id: UUID | None = None
    http_status: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    response_id: str | None = None
    first_token_ms: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    is_usage_estimated: bool = False
    is_simulated: bool = False
    price_version_id: UUID | None = None
    reserved_nano_usd: int = 0
    provider_cost_nano_usd: int | None = None
    billed_nano_usd: int = 0
    absorbed_nano_usd: int = 0


def record_row(record: RequestRecord, posting_ids: PostingIds) -> RecordRow:
    """A record with the sums over its attempts. Its cost is unknown when the cost of any attempt is."""
    usage = usage_of(record)
    cost: int | None = 0
    billed = absorbed = 0
    is_simulated, posting_id = False, None
    for attempt in record.attempts:
        its_cost = attempt.provider_cost_nano_usd
        cost = None if cost is None or its_cost is None else cost + its_cost
        billed += attempt.billed_nano_usd
        absorbed += attempt.absorbed_nano_usd
        is_simulated = is_simulated or attempt.is_simulated
        if moves_money(attempt):
            posting_id = posting_ids[record.tenant_id, currency_of(attempt)]
    return RecordRow(
        tenant_id=record.tenant_id,
        request_id=record.request_id,
        project_id=record.project_id,
        api_key_id=record.api_key_id,
        operation_name=record.operation_name,
        surface=record.surface,
        is_streamed=record.is_streamed,
        started_at=record.started_at,
        request_model=record.request_model,
        outcome=record.outcome,
        http_status=record.http_status,
        latency_ms=record.latency_ms,
        client_request_id=record.client_request_id,
        provider_name=record.provider_name,
        response_model=record.response_model,
        task=record.task,
        domain=record.domain,
        policy_name=record.policy_name,
        policy_version=record.policy_version,
        rule=record.rule,
        decision=None if record.decision == NO_DECISION else record.decision,
        tags=record.tags,
        metadata=record.metadata,
        end_user=record.end_user,
        error_type=record.error_type,
        error_message=record.error_message,
        finish_reason=record.finish_reason,
        attempt_count=len(record.attempts),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_input_tokens=usage.cache_read_input_tokens,
        cache_creation_input_tokens=usage.cache_creation_input_tokens,
        reasoning_output_tokens=usage.reasoning_output_tokens,
        is_usage_estimated=usage.is_estimated,
        is_simulated=is_simulated,
        provider_cost_nano_usd=cost,
        billed_nano_usd=billed,
        absorbed_nano_usd=absorbed,
        baseline_nano_usd=record.baseline_nano_usd,
        baseline_model=record.baseline_model,
        first_token_ms=record.first_token_ms,
        overhead_ms=record.overhead_ms,
        posting_id=posting_id,
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
        cache_creation_1h_input_tokens=usage.cache_creation_1h_input_tokens,
        reasoning_output_tokens=usage.reasoning_output_tokens,
        is_usage_estimated=usage.is_estimated,
        is_simulated=attempt.is_simulated,
        price_version_id=attempt.price_version_id,
        reserved_nano_usd=attempt.reserved_nano_usd,
        provider_cost_nano_usd=attempt.provider_cost_nano_usd,
        billed_nano_usd=attempt.billed_nano_usd,
        absorbed_nano_usd=attempt.absorbed_nano_usd,
    )


def rows_json(rows: Sequence[msgspec.Struct]) -> str:
    """Rows as a statement takes them, defaults left out."""
    return _text(msgspec.json.encode(rows))


def whole_rows_json(rows: Sequence[msgspec.Struct]) -> str:
    """Rows with every column named: laid over rows that are there, what is left out would stay as it was."""
    return _text(msgspec.json.encode([msgspec.structs.asdict(row) for row in rows]))


def column_defaults(row: type[msgspec.Struct]) -> dict[str, str]:
    """What the columns hold that an encoded row leaves out, as SQL; those that are NULL then are not named."""
    literals: dict[str, str] = {}
    for field in msgspec.structs.fields(row):
        is_made = field.default_factory is not msgspec.NODEFAULT
        default = field.default_factory() if is_made else field.default
        if default not in (msgspec.NODEFAULT, None):
            literals[field.name] = json.dumps(default) if isinstance(default, int) else "'{}'"
    return literals


def _text(encoded: bytes) -> str:
    # PostgreSQL's text holds no NUL; the caller's words may.
    return encoded.decode().replace("\\u0000", "\\ufffd")
