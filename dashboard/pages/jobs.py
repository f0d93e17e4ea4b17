"""What runs in the background: dead letters, calls whose process died, what waits, and whether the books agree.

Routed by `dashboard.routes` behind the staff's door. Invariant: the page reads and changes nothing; the books are
compared only when somebody asks, because that reads days of records.
"""

from datetime import timedelta
from typing import Final

from litestar import Response, get

from billing import find_drift
from dashboard import staff_operations_repository as repository
from dashboard.pages.shell import staff_shell
from dashboard.render import AnyRequest, page
from dashboard.services import Services, Session
from dashboard.staff_operations_repository import LETTERS_SHOWN
from tenants import PLATFORM_TENANT_ID, record_audit

COMPARED: Final = timedelta(days=1)  # yesterday and today
DRIFTS_SHOWN: Final = 100


@get("/operator/jobs")
async def jobs(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """Everything that waits or failed; with `check=books` what two books tell differently."""
    shell = staff_shell(request, services, session)
    is_checked = request.query_params.get("check") == "books"
    now = services.now()
    async with services.database.across_tenants() as database_session:
        letters = await repository.dead_letters(database_session)
        orphans = await repository.orphans(database_session)
        waiting = await repository.waiting(database_session)
        await record_audit(
            database_session, PLATFORM_TENANT_ID, session.actor, "jobs.viewed", f"check:{'books' if is_checked else ''}"
        )
    drifts = await find_drift(services.database, now - COMPARED, now) if is_checked else ()
    return page(
        request,
        "jobs.html",
        shell=shell,
        letters=letters,
        letters_shown=LETTERS_SHOWN,
        orphans=orphans,
        waiting=waiting,
        is_checked=is_checked,
        drifts=drifts[:DRIFTS_SHOWN],
        drift_count=len(drifts),
        since=now - COMPARED,
        now=now,
    )
