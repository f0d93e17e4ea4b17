"""The page "Routing & quality": which model gets which task, at what cost, how good it is expected to be, and why.

Routed by `dashboard.routes`. Invariant: figures and tables are folds of one transaction's rows; expected quality is
the request path's own table.
"""

from typing import Final

from litestar import Response, get

from dashboard import routing_repository as repository
from dashboard.pages.shell import tenant_shell
from dashboard.render import AnyRequest, page
from dashboard.routing_figures import confidence, cost_and_quality, exclusions, route_share
from dashboard.routing_sums import lines_to_show, sum_decisions, worth_of
from dashboard.services import Services, Session

QUALITY_ROWS_MAX: Final = 120
FEW_PROMPTS: Final = 30  # of a tenant's own: fewer are greyed


@get("/console/quality")
async def quality(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """Figures over a range and a project, the table of expected quality, and the newest evaluations."""
    tenant_id = session.tenant_id
    async with services.database.tenant(tenant_id) as database_session:
        shell = await tenant_shell(request, services, session, database_session)
        within, project_id = shell.within, shell.project_id
        routes = await repository.route_counts(database_session, tenant_id, within, project_id)
        decisions = await repository.newest_decisions(database_session, tenant_id, within, project_id)
        evaluations = await repository.evaluation_summaries(database_session, tenant_id)
    expected = await services.quality(tenant_id)
    sums = sum_decisions(decisions)
    lines, left_out = lines_to_show(expected, routes, rows_max=QUALITY_ROWS_MAX)
    return page(
        request,
        "quality.html",
        shell=shell,
        figures=(
            route_share(routes, within),
            cost_and_quality(worth_of(routes, expected)),
            exclusions(sums),
            confidence(sums),
        ),
        lines=lines,
        left_out=left_out,
        few=FEW_PROMPTS,
        evaluations=evaluations,
    )
