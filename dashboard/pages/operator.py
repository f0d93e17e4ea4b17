"""The operator's tenants: what each is billed, costs and gets wrong, and the plan it is on.

Routed by `dashboard.routes` behind the staff's door. Invariant: each look across tenants, and each
change, stands in an audit trail before anything is shown.
"""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from billing import PlanUnknown, change_plan
from dashboard import staff_repository
from dashboard.access import STAFF_DOOR, checked_form, field
from dashboard.flash import leave_flash
from dashboard.pages.shell import staff_shell, uuid_or_none
from dashboard.ranges import parse_range, zone_of
from dashboard.render import AnyRequest, go_to, page, url
from dashboard.services import ConsoleServices, Services, Session
from dashboard.staff_repository import TENANT_PAGE_ROWS
from dashboard.staff_rows import SEGMENTS, SORTS, TenantFilter, cursor_text, parse_filter
from tenants import PLATFORM_TENANT_ID, ConsoleSession, NotFound, record_audit


@get("/operator")
async def operator_tenants(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """Tenants of a choice with their sums of a range, a page at a time."""
    return await _tenants(request, services, session, moved=uuid_or_none(request.query_params.get("moved")))


@post("/operator/tenants/{tenant_id:str}/plan")
async def move_tenant(
    request: AnyRequest, services: Services, session: Session, tenant_id: FromPath[str]
) -> Response[Any]:
    """Move a tenant to another plan; the request path follows within a second."""
    form = await checked_form(request, session.csrf_token)
    wanted = uuid_or_none(tenant_id)
    if wanted is None or wanted == PLATFORM_TENANT_ID:
        raise NotFoundException
    try:
        plan = await change_plan(services.database, session.actor, wanted, field(form, "plan_id"))
    except PlanUnknown as error:
        return await _tenants(request, services, session, problem=str(error), status=422)
    except NotFound as error:
        raise NotFoundException from error
    within = parse_range(request.query_params, now=services.now(), zone=zone_of("UTC"))
    if field(form, "from") == "tenant":
        response = go_to(request, url(f"/operator/tenants/{wanted}", within.query))
        leave_flash(response, services, session, f"The tenant is on {plan.name} now. Requests follow within a second.")
        return response
    chosen = parse_filter(request.query_params)
    return go_to(request, url(STAFF_DOOR.path, {**within.query, **chosen.query}, moved=str(wanted)))


async def _tenants(
    request: AnyRequest,
    services: ConsoleServices,
    session: ConsoleSession,
    *,
    moved: UUID | None = None,
    problem: str = "",
    status: int = 200,
) -> Response[str]:
    chosen = parse_filter(request.query_params)
    shell = staff_shell(request, services, session, filters=chosen.query)
    since, until = shell.within.since, shell.within.until
    async with services.database.across_tenants() as database_session:
        lines = await staff_repository.tenant_lines(database_session, since, until, chosen)
        totals = await staff_repository.tenant_totals(database_session, since, until, chosen)
        plans = await staff_repository.plan_choices(database_session)
        mover = TenantFilter(tenant_ids=(moved,) if moved else ())
        moved_lines = await staff_repository.tenant_lines(database_session, since, until, mover) if moved else ()
        await record_audit(
            database_session, PLATFORM_TENANT_ID, session.actor, "tenants.viewed", f"range:{shell.within.window}",
            after=chosen.query or None,
        )  # fmt: skip
    shown = lines[:TENANT_PAGE_ROWS]
    last = (shown[-1][1], shown[-1][0].tenant_id) if len(lines) > TENANT_PAGE_ROWS else None
    return page(
        request,
        "operator.html",
        status=status,
        shell=shell,
        chosen=chosen,
        sorts=SORTS,
        segments=SEGMENTS,
        rows=[line for line, _ in shown],
        totals=totals,
        next_after=cursor_text(last) if last else "",
        plans=plans,
        moved=moved_lines[0][0] if moved_lines else None,
        problem=problem,
        now=services.now(),
    )
