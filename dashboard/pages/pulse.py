"""The operator's pulse: requests, errors, cost and margin of the whole platform, now and before.

Routed by `dashboard.routes` behind the staff's door. Invariant: tiles and figure are folds of one set of rows,
read in the transaction that records the look.
"""

from dataclasses import replace
from typing import Final

from litestar import Response, get

from dashboard import queries, staff_repository
from dashboard.pages.shell import staff_shell
from dashboard.pulse_tiles import PULSE
from dashboard.ranges import Grain
from dashboard.render import AnyRequest, page
from dashboard.services import Services, Session
from dashboard.staff_rows import TenantFilter
from dashboard.tiles import tiles
from dashboard.usage import by_slot, total
from dashboard.usage_figures import requests_over_time
from tenants import PLATFORM_TENANT_ID, record_audit

TOP_TENANTS: Final = 10


@get("/operator/pulse")
async def pulse(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """Tiles, the figure of requests, and the tenants that are billed most."""
    shell = staff_shell(request, services, session)
    # Hours are the grain of rollups, and records of all tenants are too many to be read for a page.
    within = replace(shell.within, grain=Grain.HOUR) if shell.within.grain is Grain.FIVE_MINUTES else shell.within
    starts, shift = within.buckets(), within.shift
    async with services.database.across_tenants() as database_session:
        rows = await queries.usage_rows_across_tenants(database_session, starts, within.until)
        lines = await staff_repository.tenant_lines(
            database_session, within.since, within.until, TenantFilter(), limit=TOP_TENANTS
        )
        top = tuple(line for line, _ in lines if line.request_count)
        before = await queries.usage_rows_across_tenants(
            database_session, tuple(start - shift for start in starts), within.until - shift
        )
        wanted = TenantFilter(tenant_ids=tuple(line.tenant_id for line in top))
        lines_before = await staff_repository.tenant_lines(
            database_session, within.since - shift, within.until - shift, wanted
        )
        await record_audit(
            database_session, PLATFORM_TENANT_ID, session.actor, "pulse.viewed", f"range:{within.window}"
        )
    return page(
        request,
        "pulse.html",
        shell=shell,
        tiles=tiles(total(rows), total(before), by_slot(rows, len(starts)), PULSE),
        figure_of_requests=requests_over_time(within, rows),
        top=top,
        before={line.tenant_id: line for line, _ in lines_before},
    )
