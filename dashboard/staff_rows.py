"""What the operator's pages read: a choice of tenants and their sums, as rows of the database.

Filled by `dashboard.staff_repository`. Invariant: a filter that makes no sense is the whole list, never an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

SEARCH_CHARACTERS_MAX: Final = 120
DEFAULT_SORT: Final = "billed"
# By name in the URL: the heading that sorts. Names go upwards, amounts downwards.
SORTS: Final[Mapping[str, str]] = {
    "name": "Tenant",
    "billed": "Billed",
    "cost": "Provider cost",
    "margin": "Margin",
    "margin_share": "Margin %",
    "requests": "Requests",
    "errors": "Errors",
}
SEGMENTS: Final[Mapping[str, str]] = {
    "": "All", "active": "Active", "suspended": "Suspended", "loss": "Below cost",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFilter:
    """Which tenants a list holds; `after` is the sort value and the id of the last line of the page above."""

    search: str = ""
    segment: str = ""
    sort: str = DEFAULT_SORT
    after: tuple[str | int, UUID] | None = None
    tenant_ids: tuple[UUID, ...] | None = None

    @property
    def query(self) -> dict[str, str]:
        """The parameters that lead back to this choice, without its place in the list."""
        sort = "" if self.sort == DEFAULT_SORT else self.sort
        return {name: value for name, value in (("q", self.search), ("segment", self.segment), ("sort", sort)) if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantTotals:
    """All tenants of a choice together."""

    tenant_count: int = 0
    request_count: int = 0
    failed_count: int = 0
    billed_nano_usd: int = 0
    platform_cost_nano_usd: int = 0

    @property
    def margin_nano_usd(self) -> int:
        """What is left of the billed amount after what providers charge the platform."""
        return self.billed_nano_usd - self.platform_cost_nano_usd


def parse_filter(query: Mapping[str, str]) -> TenantFilter:
    """Read `q`, `segment`, `sort` and `after`."""
    sort = query.get("sort", DEFAULT_SORT)
    sort = sort if sort in SORTS else DEFAULT_SORT
    segment = query.get("segment", "")
    return TenantFilter(
        search=search_of(query),
        segment=segment if segment in SEGMENTS else "",
        sort=sort,
        after=_cursor(query.get("after", ""), sort),
    )


def search_of(query: Mapping[str, str]) -> str:
    """What is searched for: `q`, without what nobody can type."""
    return "".join(filter(str.isprintable, query.get("q", ""))).strip()[:SEARCH_CHARACTERS_MAX]


def cursor_text(after: tuple[str | int, UUID]) -> str:
    """A place in the list as the URL carries it."""
    return f"{after[1]}~{after[0]}"


def _cursor(text: str, sort: str) -> tuple[str | int, UUID] | None:
    tenant_id, _, value = text.partition("~")
    try:
        number = int(value) if sort != "name" else 0
        return (value if sort == "name" else max(-(2**63), min(number, 2**63 - 1)), UUID(tenant_id))
    except ValueError:
        return None
