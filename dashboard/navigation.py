"""What a page of a console is in the navigation: a row with its address, its key and who may see it.

The rows stand in `dashboard.pages.table`; routers are built from them, and the shell lists them. Invariant:
a row is shown to whom its routes are open, and to nobody else.
"""

from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from tenants import ROLE_SCOPES, MemberRole, Scope

MENU_KEY: Final = "menu"
ROW_KEY: Final = "row"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRow:
    """A page and what hangs below it; `key` goes there after `g`, `about` is one line for the palette."""

    name: str
    label: str
    group: str
    path: str
    key: str
    about: str
    routes: tuple[HTTPRouteHandler, ...] = ()
    has_range: bool = True  # whether the time range means anything on it
    scope: Scope = Scope.USAGE_READ

    def is_open_to(self, role: MemberRole) -> bool:
        """Whether a role may see the page. A row without routes is not built, and nobody sees it."""
        return bool(self.routes) and self.scope in ROLE_SCOPES[role]


Menu = tuple[PageRow, ...]


def groups_of(menu: Menu, role: MemberRole) -> tuple[tuple[str, Menu], ...]:
    """The rows that a role sees, under their headings."""
    visible = [row for row in menu if row.is_open_to(role)]
    return tuple((name, tuple(rows)) for name, rows in groupby(visible, key=lambda row: row.group))


def here(connection: ASGIConnection[Any, Any, Any, State]) -> tuple[Menu, PageRow]:
    """The console's rows and the row of the page that is asked for."""
    menu: Menu = connection.route_handler.opt[MENU_KEY]
    row: PageRow = connection.route_handler.opt[ROW_KEY]
    return menu, row
