"""Records counted by hour and dimensions. Pure.

Called by the meter's repository with the records that the database had not seen before, so that a
replay counts nothing twice. Invariant: the sums over all rollups are the sums over all records.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec

from billing.histogram import add_histograms, bucket_of, count_in
from billing.records import Outcome, RequestRecord
from billing.usage import Usage


class RollupRow(msgspec.Struct, kw_only=True, omit_defaults=True):
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
    latency_histogram: list[int] = msgspec.field(default_factory=list)
    first_token_histogram: list[int] = msgspec.field(default_factory=list)


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


def rollups_between(before: RequestRecord, after: RequestRecord, writer_id: UUID) -> list[RollupRow]:
    """What leads from one state of a request to another in the sums, in key order; one row for each key."""
    [new], [old] = rollups_of([after], writer_id), rollups_of([before], writer_id)
    taken = _negated(old)
    if _key(new) != _key(old):
        return sorted((new, taken), key=_key)
    for name in _COUNTED:
        counted, less = getattr(new, name), getattr(taken, name)
        setattr(new, name, counted + less if isinstance(counted, int) else add_histograms(counted, less))
    return [new] if any(_counts(getattr(new, name)) for name in _COUNTED) else []


def usage_of(record: RequestRecord) -> Usage:
    """What all attempts used together."""
    if len(record.attempts) == 1:
        return record.attempts[0].usage
    return sum((attempt.usage for attempt in record.attempts), Usage())


def _count(row: RollupRow, record: RequestRecord) -> None:
    usage = usage_of(record)
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
    count_in(row.latency_histogram, bucket_of(record.latency_ms))
    if record.first_token_ms is not None:
        count_in(row.first_token_histogram, bucket_of(record.first_token_ms))


def _answered_by(record: RequestRecord) -> tuple[str, str]:
    """Who answered, or was tried last; empty for a request that reached nobody."""
    last = record.attempts[-1] if record.attempts else None
    return (
        record.provider_name or (last.provider_name if last else ""),
        record.response_model or (last.model if last else ""),
    )


def _negated(row: RollupRow) -> RollupRow:
    """A row that takes away what this one counts."""
    return msgspec.structs.replace(row, **{name: _minus(getattr(row, name)) for name in _COUNTED})


def _key(row: RollupRow) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in _KEY)


def _counts(counted: int | list[int]) -> bool:
    return bool(counted) if isinstance(counted, int) else any(counted)


def _minus(counted: int | list[int]) -> int | list[int]:
    return -counted if isinstance(counted, int) else [-count for count in counted]


_COUNTED: Final = tuple(field.name for field in msgspec.structs.fields(RollupRow) if not field.required)
_KEY: Final = tuple(field.name for field in msgspec.structs.fields(RollupRow) if field.required)
