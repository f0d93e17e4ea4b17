"""What the console reads of rollups, names and tenants; of request records see `request_repository`.

Called by the pages inside a session of `tenants.Database`. Invariant: each statement of a tenant page
names the tenant beside what row security already enforces, and none of them writes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Text,
    case,
    cast,
    column,
    func,
    select,
    table,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from billing import Outcome, UsageDimension
from dashboard.filters import UsageFilter
from dashboard.outcomes import OUTCOMES, OutcomeClass, outcomes_of
from dashboard.ranges import TimeRange
from dashboard.rows import (
    Choices,
    Named,
    TenantFacts,
)
from dashboard.usage import COUNTED, HISTOGRAMS, NO_GROUP, UsageRow, UsageSums

CHOICES_MAX: Final = 200
# A request id is made just before its record starts: read a little further by id, then cut exactly by time.
REQUEST_ID_SLACK: Final = timedelta(minutes=1)

_MEASURES: Final = (
    "request_count", "attempt_count", "unpriced_count", "input_tokens", "output_tokens", "cache_read_input_tokens",
    "cache_creation_input_tokens", "reasoning_output_tokens", "provider_cost_nano_usd", "own_credential_cost_nano_usd",
    "billed_nano_usd", "absorbed_nano_usd", "baseline_nano_usd", "baselined_billed_nano_usd",
)  # fmt: skip
_GROUP_COLUMNS: Final = {
    UsageDimension.PROVIDER: "provider_name",
    UsageDimension.PROJECT: "project_id",
    UsageDimension.API_KEY: "api_key_id",
    UsageDimension.TASK: "task",
    UsageDimension.OUTCOME: "outcome",
}
_DIMENSIONS: Final = ("project_id", "api_key_id", "provider_name", "model", "task")

_rollup = table("usage_rollup", *map(column, ("tenant_id", "hour", "outcome", *HISTOGRAMS)),
                *map(column, _DIMENSIONS + _MEASURES))  # fmt: skip
Columns = Mapping[str, ColumnElement[Any]]
_ROLLUP_COLUMNS: Final[Columns] = {name: _rollup.c[name] for name in (*_DIMENSIONS, "outcome")}


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
    session: AsyncSession,
    tenant_id: UUID,
    starts: Sequence[datetime],
    until: datetime,
    wanted: UsageFilter,
    by: UsageDimension = UsageDimension.MODEL,
) -> tuple[UsageRow, ...]:
    """Sums of the rollups by bar and group; bar n holds the hours from `starts[n]` to the next start."""
    conditions = (*_of_tenant(tenant_id, starts[0], until), *narrowed(_ROLLUP_COLUMNS, wanted))
    return await _usage_rows(session, starts, conditions, by)


async def usage_rows_across_tenants(
    session: AsyncSession, starts: Sequence[datetime], until: datetime
) -> tuple[UsageRow, ...]:
    """The same over every tenant, in a session of the operator."""
    conditions = (_rollup.c.hour >= starts[0], _rollup.c.hour < until)
    return await _usage_rows(session, starts, conditions, UsageDimension.MODEL)


async def busy_hours(
    session: AsyncSession, tenant_id: UUID, within: TimeRange, wanted: UsageFilter, *, before: datetime | None = None
) -> tuple[tuple[datetime, int], ...]:
    """The hours that hold requests which the filters leave, newest first, with how many.

    The rollups are so the index of the records: a rare model is found without reading all that lies between.
    """
    until = within.until if before is None else min(within.until, before + REQUEST_ID_SLACK)
    statement = (
        select(_rollup.c.hour, bigint(func.sum(_rollup.c.request_count)).label("request_count"))
        .where(*_of_tenant(tenant_id, within.since, until), *narrowed(_ROLLUP_COLUMNS, wanted))
        .group_by(_rollup.c.hour)
        .having(func.sum(_rollup.c.request_count) > 0)
        .order_by(_rollup.c.hour.desc())
    )
    return tuple((row.hour, row.request_count) for row in await session.execute(statement))


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


def uuid_floor(at: datetime) -> UUID:
    """The smallest UUIDv7 of a moment, as `uuid_floor` in the schema; here, so that partitions are pruned."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def narrowed(columns: Columns, wanted: UsageFilter) -> list[ColumnElement[bool]]:
    """What the filters leave, over the columns of rollups or of records."""
    conditions = [
        columns[field.name] == value
        for field in fields(wanted)
        if field.name != "outcome" and (value := getattr(wanted, field.name)) is not None
    ]
    if wanted.outcome is not None:
        conditions.append(columns["outcome"].in_(outcomes_of(wanted.outcome)))
    return conditions


def slot(at: ColumnElement[datetime], starts: Sequence[datetime]) -> ColumnElement[int]:
    """The number of the bar that a moment falls into."""
    return (func.width_bucket(at, cast(list(starts), ARRAY(DateTime(timezone=True)))) - 1).label("slot")


def group_of(by: UsageDimension, columns: Columns) -> ColumnElement[str]:
    """The group of a row: `provider/model`, or an id, a name or nothing."""
    if by is not UsageDimension.MODEL:
        return func.coalesce(cast(columns[_GROUP_COLUMNS[by]], Text), NO_GROUP).label("group")
    model = func.coalesce(columns["model"], "")
    return case((model != "", columns["provider_name"].concat("/").concat(model)), else_=NO_GROUP).label("group")


def bigint(expression: ColumnElement[Any]) -> ColumnElement[int]:
    """A sum as the integer that it is: PostgreSQL sums bigint to numeric."""
    return cast(expression, BigInteger)


async def _usage_rows(
    session: AsyncSession, starts: Sequence[datetime], conditions: Sequence[ColumnElement[bool]], by: UsageDimension
) -> tuple[UsageRow, ...]:
    is_answered = _rollup.c.outcome == Outcome.OK.value
    statement = (
        select(
            slot(_rollup.c.hour, starts),
            group_of(by, _ROLLUP_COLUMNS),
            *(bigint(func.sum(_rollup.c[name])).label(name) for name in _MEASURES),
            *(_count_of(outcome_class).label(f"{outcome_class}_count") for outcome_class in OutcomeClass),
            *(
                func.histogram_sum(_rollup.c[name], type_=ARRAY(BigInteger)).filter(is_answered).label(name)
                for name in HISTOGRAMS
            ),
        )
        .where(*conditions)
        .group_by("slot", "group")
    )
    return tuple(_usage_row(row) for row in (await session.execute(statement)).all())


def _of_tenant(tenant_id: UUID, since: datetime, until: datetime) -> tuple[ColumnElement[bool], ...]:
    return _rollup.c.tenant_id == tenant_id, _rollup.c.hour >= since, _rollup.c.hour < until


def _count_of(outcome_class: OutcomeClass) -> ColumnElement[int]:
    members = [outcome.value for outcome, words in OUTCOMES.items() if words.outcome_class is outcome_class]
    is_member = _rollup.c.outcome.in_(members)
    if outcome_class is OutcomeClass.FAILED:  # as `words_of`: what this release does not know counts as failed
        is_member = _rollup.c.outcome.not_in([o.value for o, w in OUTCOMES.items() if w.outcome_class != outcome_class])
    return func.coalesce(bigint(func.sum(_rollup.c.request_count).filter(is_member)), 0)


def _usage_row(row: Any) -> UsageRow:
    sums = UsageSums(
        latency_histogram=tuple(row.latency_histogram or ()),
        first_token_histogram=tuple(row.first_token_histogram or ()),
        **{name: getattr(row, name) for name in COUNTED},
    )
    return UsageRow(row.slot, row.group, sums)
