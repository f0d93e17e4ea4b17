"""Reconciling with what providers bill: by their statements, and after a day without one.

Called by `signalbox reconcile` and by the worker. Invariants: a statement read twice changes nothing the second
time; what a request is adjusted by is computed under its lock, from what is known of it then.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Final
from uuid import UUID

import msgspec
import structlog

from billing.adjustment import AdjustmentReason, adjustment_between
from billing.adjustment_repository import lock_request, true_records, write_adjustment
from billing.connection import Connection
from billing.counting_repository import posting_ids_of
from billing.plan_repository import find_plan_of
from billing.records import RequestRecord
from billing.reservation_repository import lock_orphans, unresolved_requests
from billing.resolution import by_statement, unresolved
from billing.statement import StatementLine
from billing.statement_repository import Match, keep_lines, match_lines
from tenants import Database

LINES_AT_ONCE: Final = 20_000
REQUESTS_AT_ONCE: Final = 500
UNRESOLVED_S_MAX: Final = 86_400
# Who counts: no process of the request path has this id.
WRITER_ID: Final = UUID(int=2)
log = structlog.get_logger(__name__)
Stated = Mapping[UUID, StatementLine]


class ReconcileReport(msgspec.Struct, kw_only=True):
    """What a statement said and what became of it. Amounts are of its lines, in nano-USD."""

    line_count: int = 0
    stated_nano_usd: int = 0
    matched_count: int = 0
    adjusted_count: int = 0  # requests that turned out otherwise than recorded
    resolved_count: int = 0  # of them, those whose process had died
    unmatched_count: int = 0  # lines of calls that are not in our records
    unmatched_nano_usd: int = 0
    provider_cost_moved_nano_usd: int = 0
    billed_moved_nano_usd: int = 0
    absorbed_moved_nano_usd: int = 0


async def reconcile(database: Database, lines: Iterable[StatementLine]) -> ReconcileReport:
    """Bring what is recorded to what a provider bills, in chunks; a chunk that was read stays read."""
    report = ReconcileReport()
    rates: dict[UUID, Mapping[str, int]] = {}
    pool = await database.meter_pool()
    rest = iter(lines)
    while chunk := list(islice(rest, LINES_AT_ONCE)):
        async with pool.acquire() as connection:
            matches = await match_lines(connection, chunk)
            await keep_lines(connection, chunk, matches)
            _count(report, chunk, matches)
            for tenant_id in {match.tenant_id for match in matches.values()} - rates.keys():
                rates[tenant_id] = await _rates_of(database, tenant_id)
            for some in _some(_by_request(chunk, matches)):
                await _reconcile_some(connection, some, rates, report)
    return report


async def absorb_unresolved(database: Database, *, age_s: int = UNRESOLVED_S_MAX) -> int:
    """Bear what lost calls can have cost that no statement told of for a day; return how many requests."""
    pool = await database.meter_pool()
    total = 0
    while True:
        async with pool.acquire() as connection:
            keys = await unresolved_requests(connection, age_s=age_s, attempts_max=REQUESTS_AT_ONCE)
            for key in keys:
                await _absorb(connection, key)
        total += len(keys)
        if len(keys) < REQUESTS_AT_ONCE:
            break
    if total:
        log.warning("calls_absorbed", requests=total)
    return total


async def _absorb(connection: Connection, key: tuple[UUID, UUID]) -> None:
    async with connection.transaction():
        await lock_request(connection, key[1])
        lost = {attempt.attempt_id for attempt in await lock_orphans(connection, *key)}
        [before] = await true_records(connection, [key])
        if lost:
            after = unresolved(before, lost=lost)
            await _write(connection, before, after, AdjustmentReason.UNRESOLVED, lost)


async def _reconcile_some(
    connection: Connection,
    some: Sequence[tuple[tuple[UUID, UUID], Stated]],
    rates: Mapping[UUID, Mapping[str, int]],
    report: ReconcileReport,
) -> None:
    """Look at requests together, and lock and adjust only those that a statement says something new of."""
    known = {
        (record.tenant_id, record.request_id): record
        for record in await true_records(connection, [key for key, _ in some])
    }
    for key, stated in some:
        record = known.get(key)
        if record is None or not _is_news(record, stated):
            continue
        async with connection.transaction():
            await lock_request(connection, key[1])
            lost = {attempt.attempt_id for attempt in await lock_orphans(connection, *key)} & stated.keys()
            [before] = await true_records(connection, [key])
            after = by_statement(before, stated, lost=lost, rate_ppm=rates[key[0]])
            if after != before:
                await _write(connection, before, after, AdjustmentReason.STATEMENT, lost)
                _count_adjusted(report, before, after, is_resolved=bool(lost))


async def _write(
    connection: Connection,
    before: RequestRecord,
    after: RequestRecord,
    reason: AdjustmentReason,
    lost: Collection[UUID],
) -> None:
    charges = {each.attempt_id: each.billed_nano_usd for each in after.attempts if each.attempt_id in lost}
    adjustment = adjustment_between(
        before,
        after,
        reason=reason,
        writer_id=WRITER_ID,
        posting_ids=posting_ids_of([before, after]),
        charges=charges,
    )
    await write_adjustment(connection, adjustment)


def _is_news(record: RequestRecord, stated: Stated) -> bool:
    return any(
        attempt.provider_cost_nano_usd != line.cost_nano_usd or line.usage not in (None, attempt.usage)
        for attempt in record.attempts
        if (line := stated.get(attempt.attempt_id)) is not None
    )


async def _rates_of(database: Database, tenant_id: UUID) -> Mapping[str, int]:
    """The tenant's rates as its plan is now: what a lost call was offered at is not kept."""
    async with database.snapshot() as session:
        plan = await find_plan_of(session, tenant_id)
    assert plan is not None, "calls are made under a plan"
    return {"platform": plan.rate_ppm("platform"), "tenant": plan.rate_ppm("tenant")}


def _by_request(
    lines: Sequence[StatementLine], matches: Mapping[int, Match]
) -> Iterator[tuple[tuple[UUID, UUID], Stated]]:
    def key(place: int) -> tuple[UUID, UUID]:
        return matches[place].tenant_id, matches[place].request_id

    ordered = sorted(matches, key=lambda place: (key(place)[0].int, key(place)[1].int))
    for request, places in groupby(ordered, key=key):
        yield request, {matches[place].attempt_id: lines[place] for place in places}


def _some(
    requests: Iterator[tuple[tuple[UUID, UUID], Stated]],
) -> Iterator[list[tuple[tuple[UUID, UUID], Stated]]]:
    while some := list(islice(requests, REQUESTS_AT_ONCE)):
        yield some


def _count(report: ReconcileReport, lines: Sequence[StatementLine], matches: Mapping[int, Match]) -> None:
    strangers = [line for place, line in enumerate(lines) if place not in matches]
    report.line_count += len(lines)
    report.stated_nano_usd += sum(line.cost_nano_usd for line in lines)
    report.matched_count += len(matches)
    report.unmatched_count += len(strangers)
    report.unmatched_nano_usd += sum(line.cost_nano_usd for line in strangers)


def _count_adjusted(report: ReconcileReport, before: RequestRecord, after: RequestRecord, *, is_resolved: bool) -> None:
    report.adjusted_count += 1
    report.resolved_count += is_resolved
    for sign, record in ((-1, before), (1, after)):
        for attempt in record.attempts:
            report.provider_cost_moved_nano_usd += sign * (attempt.provider_cost_nano_usd or 0)
            report.billed_moved_nano_usd += sign * attempt.billed_nano_usd
            report.absorbed_moved_nano_usd += sign * attempt.absorbed_nano_usd
