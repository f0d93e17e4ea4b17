"""The audit log: who did what, whether the chain of it holds, and its signed export.

Routed by `dashboard.routes`. Invariant: the page says what of the chain it has checked, and no more.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

from litestar import Response, get
from litestar.response import Stream

from billing import Feature
from dashboard.audit_repository import AUDIT_PAGE_ROWS, AuditFilter, audit_kinds, audit_rows
from dashboard.pages.shell import tenant_shell, uuid_or_none
from dashboard.render import PAGE_HEADERS, AnyRequest, page
from dashboard.services import Services, Session
from tenants import Scope, audit_lines, check_audit

FILTERS: Final = ("kind", "actor", "target")
FILTER_CHARACTERS_MAX: Final = 200


@get("/console/audit")
async def audit(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """One page of events, newest first, with the state of the chain."""
    tenant_id, query = session.tenant_id, request.query_params
    state = {name: value[:FILTER_CHARACTERS_MAX] for name in FILTERS if (value := query.get(name, "").strip())}
    wanted, before = AuditFilter(**state), uuid_or_none(query.get("before"))
    async with services.database.tenant(tenant_id) as database_session:
        shell = await tenant_shell(request, services, session, database_session, filters=state)
        rows = await audit_rows(database_session, tenant_id, shell.within, wanted, before=before)
        kinds = await audit_kinds(database_session, tenant_id, shell.within)
    return page(
        request,
        "audit.html",
        shell=shell,
        wanted=wanted,
        is_filtered=bool(state),
        kinds=sorted({*kinds, wanted.kind} - {""}),
        chain=await check_audit(services.database, services.vault, tenant_id),
        rows=rows[:AUDIT_PAGE_ROWS],
        next_before=str(rows[AUDIT_PAGE_ROWS - 1].event_id) if len(rows) > AUDIT_PAGE_ROWS else None,
        is_first_page=before is None,
    )


@get("/console/audit/export", media_type="application/x-ndjson")
async def audit_export(services: Services, session: Session) -> Stream:
    """The whole trail as signed lines that `signalbox audit verify` proves offline; itself an event of it."""
    session.require(Scope.AUDIT_READ)
    await services.require_feature(session.tenant_id, Feature.AUDIT_EXPORT)
    lines = audit_lines(services.database, services.vault, session.actor, session.tenant_id)
    # Read before the answer begins, so that what goes wrong here is still a page with a status.
    first = await anext(lines)
    disposition = f'attachment; filename="audit-{session.tenant_id}.jsonl"'
    return Stream(_all(first, lines), headers={**PAGE_HEADERS, "content-disposition": disposition})


async def _all(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        yield first
        async for chunk in rest:
            yield chunk
