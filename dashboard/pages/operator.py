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
from dashboard import queries
from dashboard.access import STAFF_DOOR, checked_form, field
from dashboard.pages.shell import staff_shell, uuid_or_none
from dashboard.ranges import parse_range, zone_of
from dashboard.render import AnyRequest, go_to, page, url
from dashboard.services import ConsoleServices, Services, Session
from tenants import PLATFORM_TENANT_ID, ConsoleSession, NotFound, record_audit


@get("/operator")
async def operator_tenants(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """All tenants with their sums of a range."""
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
        await change_plan(services.database, session.actor, wanted, field(form, "plan_id"))
    except PlanUnknown as error:
        return await _tenants(request, services, session, problem=str(error), status=422)
    except NotFound as error:
        raise NotFoundException from error
    within = parse_range(request.query_params, now=services.now(), zone=zone_of("UTC"))
    return go_to(request, url(STAFF_DOOR.path, within.query, moved=str(wanted)))


async def _tenants(
    request: AnyRequest,
    services: ConsoleServices,
    session: ConsoleSession,
    *,
    moved: UUID | None = None,
    problem: str = "",
    status: int = 200,
) -> Response[str]:
    shell = staff_shell(request, services, session)
    within = shell.within
    async with services.database.across_tenants() as database_session:
        rows = await queries.tenant_rows(database_session, within.since, within.until)
        plans = await queries.plan_choices(database_session)
        await record_audit(
            database_session, PLATFORM_TENANT_ID, session.actor, "tenants.viewed", f"range:{within.window}"
        )
    return page(
        request,
        "operator.html",
        status=status,
        shell=shell,
        rows=rows,
        plans=plans,
        moved=next((row for row in rows if row.tenant_id == moved), None),
        problem=problem,
        now=services.now(),
    )
