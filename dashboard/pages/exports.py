"""Exports: what a page shows, as a file, over the same range and filters.

Routed by `dashboard.pages.table` beneath their pages. Invariants: the file holds the rows that page's sums are made
of; taking requests out stands in the audit trail before the first byte.
"""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Stream

from dashboard import queries
from dashboard.export_tables import REQUEST_COLUMNS, request_values, usage_columns, usage_values
from dashboard.exports import CONTENT_TYPES, Batch, ExportFormat, export_chunks
from dashboard.filters import UsageFilter, filter_state, usage_filter
from dashboard.pages.reading import read_usage
from dashboard.pages.shell import uuid_or_none
from dashboard.pages.usage import grouping_of
from dashboard.parquet import Column
from dashboard.ranges import TimeRange, parse_range, zone_of
from dashboard.render import PAGE_HEADERS, AnyRequest
from dashboard.request_repository import exported_rows
from dashboard.services import ConsoleServices, Services, Session
from tenants import ConsoleSession, record_audit


@get("/console/requests/export/{file_name:str}")
async def export_requests(
    request: AnyRequest, services: Services, session: Session, file_name: FromPath[str]
) -> Stream:
    """Every request that the filters leave; `after` an id goes on where an export was cut."""
    form = _form_of(file_name, "requests")
    wanted = usage_filter(filter_state(request.query_params))
    after = uuid_or_none(request.query_params.get("after"))
    async with services.database.tenant(session.tenant_id) as database_session:
        facts = await queries.tenant_facts(database_session, session.tenant_id)
        within = parse_range(request.query_params, now=services.now(), zone=zone_of(facts.time_zone))
        hours = await queries.busy_hours(database_session, session.tenant_id, within, wanted)
        await record_audit(
            database_session, session.tenant_id, session.actor, "requests.exported", f"range:{within.window}"
        )
    batches = _request_batches(services, session, within, wanted, after)
    return _stream(file_name, form, REQUEST_COLUMNS, batches, row_count=sum(count for _, count in hours))


@get("/console/usage/export/{file_name:str}")
async def export_usage(request: AnyRequest, services: Services, session: Session, file_name: FromPath[str]) -> Stream:
    """Usage by bar and group, as the pages of cost, usage and reliability sum it up."""
    form = _form_of(file_name, "usage")
    by = grouping_of(request.query_params.get("by"))
    wanted = usage_filter(filter_state(request.query_params))
    async with services.database.tenant(session.tenant_id) as database_session:
        facts = await queries.tenant_facts(database_session, session.tenant_id)
        within = parse_range(request.query_params, now=services.now(), zone=zone_of(facts.time_zone))
        read = await read_usage(database_session, session.tenant_id, within, wanted, by)
        projects = await queries.projects(database_session, session.tenant_id)
        keys = await queries.api_keys(database_session, session.tenant_id)
    names = {str(one.id): one.name for one in (*projects, *keys)}
    values = usage_values(within, read.drawn, by, names)
    return _stream(file_name, form, usage_columns(by), _all_at_once(values), row_count=len(values))


async def _request_batches(
    services: ConsoleServices, session: ConsoleSession, within: TimeRange, wanted: UsageFilter, after: UUID | None
) -> AsyncIterator[Batch]:
    """A transaction for each batch: a slow reader holds no connection."""
    while True:
        async with services.database.tenant(session.tenant_id) as database_session:
            rows = await exported_rows(database_session, session.tenant_id, within, wanted, after=after)
        if not rows:
            return
        yield [request_values(row) for row in rows]
        after = rows[-1].request_id


async def _all_at_once(rows: Batch) -> AsyncIterator[Batch]:
    yield rows


def _form_of(file_name: str, stem: str) -> ExportFormat:
    for form in ExportFormat:
        if file_name == f"{stem}.{form}":
            return form
    raise NotFoundException(file_name)


def _stream(
    file_name: str, form: ExportFormat, columns: Sequence[Column], batches: AsyncIterator[Batch], *, row_count: int
) -> Stream:
    headers = {
        **PAGE_HEADERS,
        "content-disposition": f'attachment; filename="{file_name}"',
        "x-signalbox-rows": str(row_count),
    }
    return Stream(export_chunks(form, columns, batches), headers=headers, media_type=CONTENT_TYPES[form])
