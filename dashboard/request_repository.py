"""What the console reads of request records: fine bars, the list page by page, what is new, prices behind attempts.

Called by the pages inside a session of `tenants.Database`. Invariants: each statement names the tenant beside what
row security enforces, and reads a bounded part: the hours that the rollups say hold what is looked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import ARRAY, ColumnElement, Integer, and_, cast, column, func, or_, select, table, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing import Price, UsageDimension
from dashboard.filters import UsageFilter
from dashboard.outcomes import OutcomeClass, words_of
from dashboard.queries import REQUEST_ID_SLACK, Columns, bigint, busy_hours, group_of, narrowed, slot, uuid_floor
from dashboard.ranges import HOUR, TimeRange
from dashboard.rows import AttemptChip, AttemptFacts, ExportedRequest, PricedModel, RequestFacts, RequestRow
from dashboard.usage import UsageRow, UsageSums

REQUEST_PAGE_ROWS: Final = 50
EXPORT_BATCH_ROWS: Final = 2_000
_Row = TypeVar("_Row", RequestRow, ExportedRequest)
# Records appear when requests end: what began so long ago may still come.
TAIL_REACH: Final = timedelta(minutes=10)
TAIL_ROWS_MAX: Final = 200
_RECORD_SUMS: Final = (
    "attempt_count", "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
    "reasoning_output_tokens", "billed_nano_usd",
)  # fmt: skip
PRICE_COLUMNS: Final = Price.__struct_fields__
_ADJUSTED: Final = ("outcome", "http_status", "input_tokens", "output_tokens", "latency_ms", "billed_nano_usd")

_record = table("request_record", *map(column, dict.fromkeys(
    ("tenant_id", *(field.name for row in (RequestRow, RequestFacts) for field in fields(row))))))  # fmt: skip
_attempt = table("attempt", *map(column, dict.fromkeys(
    ("tenant_id", *(field.name for row in (AttemptChip, AttemptFacts) for field in fields(row))))))  # fmt: skip
# A request that nobody answered counts under who was tried last, as in the rollups.
_last = _attempt.alias("last")
_is_last = and_(
    _last.c.tenant_id == _record.c.tenant_id,
    _last.c.request_id == _record.c.request_id,
    _last.c.attempt_number == _record.c.attempt_count,
)
_RECORD_COLUMNS: Final[Columns] = {
    **{name: _record.c[name] for name in ("project_id", "api_key_id", "task", "outcome")},
    "provider_name": func.coalesce(_record.c.provider_name, _last.c.provider_name),
    "model": func.coalesce(_record.c.response_model, _last.c.model),
}


async def fine_rows(
    session: AsyncSession,
    tenant_id: UUID,
    within: TimeRange,
    wanted: UsageFilter,
    latency_bounds_ms: Sequence[int],
    by: UsageDimension = UsageDimension.MODEL,
) -> tuple[UsageRow, ...]:
    """The same sums by bars of minutes, from the request records; for short ranges only."""
    bounds = cast(list(latency_bounds_ms), ARRAY(Integer))
    is_baselined = _record.c.baseline_nano_usd.is_not(None)
    statement = (
        select(
            slot(_record.c.started_at, within.buckets()),
            group_of(by, _RECORD_COLUMNS),
            _record.c.outcome,
            func.width_bucket(_record.c.latency_ms - 1, bounds).label("latency_slot"),
            func.width_bucket(_record.c.first_token_ms - 1, bounds).label("first_token_slot"),
            func.count().label("request_count"),
            *(bigint(func.sum(_record.c[name])).label(name) for name in _RECORD_SUMS),
            bigint(func.coalesce(func.sum(_record.c.baseline_nano_usd), 0)).label("baseline_nano_usd"),
            bigint(func.coalesce(func.sum(_record.c.billed_nano_usd).filter(is_baselined), 0)).label(
                "baselined_billed_nano_usd"
            ),
        )
        .select_from(_record.outerjoin(_last, _is_last))
        .where(*_within(tenant_id, within.since, within.until), *narrowed(_RECORD_COLUMNS, wanted))
        .group_by("slot", "group", _record.c.outcome, "latency_slot", "first_token_slot")
    )
    return tuple(_fine_row(row) for row in await session.execute(statement))


async def request_rows(
    session: AsyncSession, tenant_id: UUID, within: TimeRange, wanted: UsageFilter, *, before: UUID | None
) -> tuple[RequestRow, ...]:
    """One page of requests and one row more, newest first; `before` is the last id of the page above."""
    wanted_rows, moment = REQUEST_PAGE_ROWS + 1, None if before is None else _moment_of(before)
    hours = await busy_hours(session, tenant_id, within, wanted, before=moment)
    in_range = (_record.c.started_at >= within.since, _record.c.started_at < within.until)
    top, found = before or uuid_floor(within.until + REQUEST_ID_SLACK), tuple[RequestRow, ...]()
    for since, until in _stretches(hours, wanted_rows):
        # Stretches are parted by id, as the list is ordered, so that none of an hour's edge is lost or told twice.
        low, high = uuid_floor(since - REQUEST_ID_SLACK), min(top, uuid_floor(until + REQUEST_ID_SLACK))
        by_id = (_record.c.request_id >= low, _record.c.request_id < high)
        found += await _rows(session, tenant_id, [*by_id, *in_range, *_kept(wanted)], wanted_rows - len(found))
        if len(found) == wanted_rows:
            break
        top = low
    return found


async def new_rows(
    session: AsyncSession, tenant_id: UUID, now: datetime, wanted: UsageFilter, *, after: UUID
) -> tuple[RequestRow, ...]:
    """The newest requests that began a little before `after` or later, newest first: some end late."""
    since = max(_moment_of(after) - TAIL_REACH, now - 2 * TAIL_REACH)
    conditions = [_record.c.request_id >= uuid_floor(since), *_kept(wanted)]
    return await _rows(session, tenant_id, conditions, TAIL_ROWS_MAX)


async def exported_rows(
    session: AsyncSession, tenant_id: UUID, within: TimeRange, wanted: UsageFilter, *, after: UUID | None
) -> tuple[ExportedRequest, ...]:
    """The next requests of an export, oldest first, as they were recorded and adjusted."""
    conditions = [*_within(tenant_id, within.since, within.until), *_kept(wanted)]
    if after is not None:
        conditions.append(_record.c.request_id > after)
    statement = (
        select(*(_record.c[field.name] for field in fields(ExportedRequest)))
        .where(*conditions)
        .order_by(_record.c.request_id)
        .limit(EXPORT_BATCH_ROWS)
    )
    rows = [ExportedRequest(**row._mapping) for row in await session.execute(statement)]
    return await _adjusted(session, tenant_id, rows)


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


async def prices_of(session: AsyncSession, attempts: Sequence[AttemptFacts]) -> dict[int, PricedModel]:
    """The price behind each attempt, by its number; attempts whose price was unknown are left out."""
    found = await session.execute(
        text(f"""
            SELECT a.attempt_number, v.source, v.source_version, v.effective_from,
                   {", ".join(f"p.{name}" for name in PRICE_COLUMNS)}
            FROM unnest(CAST(:numbers AS integer[]), CAST(:versions AS uuid[]), CAST(:providers AS text[]),
                        CAST(:models AS text[])) a (attempt_number, price_version_id, provider_name, model)
            JOIN price p USING (price_version_id, provider_name, model) JOIN price_version v USING (price_version_id)
        """),  # noqa: S608 - constants
        {
            "numbers": [attempt.attempt_number for attempt in attempts],
            "versions": [attempt.price_version_id for attempt in attempts],
            "providers": [attempt.provider_name for attempt in attempts],
            "models": [attempt.model for attempt in attempts],
        },
    )
    return {
        row.attempt_number: PricedModel(
            price=msgspec.convert({name: row._mapping[name] for name in PRICE_COLUMNS}, Price),
            source=row.source,
            source_version=row.source_version,
            effective_from=row.effective_from,
        )
        for row in found
    }


async def _rows(
    session: AsyncSession, tenant_id: UUID, conditions: Sequence[ColumnElement[bool]], limit: int
) -> tuple[RequestRow, ...]:
    statement = (
        select(*(_record.c[field.name] for field in fields(RequestRow)))
        .where(_record.c.tenant_id == tenant_id, *conditions)
        .order_by(_record.c.request_id.desc())
        .limit(limit)
    )
    return await _adjusted(session, tenant_id, [RequestRow(**row._mapping) for row in await session.execute(statement)])


async def _adjusted(session: AsyncSession, tenant_id: UUID, rows: Sequence[_Row]) -> tuple[_Row, ...]:
    """The rows with what became known of their requests after they were recorded."""
    found = await session.execute(
        text(f"""
            SELECT a.request_id, {", ".join(f"t.{name}" for name in _ADJUSTED)}
            FROM adjustment a CROSS JOIN LATERAL json_populate_record(NULL::request_record, a.record) t
            WHERE a.tenant_id = :tenant_id AND a.request_id = ANY(:request_ids)"""),  # noqa: S608 - constants
        {"tenant_id": tenant_id, "request_ids": [row.request_id for row in rows]},
    )
    truth = {known.request_id: {name: known._mapping[name] for name in _ADJUSTED} for known in found}
    return tuple(replace(row, **truth.get(row.request_id, {})) for row in rows)


def _stretches(hours: Sequence[tuple[datetime, int]], rows: int) -> Iterator[tuple[datetime, datetime]]:
    """Hours that hold requests, newest first, joined as long as one stretch may still be needed for `rows`."""
    start, end, held = None, None, 0
    for hour, count in hours:
        if start is not None and end is not None and (hour + HOUR != start or held >= rows):
            yield start, end
            start, end, held = None, None, 0
        start, end, held = hour, end or hour + HOUR, held + count
    if start is not None and end is not None:
        yield start, end


def _within(tenant_id: UUID, since: datetime, until: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        _record.c.tenant_id == tenant_id,
        _record.c.request_id >= uuid_floor(since - REQUEST_ID_SLACK),
        _record.c.request_id < uuid_floor(until + REQUEST_ID_SLACK),
        _record.c.started_at >= since,
        _record.c.started_at < until,
    )


def _kept(wanted: UsageFilter) -> list[ColumnElement[bool]]:
    """What the filters leave, with the last attempt looked up for those only that nobody answered."""
    kept = narrowed(_RECORD_COLUMNS, replace(wanted, provider_name=None, model=None))
    for own, tried, value in (
        (_record.c.provider_name, _last.c.provider_name, wanted.provider_name),
        (_record.c.response_model, _last.c.model, wanted.model),
    ):
        if value is not None:
            was_tried = select(_last.c.request_id).where(_is_last, tried == value).exists()
            kept.append(or_(own == value, and_(own.is_(None), was_tried)))
    return kept


def _moment_of(request_id: UUID) -> datetime:
    return datetime.fromtimestamp((request_id.int >> 80) / 1000, UTC)


def _fine_row(row: Any) -> UsageRow:
    outcome_class = words_of(row.outcome).outcome_class
    count, is_answered = row.request_count, outcome_class is OutcomeClass.ANSWERED
    first = row.first_token_slot
    sums = UsageSums(
        request_count=count,
        baseline_nano_usd=row.baseline_nano_usd,
        baselined_billed_nano_usd=row.baselined_billed_nano_usd,
        latency_histogram=(*(0,) * row.latency_slot, count) if is_answered else (),
        first_token_histogram=(*(0,) * first, count) if is_answered and first is not None else (),
        **{name: getattr(row, name) for name in _RECORD_SUMS},
        **{f"{outcome_class}_count": count},
    )
    return UsageRow(row.slot, row.group, sums)
