"""What every page of who is signed in shares: the way around, the scope, the time range, what just happened.

Called by the pages. Invariant: the state of a page is its URL; the shell only carries it from link to link.
"""

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from dashboard import queries
from dashboard.access import STAFF_DOOR, TENANT_DOOR, Door, form_token
from dashboard.flash import Flash, read_flash
from dashboard.navigation import Menu, PageRow, groups_of, here
from dashboard.ranges import COMPARISONS, MONTHS, PRESETS, ZONES, TimeRange, parse_range, zone_of
from dashboard.render import AnyRequest
from dashboard.rows import Named, TenantFacts
from dashboard.services import ConsoleServices
from tenants import ConsoleSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """The frame around a page. `query` is what a page's links keep: the scope, and the page's own filters."""

    door: Door
    row: PageRow
    title: str
    path: str
    groups: tuple[tuple[str, Menu], ...]
    session: ConsoleSession
    form_token: str
    within: TimeRange
    flash: Flash | None
    tenant: TenantFacts | None = None
    projects: tuple[Named, ...] = ()
    project_id: UUID | None = None
    filters: dict[str, str] = field(default_factory=dict)

    @property
    def scope(self) -> dict[str, str]:
        """What goes along to other pages: the range, its zone and comparison, and the project."""
        project = {"project": str(self.project_id)} if self.project_id else {}
        return {**self.within.query, **project}

    @property
    def query(self) -> dict[str, str]:
        """The whole state of this page, without its place in a list."""
        return {**self.scope, **self.filters}

    @property
    def project_name(self) -> str:
        """The project that is looked at."""
        return next((project.name for project in self.projects if project.id == self.project_id), "All projects")

    @property
    def presets(self) -> tuple[tuple[str, str], ...]:
        """The ranges to choose from, as (name, label)."""
        labels = {
            **{name: words[0] for name, words in PRESETS.items()},
            **{name: words[0] for name, words in MONTHS.items()},
        }
        return tuple(labels.items())

    @property
    def comparisons(self) -> tuple[tuple[str, str], ...]:
        """What a range can be compared with, as (name, label)."""
        return tuple((name.value, words[0]) for name, words in COMPARISONS.items())

    @property
    def zones(self) -> tuple[str, ...]:
        """The time zones to choose from: the tenant's, this page's, UTC and some of the world's."""
        home = self.within.home_zone or self.within.zone
        return tuple(dict.fromkeys((home.key, self.within.zone.key, "UTC", *ZONES)))


async def tenant_shell(
    request: AnyRequest,
    services: ConsoleServices,
    session: ConsoleSession,
    database_session: AsyncSession,
    *,
    title: str = "",
    filters: dict[str, str] | None = None,
) -> Shell:
    """The frame of a tenant page; its title is the row's label unless another is given."""
    tenant = await queries.tenant_facts(database_session, session.tenant_id)
    menu, row = here(request)
    return Shell(
        door=TENANT_DOOR,
        row=row,
        title=title or row.label,
        path=row.path,
        groups=groups_of(menu, session.role),
        session=session,
        form_token=form_token(session.csrf_token),
        within=parse_range(request.query_params, now=services.now(), zone=zone_of(tenant.time_zone)),
        flash=read_flash(request, services, session),
        tenant=tenant,
        projects=await queries.projects(database_session, session.tenant_id),
        project_id=uuid_or_none(request.query_params.get("project")),
        filters=filters or {},
    )


def staff_shell(
    request: AnyRequest,
    services: ConsoleServices,
    session: ConsoleSession,
    *,
    title: str = "",
    filters: dict[str, str] | None = None,
) -> Shell:
    """The frame of an operator page; staff reads in UTC unless the URL says otherwise."""
    menu, row = here(request)
    return Shell(
        door=STAFF_DOOR,
        row=row,
        title=title or row.label,
        path=row.path,
        groups=groups_of(menu, session.role),
        session=session,
        form_token=form_token(session.csrf_token),
        within=parse_range(request.query_params, now=services.now(), zone=zone_of("UTC")),
        flash=read_flash(request, services, session),
        filters=filters or {},
    )


def uuid_or_none(text: str | None) -> UUID | None:
    """An id of the URL; None when it is none."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
