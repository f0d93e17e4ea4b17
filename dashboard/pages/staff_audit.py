"""What staff looked at and changed, in the platform's trail and in those of tenants.

Routed by `dashboard.routes` behind the staff's door. Invariant: reading it is itself an event in it.
"""

from typing import Final, get_args

from litestar import Response, get

from dashboard import staff_repository
from dashboard.audit_rows import Told
from dashboard.pages.shell import staff_shell, uuid_or_none
from dashboard.queries import uuid_floor
from dashboard.render import AnyRequest, page
from dashboard.services import Services, Session
from dashboard.staff_repository import AUDIT_PAGE_ROWS
from tenants import PLATFORM_TENANT_ID, record_audit

KINDS: Final[tuple[Told, ...]] = get_args(Told)


@get("/operator/audit")
async def staff_audit(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """Events of a range, newest first, a page at a time."""
    told: Told = next((kind for kind in KINDS if kind == request.query_params.get("told")), "")
    shell = staff_shell(request, services, session, filters={"told": told} if told else {})
    before = uuid_or_none(request.query_params.get("before"))
    first_id, end_id = uuid_floor(shell.within.since), uuid_floor(shell.within.until)
    async with services.database.across_tenants() as database_session:
        events = await staff_repository.staff_events(
            database_session, first_id, min(before, end_id) if before else end_id, told
        )
        await record_audit(
            database_session, PLATFORM_TENANT_ID, session.actor, "staff_audit.viewed", f"range:{shell.within.window}"
        )
    shown = events[:AUDIT_PAGE_ROWS]
    return page(
        request,
        "staff_audit.html",
        shell=shell,
        events=shown,
        told=told,
        kinds=KINDS,
        is_first_page=before is None,
        next_before=str(shown[-1].event_id) if len(events) > AUDIT_PAGE_ROWS else "",
    )
