"""The list of requests, refused ones too, and the page of one request.

Routed by `dashboard.routes`. Invariants: filters and place are in the URL; a page is found by the id
of the one before, however deep; another tenant's request looks like one that does not exist.
"""

from typing import Final

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from billing import find_request
from dashboard import queries
from dashboard import request_repository as repository
from dashboard.decisions import candidate_views, needs_of, read_decision
from dashboard.filters import filter_bar, filter_state, usage_filter
from dashboard.measures import measures_of
from dashboard.pages.shell import tenant_shell, uuid_or_none
from dashboard.render import AnyRequest, page
from dashboard.request_cost import attempt_costs
from dashboard.request_repository import REQUEST_PAGE_ROWS
from dashboard.rows import AttemptFacts, RequestFacts
from dashboard.services import Services, Session
from dashboard.tiles import tiles
from dashboard.usage import by_slot, total
from dashboard.waterfall import waterfall

STRIP: Final = measures_of("requests", "spend", "success_rate", "p95_latency")


@get("/console/requests")
async def requests(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """One page of requests, newest first."""
    tenant_id = session.tenant_id
    query = request.query_params
    state = filter_state(query)
    before = uuid_or_none(query.get("before"))
    async with services.database.tenant(tenant_id) as database_session:
        shell = await tenant_shell(request, services, session, database_session, filters=state)
        within, wanted = shell.within, usage_filter(state)
        starts = within.buckets()
        usage = await queries.usage_rows(database_session, tenant_id, starts, within.until, wanted)
        rows = await repository.request_rows(database_session, tenant_id, within, wanted, before=before)
        has_more, rows = len(rows) > REQUEST_PAGE_ROWS, rows[:REQUEST_PAGE_ROWS]
        chips = await repository.attempt_chips(database_session, tenant_id, [row.request_id for row in rows])
        choices = await queries.choices(database_session, tenant_id, within)
        keys = await queries.api_keys(database_session, tenant_id)
    sums = total(usage)
    return page(
        request,
        "requests.html",
        shell=shell,
        bar=filter_bar(state, choices, shell.projects, keys),
        strip=tiles(sums, sums, by_slot(usage, len(starts)), STRIP),
        rows=rows,
        attempts=chips,
        key_names={key.id: key.name for key in keys},
        next_before=str(rows[-1].request_id) if has_more else None,
        is_first_page=before is None,
    )


@get("/console/requests/{request_id:str}")
async def one_request(
    request: AnyRequest, services: Services, session: Session, request_id: FromPath[str]
) -> Response[str]:
    """Everything that was kept of one request, and why it went where it went."""
    wanted = uuid_or_none(request_id)
    if wanted is None:
        raise NotFoundException
    tenant_id = session.tenant_id
    async with services.database.tenant(tenant_id) as database_session:
        stored = await find_request(database_session, tenant_id, wanted)
        if stored is None:
            raise NotFoundException
        facts, attempts = RequestFacts.of(stored), AttemptFacts.all_of(stored)
        shell = await tenant_shell(request, services, session, database_session, title="Request")
        prices = await repository.prices_of(database_session, attempts)
        names = {
            kind: await queries.name_of(database_session, tenant_id, kind, wanted_id)
            for kind, wanted_id in (("project", facts.project_id), ("api_key", facts.api_key_id))
        }
        credentials = await queries.credential_names(database_session, tenant_id)
    decision = read_decision(facts.decision)
    return page(
        request,
        "request.html",
        shell=shell,
        facts=facts,
        attempts=attempts,
        decision=decision,
        candidates=candidate_views(decision, attempts) if decision else (),
        needs=needs_of(decision.request) if decision and decision.request else (),
        steps=waterfall(facts, attempts),
        costs=attempt_costs(attempts, prices),
        names=names,
        credentials=credentials,
        zone=shell.within.zone,
    )
