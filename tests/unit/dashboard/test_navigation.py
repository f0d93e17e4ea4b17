"""The table of pages: what a row promises."""

import pytest

from dashboard.navigation import Menu, groups_of
from dashboard.pages.table import STAFF_PAGES, TENANT_PAGES
from tenants import ROLE_SCOPES, MemberRole, Scope

MENUS = pytest.mark.parametrize("menu", [TENANT_PAGES, STAFF_PAGES], ids=["tenant", "staff"])


@MENUS
def test_names_addresses_and_keys_are_of_one_page(menu: Menu) -> None:
    for field in ("name", "path", "key", "label"):
        values = [getattr(row, field) for row in menu]
        assert len(set(values)) == len(values), field
    assert all(len(row.key) == 1 for row in menu)


@MENUS
def test_a_built_row_leads_to_a_route_of_its_own(menu: Menu) -> None:
    built = [row for row in menu if row.routes]
    assert built
    for row in built:
        paths = {path for route in row.routes for path in route.paths}
        assert row.path in paths, row.name
        assert all(path == row.path or path.startswith(f"{row.path}/") for path in paths), row.name


@pytest.mark.parametrize("role", [role for role in MemberRole if role is not MemberRole.OPERATOR])
def test_a_role_is_shown_the_built_pages_of_its_scopes(role: MemberRole) -> None:
    shown = {row.name for _, rows in groups_of(TENANT_PAGES, role) for row in rows}
    assert shown == {row.name for row in TENANT_PAGES if row.routes and row.scope in ROLE_SCOPES[role]}
    assert "overview" in shown


def test_headings_stand_once() -> None:
    for menu in (TENANT_PAGES, STAFF_PAGES):
        headings = [name for name, _ in groups_of(menu, MemberRole.OPERATOR)]
        assert len(set(headings)) == len(headings)


def test_what_is_written_needs_more_than_reading() -> None:
    assert {row.name for row in TENANT_PAGES if row.scope is not Scope.USAGE_READ} == {"playground", "keys", "audit"}
