"""What every page of a signed-in member shares: who is signed in, the range, the project, the way around.

Called by the pages. Invariant: the state of a page is its URL; the shell only carries it from link to link.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from dashboard import queries
from dashboard.access import TENANT_DOOR, Door, form_token
from dashboard.ranges import PRESETS, TimeRange, parse_range, zone_of
from dashboard.rows import Named, TenantFacts
from tenants import ConsoleSession


@dataclass(frozen=True, slots=True)
class NavItem:
    """A link of the navigation; `key` goes there after `g`."""

    name: str
    label: str
    path: str
    key: str


TENANT_NAV: Final = (
    NavItem("overview", "Overview", "/console", "o"),
    NavItem("quality", "Routing & quality", "/console/quality", "q"),
    NavItem("requests", "Requests", "/console/requests", "r"),
)
STAFF_NAV: Final = (NavItem("tenants", "Tenants", "/operator", "o"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """The frame around a page."""

    door: Door
    title: str
    active: str
    nav: tuple[NavItem, ...]
    session: ConsoleSession
    form_token: str
    within: TimeRange
    path: str
    query: dict[str, str]  # range and filters, without the page of a list
    tenant: TenantFacts | None = None
    projects: tuple[Named, ...] = ()
    project_id: UUID | None = None

    @property
    def scope(self) -> dict[str, str]:
        """What goes along to other pages: the range and the project."""
        project = {"project": str(self.project_id)} if self.project_id else {}
        return {**self.within.query, **project}

    @property
    def presets(self) -> tuple[tuple[str, str], ...]:
        """The ranges to choose from, as (name, label)."""
        return tuple((name, preset[0]) for name, preset in PRESETS.items())


async def tenant_shell(
    database_session: AsyncSession,
    session: ConsoleSession,
    query: Mapping[str, str],
    *,
    active: str,
    title: str,
    path: str,
    now: datetime,
) -> Shell:
    """The frame of a tenant page."""
    tenant = await queries.tenant_facts(database_session, session.tenant_id)
    within = parse_range(query, now=now, zone=zone_of(tenant.time_zone))
    project_id = uuid_or_none(query.get("project"))
    projects = await queries.projects(database_session, session.tenant_id)
    return Shell(
        door=TENANT_DOOR,
        title=title,
        active=active,
        nav=TENANT_NAV,
        session=session,
        form_token=form_token(session.csrf_token),
        within=within,
        path=path,
        query={**within.query, **({"project": str(project_id)} if project_id else {})},
        tenant=tenant,
        projects=projects,
        project_id=project_id,
    )


def uuid_or_none(text: str | None) -> UUID | None:
    """An id of the URL; None when it is none."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
