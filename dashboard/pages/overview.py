"""The tenant's overview: what was spent, for what, and how well it went.

Routed by `dashboard.routes`. Invariant: tiles, figures and the table of models are folds of one set of
rows, read in one transaction; they cannot disagree.
"""

from litestar import Response, get

from billing import latency_bounds_ms
from dashboard import queries
from dashboard.figures import latency_over_time, requests_over_time, spend_by_model
from dashboard.pages.shell import tenant_shell
from dashboard.queries import UsageFilter
from dashboard.ranges import Grain
from dashboard.render import AnyRequest, page
from dashboard.services import Services, Session
from dashboard.tiles import p95_ms, tiles
from dashboard.usage import by_model, by_slot, total


@get("/console")
async def overview(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """Tiles, figures and models of a range and a project."""
    tenant_id = session.tenant_id
    async with services.database.tenant(tenant_id) as database_session:
        shell = await tenant_shell(request, services, session, database_session)
        within, wanted = shell.within, UsageFilter(project_id=shell.project_id)
        starts = within.buckets()
        shift = within.shift
        rows = await queries.usage_rows(database_session, tenant_id, starts, within.until, wanted)
        before = (
            await queries.usage_rows(
                database_session, tenant_id, tuple(start - shift for start in starts), within.until - shift, wanted
            )
            if shift
            else ()
        )
        # Hours are the grain of rollups: a short range is drawn from the same requests' records instead.
        drawn = rows
        if within.grain is Grain.FIVE_MINUTES:
            drawn = await queries.fine_rows(database_session, tenant_id, within, wanted, latency_bounds_ms)
    previous = () if within.grain is Grain.FIVE_MINUTES else by_slot(before, len(starts))
    slots = by_slot(drawn, len(starts))
    return page(
        request,
        "overview.html",
        shell=shell,
        tiles=tiles(total(rows), total(before), slots),
        figures=(
            spend_by_model(within, drawn, previous),
            requests_over_time(within, drawn),
            latency_over_time(within, drawn),
        ),
        models=by_model(rows),
        total=total(rows),
        p95_ms=p95_ms,
        base_url=str(request.base_url).rstrip("/"),
    )
