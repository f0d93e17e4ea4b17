"""The tenant's overview: what was spent, for what, and how well it went.

Routed by `dashboard.pages.table`. Invariant: tiles, figures and the table of models are folds of one set of
rows, read in one transaction; they cannot disagree.
"""

from typing import Final

from litestar import Response, get

from billing import UsageDimension
from dashboard.filters import UsageFilter
from dashboard.measures import measures_of
from dashboard.pages.reading import read_usage
from dashboard.pages.shell import tenant_shell
from dashboard.render import AnyRequest, page
from dashboard.services import Services, Session
from dashboard.tiles import breakdown, tiles
from dashboard.usage import total
from dashboard.usage_figures import latency_over_time, requests_over_time, spend_by_group

TILES: Final = measures_of("spend", "requests", "cost_per_query", "success_rate", "p95_latency", "saved")
COLUMNS: Final = measures_of("spend", "requests", "success_rate", "p95_latency", "cost_per_query", "saved")


@get("/console")
async def overview(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """Tiles, figures and models of a range and a project."""
    async with services.database.tenant(session.tenant_id) as database_session:
        shell = await tenant_shell(request, services, session, database_session)
        wanted = UsageFilter(project_id=shell.project_id)
        read = await read_usage(database_session, session.tenant_id, shell.within, wanted)
    return page(
        request,
        "overview.html",
        shell=shell,
        tiles=tiles(total(read.rows), total(read.before), read.slots, TILES),
        figures=(
            spend_by_group(shell.within, read.drawn, read.compared),
            requests_over_time(shell.within, read.drawn),
            latency_over_time(shell.within, read.drawn),
        ),
        models=breakdown(COLUMNS, read.rows, read.before, UsageDimension.MODEL, {}),
        total=total(read.rows),
        base_url=str(request.base_url).rstrip("/"),
    )
