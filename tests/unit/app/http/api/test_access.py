"""Who reaches what, before anything is read."""

from uuid import UUID

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from app.http.api import ManagementServices, management_routes
from app.http.api.access import ROOT, SCOPE_BY_ROUTE, Presented
from tenants import Database, KeyKind, NotFound, Principal, Scope, Vault

OURS, OTHER = UUID(int=1), UUID(int=2)


def presented(kind: KeyKind) -> Presented:
    principal = Principal(
        tenant_id=UUID(int=9), project_id=OURS, api_key_id=UUID(int=8), tenant_name="Acme", project_name="default",
        key_name="ci", scopes=frozenset({Scope.USAGE_READ}),
    )  # fmt: skip
    return Presented(principal=principal, kind=kind)


async def nothing(_: object) -> frozenset[str]:
    return frozenset()


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    services = ManagementServices(
        database=Database(lambda role: ""),
        vault=Vault(bytes(32), "test"),
        principal=nothing,
        known_models=nothing,
        check_address=nothing,
    )  # type: ignore[arg-type]  # none of them is called
    app = Litestar([*management_routes(services)], openapi_config=None)
    routes = {
        (method, route.path_format)
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path.startswith(ROOT)
        for method in route.methods - {"OPTIONS"}
    }
    assert routes == set(SCOPE_BY_ROUTE)


def test_a_model_key_is_narrowed_to_its_project() -> None:
    caller = presented(KeyKind.MODEL)
    assert caller.project_within_reach() == OURS
    assert caller.project_within_reach(OURS) == OURS
    with pytest.raises(NotFound):
        caller.project_within_reach(OTHER)


def test_a_management_key_reaches_the_whole_tenant_or_what_it_asks_for() -> None:
    caller = presented(KeyKind.MANAGEMENT)
    assert caller.project_within_reach() is None
    assert caller.project_within_reach(OTHER) == OTHER
