"""How well each provider answers, by model: requests of the range, and the attempts of the last hour.

Routed by `dashboard.routes` behind the staff's door. Invariant: a failure that a fallback hid from the caller is
counted against the provider in the attempts, whatever the request's outcome was.
"""

from datetime import timedelta
from typing import Final

from litestar import Response, get

from billing import percentile_ms
from dashboard import queries, staff_operations_repository
from dashboard.pages.shell import staff_shell
from dashboard.render import AnyRequest, page
from dashboard.services import Services, Session
from dashboard.usage import NO_GROUP, UsageSums, by_group
from tenants import PLATFORM_TENANT_ID, record_audit

LATELY: Final = timedelta(hours=1)


@get("/operator/providers")
async def providers(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """Every provider and model that was called, those with the most failures first."""
    shell = staff_shell(request, services, session)
    now = services.now()
    async with services.database.across_tenants() as database_session:
        rows = await queries.usage_rows_across_tenants(database_session, (shell.within.since,), shell.within.until)
        lately = await staff_operations_repository.attempt_health(database_session, now - LATELY, now)
        await record_audit(
            database_session, PLATFORM_TENANT_ID, session.actor, "providers.viewed", f"range:{shell.within.window}"
        )
    ranged = {name: sums for name, sums in by_group(rows).items() if name != NO_GROUP}
    recent = {health.name: health for health in lately}
    names = sorted(
        ranged.keys() | recent.keys(),
        key=lambda name: (
            -(recent[name].failed_count if name in recent else 0),
            -(ranged[name].failed_count if name in ranged else 0),
            name,
        ),
    )
    return page(
        request,
        "providers.html",
        shell=shell,
        names=names,
        ranged={name: ranged.get(name, UsageSums()) for name in names},
        recent=recent,
        percentile_ms=percentile_ms,
    )
