"""The plan and the statement of a month: what the plan allows, what was used by model, and the same as CSV.

Routed by `dashboard.routes`. Invariant: page, total and CSV are folds of the same rollups of one transaction, over
the month that is printed beside them, in the tenant's time zone.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Response, get
from sqlalchemy.ext.asyncio import AsyncSession

from billing import UsageDimension, UsageRow, find_plan_of, usage
from dashboard import formats
from dashboard.pages.shell import tenant_shell, uuid_or_none
from dashboard.queries import tenant_facts
from dashboard.ranges import zone_of
from dashboard.render import PAGE_HEADERS, AnyRequest, page
from dashboard.services import Services, Session

GROUPS: Final = (UsageDimension.PROVIDER, UsageDimension.MODEL)
COUNTED: Final = (
    "request_count", "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
    "unpriced_count",
)  # fmt: skip
AMOUNTS: Final = ("billed_nano_usd", "own_credential_cost_nano_usd")
FEATURE_WORDS: Final = {
    "own_credentials": "own provider credentials", "audit_export": "signed audit export",
    "custom_policies": "own routing policies", "sso": "single sign-on", "support_sla": "support with agreed times",
}  # fmt: skip
MONTHS_BACK: Final = 13


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month in a zone; `until` is its end or, while it runs, the present."""

    name: str  # YYYY-MM
    since: datetime
    until: datetime
    is_open: bool


@get("/console/plan")
async def plan(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """What the plan allows, and the statement of a month."""
    async with services.database.tenant(session.tenant_id) as database_session:
        shell = await tenant_shell(request, services, session, database_session)
        zone = zone_of(shell.tenant.time_zone if shell.tenant else "UTC")
        months = months_until(services.now(), zone)
        month = _chosen(months, request)
        rows = await _statement(database_session, session.tenant_id, month, shell.project_id)
        held = await find_plan_of(database_session, session.tenant_id)
    return page(
        request,
        "plan.html",
        shell=shell,
        plan=held,
        feature_words=FEATURE_WORDS,
        month=month,
        months=months,
        zone=zone,
        rows=rows,
        total={name: sum(getattr(row, name) for row in rows) for name in (*COUNTED, *AMOUNTS)},
    )


@get("/console/plan/statement.csv", media_type="text/csv")
async def statement_csv(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """The statement of a month as CSV, to the nano-dollar."""
    async with services.database.tenant(session.tenant_id) as database_session:
        facts = await tenant_facts(database_session, session.tenant_id)
        month = _chosen(months_until(services.now(), zone_of(facts.time_zone)), request)
        project_id = uuid_or_none(request.query_params.get("project"))
        rows = await _statement(database_session, session.tenant_id, month, project_id)
    headers = {**PAGE_HEADERS, "content-disposition": f'attachment; filename="usage-{month.name}.csv"'}
    return Response(_csv(rows, month), headers=headers, media_type="text/csv; charset=utf-8")


def months_until(now: datetime, zone: ZoneInfo) -> tuple[Month, ...]:
    """The running month and those before it, newest first."""
    local = now.astimezone(zone)
    starts = [datetime(*_counted_back(local.year, local.month - back), 1, tzinfo=zone) for back in range(MONTHS_BACK)]
    ends = [now, *starts]
    return tuple(
        Month(f"{start:%Y-%m}", start, end, is_open=place == 0)
        for place, (start, end) in enumerate(zip(starts, ends, strict=False))
    )


def _chosen(months: Sequence[Month], request: AnyRequest) -> Month:
    wanted = request.query_params.get("month")
    return next((month for month in months if month.name == wanted), months[0])


def _counted_back(year: int, month: int) -> tuple[int, int]:
    """A year and a month that was counted down below January."""
    years, month = divmod(month - 1, 12)
    return year + years, month + 1


async def _statement(
    session: AsyncSession, tenant_id: UUID, month: Month, project_id: UUID | None
) -> tuple[UsageRow, ...]:
    rows = await usage(session, tenant_id, GROUPS, month.since, month.until, project_id=project_id)
    return tuple(sorted(rows, key=lambda row: (-row.billed_nano_usd, row.group)))


def _csv(rows: Sequence[UsageRow], month: Month) -> str:
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\r\n")
    lines.writerow(["month", "provider_name", "model", *COUNTED, *(name.replace("_nano", "") for name in AMOUNTS)])
    for row in rows:
        counts = [getattr(row, name) for name in COUNTED]
        amounts = [formats.plain_usd(getattr(row, name)) for name in AMOUNTS]
        lines.writerow([month.name, *map(_inert, row.group), *counts, *amounts])
    return written.getvalue()


def _inert(text: str) -> str:
    # A spreadsheet would run a cell that begins like this.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
