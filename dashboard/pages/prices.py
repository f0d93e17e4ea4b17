"""Plans and the price book: their versions, what is in force, and what waits for a person's yes.

Routed by `dashboard.routes` behind the staff's door. Invariant: prices that moved implausibly are kept only after
somebody saw them named and said yes, and that stands in the platform's trail.
"""

from typing import Any

from litestar import Response, get, post

from billing import ImportReport, PriceBookRejected, import_price_book
from dashboard import staff_operations_repository as repository
from dashboard.access import checked_form, field
from dashboard.flash import leave_flash
from dashboard.pages.shell import staff_shell
from dashboard.render import AnyRequest, go_to, page
from dashboard.services import ConsoleServices, Services, Session
from dashboard.staff_operations_repository import PRICES_SHOWN
from dashboard.staff_rows import search_of
from tenants import PLATFORM_TENANT_ID, ConsoleSession, record_audit


@get("/operator/prices")
async def prices(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """Plans, versions of the price book, and the prices in force that match a search."""
    return await _prices(request, services, session)


@post("/operator/prices/import")
async def import_prices(request: AnyRequest, services: Services, session: Session) -> Response[Any]:
    """Import the prices that came with this release; what moved implausibly is named and waits for a yes."""
    form = await checked_form(request, session.csrf_token)
    accept_jumps = field(form, "accept_jumps") == "yes"
    async with services.database.across_tenants() as database_session:
        await record_audit(
            database_session, PLATFORM_TENANT_ID, session.actor, "prices.import_requested", "price_book:",
            after={"accept_jumps": accept_jumps},
        )  # fmt: skip
    try:
        report = await import_price_book(services.database, accept_jumps=accept_jumps)
    except PriceBookRejected as error:
        return await _prices(request, services, session, waits_for_yes=str(error), status=422)
    response = go_to(request, "/operator/prices")
    leave_flash(response, services, session, _words(report))
    return response


async def _prices(
    request: AnyRequest,
    services: ConsoleServices,
    session: ConsoleSession,
    *,
    waits_for_yes: str = "",
    status: int = 200,
) -> Response[str]:
    search = search_of(request.query_params)
    shell = staff_shell(request, services, session, filters={"q": search} if search else {})
    now = services.now()
    async with services.database.across_tenants() as database_session:
        plans = await repository.plan_lines(database_session)
        versions = await repository.price_versions(database_session, now)
        found = await repository.find_prices(database_session, now, search) if search else ()
        await record_audit(
            database_session, PLATFORM_TENANT_ID, session.actor, "prices.viewed", "price_book:",
            after={"search": search} if search else None,
        )  # fmt: skip
    return page(
        request,
        "prices.html",
        status=status,
        shell=shell,
        plans=plans,
        versions=versions,
        search=search,
        found=found[:PRICES_SHOWN],
        has_more=len(found) > PRICES_SHOWN,
        waits_for_yes=waits_for_yes,
    )


def _words(report: ImportReport) -> str:
    left_out = "; ".join(f"{count:,} for “{reason}”" for reason, count in sorted(report.left_out.items()))
    return (
        f"Version {report.source_version} is in force: {report.imported_count:,} models, {report.tiered_count:,} with "
        f"other rates for long input or batches, {report.dearest_hour_count:,} priced by the hour and taken at the "
        f"dearest. Left out: {left_out or 'none'}."
    )
