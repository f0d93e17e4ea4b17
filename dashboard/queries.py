"""Every statement of the console: sums from rollups, lists and pages from request records.

Called by the pages inside a session of `tenants.Database`. Invariant: each statement of a tenant page
names the tenant beside what row security already enforces, and none of them writes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Integer,
    and_,
    cast,
    column,
    func,
    select,
    table,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from billing import Outcome
from dashboard.outcomes import OUTCOMES, OutcomeClass, outcomes_of, words_of
from dashboard.ranges import TimeRange
from dashboard.rows import (
    AttemptChip,
    AttemptFacts,
    Choices,
    Named,
    PricedModel,
    RequestFacts,
    RequestRow,
    TenantFacts,
)
from dashboard.usage import COUNTED, NO_MODEL, UsageRow, UsageSums

REQUEST_PAGE_ROWS: Final = 50
CHOICES_MAX: Final = 200
# A request id is made just before its record starts: read a little further by id, then cut exactly by time.
REQUEST_ID_SLACK: Final = timedelta(minutes=1)

_MEASURES: Final = (
    "request_count", "unpriced_count", "input_tokens", "output_tokens", "provider_cost_nano_usd",
    "own_credential_cost_nano_usd", "billed_nano_usd", "absorbed_nano_usd", "baseline_nano_usd",
    "baselined_billed_nano_usd",
)  # fmt: skip
_DIMENSIONS: Final = ("project_id", "api_key_id", "provider_name", "model", "task")

_rollup = table("usage_rollup", *map(column, ("tenant_id", "hour", "outcome", "latency_histogram")),
                *map(column, _DIMENSIONS + _MEASURES))  # fmt: skip
_record = table("request_record", *map(column, dict.fromkeys(
    ("tenant_id", *(field.name for row in (RequestRow, RequestFacts) for field in fields(row))))))  # fmt: skip
# A request that nobody answered counts under who was tried last, as in the rollups.
_attempt = table("attempt", *map(column, dict.fromkeys(
    ("tenant_id", *(field.name for row in (AttemptChip, AttemptFacts) for field in fields(row))))))  # fmt: skip


_last = _attempt.alias("last")
_record_and_last = _record.outerjoin(
    _last,
    and_(
        _last.c.tenant_id == _record.c.tenant_id,
        _last.c.request_id == _record.c.request_id,
        _last.c.attempt_number == _record.c.attempt_count,
    ),
)
_provider_name = func.coalesce(_record.c.provider_name, _last.c.provider_name)
_model = func.coalesce(_record.c.response_model, _last.c.model)
_Columns = Mapping[str, ColumnElement[Any]]
_ROLLUP_COLUMNS: Final[_Columns] = {name: _rollup.c[name] for name in (*_DIMENSIONS, "outcome")}
_RECORD_COLUMNS: Final[_Columns] = {
    **{name: _record.c[name] for name in ("project_id", "api_key_id", "task", "outcome")},
    "provider_name": _provider_name,
    "model": _model,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilter:
    """What a page is narrowed to; None is everything. `outcome` may name a class of outcomes."""

    project_id: UUID | None = None
    api_key_id: UUID | None = None
    provider_name: str | None = None
    model: str | None = None
    task: str | None = None
    outcome: str | None = None


async def tenant_facts(session: AsyncSession, tenant_id: UUID) -> TenantFacts:
    """The tenant's name, status, zone and plan."""
    found = await session.execute(
        text("""
            SELECT t.name, t.status, t.time_zone, p.name AS plan_name
            FROM tenant t
            LEFT JOIN subscription s USING (tenant_id)
            LEFT JOIN plan p ON p.plan_id = s.plan_id AND p.version = s.plan_version
            WHERE t.tenant_id = :tenant_id
        """),
        {"tenant_id": tenant_id},
    )
    return TenantFacts(*found.one())


async def projects(session: AsyncSession, tenant_id: UUID) -> tuple[Named, ...]:
    """The tenant's projects by name."""
    statement = "SELECT project_id, name FROM project WHERE tenant_id = :tenant_id ORDER BY name LIMIT :limit"
    found = await session.execute(text(statement), {"tenant_id": tenant_id, "limit": CHOICES_MAX})
    return tuple(Named(*row) for row in found)


async def api_keys(session: AsyncSession, tenant_id: UUID) -> tuple[Named, ...]:
    """The tenant's API keys, revoked ones too: their requests remain."""
    statement = """
        SELECT api_key_id, name || ' …' || last_four FROM api_key
        WHERE tenant_id = :tenant_id ORDER BY created_at DESC LIMIT :limit
    """
    found = await session.execute(text(statement), {"tenant_id": tenant_id, "limit": CHOICES_MAX})
    return tuple(Named(*row) for row in found)


async def choices(session: AsyncSession, tenant_id: UUID, within: TimeRange) -> Choices:
    """The providers, models and tasks that occur in a range."""
    found = await session.execute(
        select(_rollup.c.provider_name, _rollup.c.model, _rollup.c.task)
        .distinct()
        .where(*_of_tenant(tenant_id, within.since, within.until))
    )
    rows = found.all()

    def occurring(place: int) -> tuple[str, ...]:
        return tuple(sorted({row[place] for row in rows if row[place]})[:CHOICES_MAX])

    return Choices(provider_names=occurring(0), models=occurring(1), tasks=occurring(2))


async def usage_rows(
    session: AsyncSession, tenant_id: UUID, starts: Sequence[datetime], until: datetime, wanted: UsageFilter
) -> tuple[UsageRow, ...]:
    """Sums of the rollups by bar and model; bar n holds the hours from `starts[n]` to the next start."""
    conditions = (*_of_tenant(tenant_id, starts[0], until), *_narrowed(_ROLLUP_COLUMNS, wanted))
    return await _usage_rows(session, starts, conditions)


async def usage_rows_across_tenants(
    session: AsyncSession, starts: Sequence[datetime], until: datetime
) -> tuple[UsageRow, ...]:
    """The same over every tenant, in a session of the operator."""
    return await _usage_rows(session, starts, (_rollup.c.hour >= starts[0], _rollup.c.hour < until))


async def fine_rows(
    session: AsyncSession, tenant_id: UUID, within: TimeRange, wanted: UsageFilter, latency_bounds_ms: Sequence[int]
) -> tuple[UsageRow, ...]:
    """The same sums by bars of minutes, from the request records; for short ranges only."""
    latency_slot = func.width_bucket(_record.c.latency_ms - 1, cast(list(latency_bounds_ms), ARRAY(Integer)))
    is_baselined = _record.c.baseline_nano_usd.is_not(None)
    statement = (
        select(
            _slot(_record.c.started_at, within.buckets()),
            func.coalesce(_provider_name, NO_MODEL).label("provider_name"),
            func.coalesce(_model, NO_MODEL).label("model"),
            _record.c.outcome,
            latency_slot.label("latency_slot"),
            func.count().label("request_count"),
            _bigint(func.sum(_record.c.billed_nano_usd)).label("billed_nano_usd"),
            _bigint(func.coalesce(func.sum(_record.c.baseline_nano_usd), 0)).label("baseline_nano_usd"),
            _bigint(func.coalesce(func.sum(_record.c.billed_nano_usd).filter(is_baselined), 0)).label(
                "baselined_billed_nano_usd"
            ),
        )
        .select_from(_record_and_last)
        .where(*_records_within(tenant_id, within), *_narrowed(_RECORD_COLUMNS, wanted))
        .group_by("slot", text("2"), text("3"), _record.c.outcome, "latency_slot")
    )
    return tuple(_fine_row(row) for row in await session.execute(statement))


async def request_rows(
    session: AsyncSession, tenant_id: UUID, within: TimeRange, wanted: UsageFilter, *, before: UUID | None
) -> tuple[RequestRow, ...]:
    """One page of requests and one row more, newest first; `before` is the last id of the page above."""
    conditions = [*_records_within(tenant_id, within), *_narrowed(_RECORD_COLUMNS, wanted)]
    if before is not None:
        conditions.append(_record.c.request_id < before)
    statement = (
        select(*(_record.c[field.name] for field in fields(RequestRow)))
        .select_from(_record_and_last)
        .where(*conditions)
        .order_by(_record.c.request_id.desc())
        .limit(REQUEST_PAGE_ROWS + 1)
    )
    return tuple(RequestRow(**row._mapping) for row in await session.execute(statement))


async def attempt_chips(
    session: AsyncSession, tenant_id: UUID, request_ids: Sequence[UUID]
) -> dict[UUID, tuple[AttemptChip, ...]]:
    """The attempts of listed requests, in order."""
    statement = (
        select(*(_attempt.c[field.name] for field in fields(AttemptChip)))
        .where(_attempt.c.tenant_id == tenant_id, _attempt.c.request_id.in_(list(request_ids)))
        .order_by(_attempt.c.request_id, _attempt.c.attempt_number)
    )
    chips: dict[UUID, tuple[AttemptChip, ...]] = {}
    for row in await session.execute(statement):
        chip = AttemptChip(**row._mapping)
        chips[chip.request_id] = (*chips.get(chip.request_id, ()), chip)
    return chips


async def find_request(session: AsyncSession, tenant_id: UUID, request_id: UUID) -> RequestFacts | None:
    """One request of this tenant with everything that was kept of it."""
    statement = select(*(_record.c[field.name] for field in fields(RequestFacts))).where(
        _record.c.tenant_id == tenant_id, _record.c.request_id == request_id
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else RequestFacts(**row._mapping)


async def attempts_of(session: AsyncSession, tenant_id: UUID, request_id: UUID) -> tuple[AttemptFacts, ...]:
    """The attempts of one request, in order."""
    statement = (
        select(*(_attempt.c[field.name] for field in fields(AttemptFacts)))
        .where(_attempt.c.tenant_id == tenant_id, _attempt.c.request_id == request_id)
        .order_by(_attempt.c.attempt_number)
    )
    return tuple(AttemptFacts(**row._mapping) for row in await session.execute(statement))


async def price_of(session: AsyncSession, attempt: AttemptFacts) -> PricedModel | None:
    """The price row behind an attempt; None when its price was unknown."""
    found = await session.execute(
        text("""
            SELECT v.source, v.source_version, v.effective_from, p.input_nano_usd_per_million,
                   p.output_nano_usd_per_million, p.cache_read_nano_usd_per_million,
                   p.cache_creation_nano_usd_per_million, p.per_request_nano_usd, p.is_declared_free
            FROM price p JOIN price_version v USING (price_version_id)
            WHERE p.price_version_id = :version AND p.provider_name = :provider_name AND p.model = :model
        """),
        {"version": attempt.price_version_id, "provider_name": attempt.provider_name, "model": attempt.model},
    )
    row = found.one_or_none()
    return None if row is None else PricedModel(**row._mapping)


async def credential_names(session: AsyncSession, tenant_id: UUID) -> dict[UUID, str]:
    """The names of the tenant's own credentials by id."""
    statement = "SELECT credential_id, name FROM provider_credential WHERE tenant_id = :tenant_id"
    found = await session.execute(text(statement), {"tenant_id": tenant_id})
    return {row.credential_id: row.name for row in found}


async def name_of(session: AsyncSession, tenant_id: UUID, kind: str, wanted_id: UUID | None) -> str | None:
    """The name of a project or an API key of this tenant."""
    statements = {
        "project": "SELECT name FROM project WHERE tenant_id = :tenant_id AND project_id = :id",
        "api_key": "SELECT name || ' …' || last_four FROM api_key WHERE tenant_id = :tenant_id AND api_key_id = :id",
    }
    found = await session.execute(text(statements[kind]), {"tenant_id": tenant_id, "id": wanted_id})
    name: str | None = found.scalar_one_or_none()
    return name


async def _usage_rows(
    session: AsyncSession, starts: Sequence[datetime], conditions: Sequence[ColumnElement[bool]]
) -> tuple[UsageRow, ...]:
    latencies = func.histogram_sum(_rollup.c.latency_histogram, type_=ARRAY(BigInteger))
    statement = (
        select(
            _slot(_rollup.c.hour, starts),
            _rollup.c.provider_name,
            _rollup.c.model,
            *(_bigint(func.sum(_rollup.c[name])).label(name) for name in _MEASURES),
            *(_count_of(outcome_class).label(f"{outcome_class}_count") for outcome_class in OutcomeClass),
            latencies.filter(_rollup.c.outcome == Outcome.OK.value).label("latency_histogram"),
        )
        .where(*conditions)
        .group_by("slot", _rollup.c.provider_name, _rollup.c.model)
    )
    return tuple(_usage_row(row) for row in (await session.execute(statement)).all())


def uuid_floor(at: datetime) -> UUID:
    """The smallest UUIDv7 of a moment, as `uuid_floor` in the schema; here, so that partitions are pruned."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def _of_tenant(tenant_id: UUID, since: datetime, until: datetime) -> tuple[ColumnElement[bool], ...]:
    return _rollup.c.tenant_id == tenant_id, _rollup.c.hour >= since, _rollup.c.hour < until


def _records_within(tenant_id: UUID, within: TimeRange) -> tuple[ColumnElement[bool], ...]:
    return (
        _record.c.tenant_id == tenant_id,
        _record.c.request_id >= uuid_floor(within.since - REQUEST_ID_SLACK),
        _record.c.request_id < uuid_floor(within.until + REQUEST_ID_SLACK),
        _record.c.started_at >= within.since,
        _record.c.started_at < within.until,
    )


def _narrowed(columns: _Columns, wanted: UsageFilter) -> list[ColumnElement[bool]]:
    conditions = [
        columns[field.name] == value
        for field in fields(wanted)
        if field.name != "outcome" and (value := getattr(wanted, field.name)) is not None
    ]
    if wanted.outcome is not None:
        conditions.append(columns["outcome"].in_(outcomes_of(wanted.outcome)))
    return conditions


def _count_of(outcome_class: OutcomeClass) -> ColumnElement[int]:
    members = [outcome.value for outcome, words in OUTCOMES.items() if words.outcome_class is outcome_class]
    is_member = _rollup.c.outcome.in_(members)
    if outcome_class is OutcomeClass.FAILED:  # as `words_of`: what this release does not know counts as failed
        is_member = _rollup.c.outcome.not_in([o.value for o, w in OUTCOMES.items() if w.outcome_class != outcome_class])
    return func.coalesce(_bigint(func.sum(_rollup.c.request_count).filter(is_member)), 0)


def _slot(at: ColumnElement[datetime], starts: Sequence[datetime]) -> ColumnElement[int]:
    return (func.width_bucket(at, cast(list(starts), ARRAY(DateTime(timezone=True)))) - 1).label("slot")


def _usage_row(row: Any) -> UsageRow:
    numbers = {name: getattr(row, name) for name in COUNTED}
    sums = UsageSums(**numbers, latency_histogram=tuple(row.latency_histogram or ()))
    return UsageRow(row.slot, _model_name(row.provider_name, row.model), sums)


def _fine_row(row: Any) -> UsageRow:
    outcome_class = words_of(row.outcome).outcome_class
    is_answered = outcome_class is OutcomeClass.ANSWERED
    histogram = (*(0,) * row.latency_slot, row.request_count) if is_answered else ()
    sums = UsageSums(
        request_count=row.request_count,
        billed_nano_usd=row.billed_nano_usd,
        baseline_nano_usd=row.baseline_nano_usd,
        baselined_billed_nano_usd=row.baselined_billed_nano_usd,
        latency_histogram=histogram,
        **{f"{outcome_class}_count": row.request_count},
    )
    return UsageRow(row.slot, _model_name(row.provider_name, row.model), sums)


def _model_name(provider_name: str, model: str) -> str:
    return f"{provider_name}/{model}" if model else NO_MODEL


def _bigint(expression: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(expression, BigInteger)  # PostgreSQL sums bigint to numeric
