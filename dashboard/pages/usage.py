"""The pages of cost, usage and reliability: the same rows, asked three questions.

Routed by `dashboard.pages.table`. Invariant: everything on a page is a fold of one reading in one transaction, so
the tile is the sum of its figure's bars and of its table's rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from litestar import Response, get
from sqlalchemy.ext.asyncio import AsyncSession

from billing import UsageDimension
from dashboard import queries
from dashboard.figures import Figure
from dashboard.filters import GROUPINGS, FilterBar, UsageFilter, filter_bar, filter_state, usage_filter
from dashboard.measures import Measure, measures_of
from dashboard.pages.reading import Reading, read_usage
from dashboard.pages.shell import Shell, tenant_shell
from dashboard.render import AnyRequest, page
from dashboard.services import ConsoleServices, Services, Session
from dashboard.tiles import breakdown, tiles
from dashboard.usage import total
from dashboard.usage_figures import (
    errors_by_outcome,
    first_token_over_time,
    latency_over_time,
    requests_by_group,
    requests_over_time,
    savings_bridge,
    spend_by_group,
    tokens_by_kind,
    week_of_hours,
)
from tenants import ConsoleSession

COST_TILES: Final = measures_of("spend", "cost_per_query", "saved", "tokens")
COST_COLUMNS: Final = measures_of("spend", "requests", "cost_per_query", "tokens", "saved")
USAGE_TILES: Final = measures_of("requests", "tokens", "tokens_per_query", "cache_share")
USAGE_COLUMNS: Final = measures_of("requests", "tokens", "tokens_per_query", "cache_share", "spend")
RELIABILITY_TILES: Final = measures_of(
    "success_rate", "failure_rate", "refusal_rate", "p95_latency", "p95_first_token", "attempts_per_request",
)  # fmt: skip
RELIABILITY_COLUMNS: Final = measures_of(
    "requests", "success_rate", "failure_rate", "p50_latency", "p95_latency", "p99_latency", "p95_first_token",
    "attempts_per_request",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """What all three pages begin with."""

    shell: Shell
    bar: FilterBar
    wanted: UsageFilter
    by: UsageDimension
    names: Mapping[str, str]
    read: Reading


@get("/console/cost")
async def cost(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """Spend by whatever it is grouped by, and what routing saved."""
    async with services.database.tenant(session.tenant_id) as database_session:
        view = await _view(request, services, session, database_session)
    within, read = view.shell.within, view.read
    figures = (
        spend_by_group(within, read.drawn, read.compared, view.by, view.names),
        savings_bridge(within, total(read.rows)),
        tokens_by_kind(within, read.drawn),
    )
    return _page(request, view, figures, tile_measures=COST_TILES, columns=COST_COLUMNS)


@get("/console/usage")
async def usage(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """Requests and tokens, and the hours of the week."""
    async with services.database.tenant(session.tenant_id) as database_session:
        view = await _view(request, services, session, database_session)
        within = view.shell.within
        hours = await queries.busy_hours(database_session, session.tenant_id, within, view.wanted)
    figures = (
        requests_by_group(within, view.read.drawn, view.by, view.names),
        tokens_by_kind(within, view.read.drawn),
        week_of_hours(within, hours),
    )
    return _page(request, view, figures, tile_measures=USAGE_TILES, columns=USAGE_COLUMNS)


@get("/console/reliability")
async def reliability(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """What went wrong, and how long answers took."""
    async with services.database.tenant(session.tenant_id) as database_session:
        view = await _view(request, services, session, database_session)
        within = view.shell.within
        outcomes = view.read
        if view.by is not UsageDimension.OUTCOME:
            outcomes = await read_usage(
                database_session, session.tenant_id, within, view.wanted, UsageDimension.OUTCOME
            )
    figures = (
        requests_over_time(within, view.read.drawn),
        errors_by_outcome(within, outcomes.drawn),
        latency_over_time(within, view.read.drawn),
        first_token_over_time(within, view.read.drawn),
    )
    return _page(request, view, figures, tile_measures=RELIABILITY_TILES, columns=RELIABILITY_COLUMNS)


def grouping_of(text: str | None) -> UsageDimension:
    """The group of the URL; by model when it names none."""
    return next((dimension for dimension in GROUPINGS if dimension.value == text), UsageDimension.MODEL)


async def _view(
    request: AnyRequest, services: ConsoleServices, session: ConsoleSession, database_session: AsyncSession
) -> _View:
    state = filter_state(request.query_params)
    by = grouping_of(request.query_params.get("by"))
    kept = {"by": by.value} if by is not UsageDimension.MODEL else {}
    shell = await tenant_shell(request, services, session, database_session, filters={**state, **kept})
    choices = await queries.choices(database_session, session.tenant_id, shell.within)
    keys = await queries.api_keys(database_session, session.tenant_id)
    wanted = usage_filter(state)
    return _View(
        shell=shell,
        bar=filter_bar(state, choices, shell.projects, keys),
        wanted=wanted,
        by=by,
        names={str(one.id): one.name for one in (*shell.projects, *keys)},
        read=await read_usage(database_session, session.tenant_id, shell.within, wanted, by),
    )


def _page(
    request: AnyRequest, view: _View, figures: tuple[Figure, ...], *, tile_measures: tuple[Measure, ...],
    columns: tuple[Measure, ...],
) -> Response[str]:  # fmt: skip
    read = view.read
    return page(
        request,
        "usage.html",
        shell=view.shell,
        bar=view.bar,
        by=view.by,
        groupings=tuple((dimension.value, words[0]) for dimension, words in GROUPINGS.items()),
        tiles=tiles(total(read.rows), total(read.before), read.slots, tile_measures),
        figures=figures,
        table=breakdown(columns, read.rows, read.before, view.by, view.names),
        total=total(read.rows),
    )
