"""Who reaches what, before anything is read."""

from uuid import UUID

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from app.http.api import ManagementServices, management_routes
from app.http.api.access import FEATURE_BY_ROUTE, ROOT, SCOPE_BY_ROUTE, Presented
from app.http.api.once import SHOWS_SECRET
from billing import IdempotencyKeys
from tenants import Database, KeyKind, NotFound, Principal, Scope, Vault

OURS, OTHER = UUID(int=1), UUID(int=2)
# What an answer's field is called that holds a secret.
SECRET_FIELDS = {"api_key", "secret", "signing_secret", "password", "token"}


def presented(kind: KeyKind) -> Presented:
    principal = Principal(
        tenant_id=UUID(int=9), project_id=OURS, api_key_id=UUID(int=8), tenant_name="Acme", project_name="default",
        key_name="ci", scopes=frozenset({Scope.USAGE_READ}),
    )  # fmt: skip
    return Presented(principal=principal, kind=kind)


async def nothing(_: object) -> frozenset[str]:
    return frozenset()


@pytest.fixture
def routes() -> list[HTTPRoute]:
    services = ManagementServices(
        database=Database(lambda role: ""),
        vault=Vault(bytes(32), "test"),
        principal=nothing,
        admit=nothing,
        require_feature=nothing,
        known_models=nothing,
        quality=nothing,
        check_address=nothing,
        idempotency_keys=IdempotencyKeys(Database(lambda role: ""), running_s_max=1),
    )  # type: ignore[arg-type]  # none of them is called
    app = Litestar([*management_routes(services)], openapi_config=None)
    return [route for route in app.routes if isinstance(route, HTTPRoute) and route.path.startswith(ROOT)]


def test_every_route_has_a_row_and_every_row_a_route(routes: list[HTTPRoute]) -> None:
    doors = {(method, route.path_format) for route in routes for method in route.methods - {"OPTIONS"}}
    assert doors == set(SCOPE_BY_ROUTE)
    assert set(FEATURE_BY_ROUTE) <= doors


def test_a_route_that_answers_with_a_secret_says_so(routes: list[HTTPRoute]) -> None:
    makers = [each for route in routes for each in route.route_handlers if "POST" in each.http_methods]
    assert len(makers) > 4
    for maker in makers:
        fields = getattr(maker.parsed_fn_signature.return_type.annotation, "__struct_fields__", ())
        assert bool(SECRET_FIELDS & set(fields)) == bool(maker.opt.get(SHOWS_SECRET)), maker


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
