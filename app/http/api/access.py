"""Who may use which route of the management API: one table, and the guard that reads it.

Called by the router for every request, before its body is read. Invariant: a route without a row
answers nobody; a model key reaches its own project and nothing else.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler

from app.gateway.errors import KeyMissing
from app.http.api.services import ManagementServices
from app.http.asgi import header, headers_of
from billing import Feature
from tenants import KeyKind, KeyPrefix, NotFound, Principal, Scope

ROOT: Final = "/api/v1"
STATE_KEY: Final = "caller"

Connection = ASGIConnection[Any, Any, Any, State]
AnyRequest = Request[Any, Any, State]

# None: any key of an active tenant.
SCOPE_BY_ROUTE: Final[Mapping[tuple[str, str], Scope | None]] = {
    ("GET", f"{ROOT}/whoami"): None,
    ("GET", f"{ROOT}/usage"): Scope.USAGE_READ,
    ("GET", f"{ROOT}/requests"): Scope.USAGE_READ,
    ("GET", f"{ROOT}/requests/{{request_id}}"): Scope.USAGE_READ,
    ("GET", f"{ROOT}/projects"): Scope.USAGE_READ,
    ("POST", f"{ROOT}/projects"): Scope.KEYS_WRITE,
    ("GET", f"{ROOT}/keys"): Scope.KEYS_WRITE,
    ("POST", f"{ROOT}/keys"): Scope.KEYS_WRITE,
    ("POST", f"{ROOT}/keys/{{api_key_id}}/rotate"): Scope.KEYS_WRITE,
    ("DELETE", f"{ROOT}/keys/{{api_key_id}}"): Scope.KEYS_WRITE,
    ("GET", f"{ROOT}/credentials"): Scope.CREDENTIALS_WRITE,
    ("POST", f"{ROOT}/credentials"): Scope.CREDENTIALS_WRITE,
    ("DELETE", f"{ROOT}/credentials/{{credential_id}}"): Scope.CREDENTIALS_WRITE,
    ("PUT", f"{ROOT}/credentials/{{credential_id}}/contract"): Scope.CREDENTIALS_WRITE,
    ("DELETE", f"{ROOT}/credentials/{{credential_id}}/contract"): Scope.CREDENTIALS_WRITE,
    ("GET", f"{ROOT}/policies"): Scope.POLICIES_WRITE,
    ("GET", f"{ROOT}/policies/{{policy_name}}"): Scope.POLICIES_WRITE,
    ("PUT", f"{ROOT}/policies/{{policy_name}}"): Scope.POLICIES_WRITE,
    ("GET", f"{ROOT}/examples"): Scope.POLICIES_WRITE,
    ("POST", f"{ROOT}/examples"): Scope.POLICIES_WRITE,
    ("DELETE", f"{ROOT}/examples/{{example_id}}"): Scope.POLICIES_WRITE,
    ("POST", f"{ROOT}/policies/{{policy_name}}/draft"): Scope.POLICIES_WRITE,
    ("GET", f"{ROOT}/budgets"): Scope.USAGE_READ,
    ("GET", f"{ROOT}/credit"): Scope.USAGE_READ,
    ("POST", f"{ROOT}/budgets"): Scope.BUDGETS_WRITE,
    ("GET", f"{ROOT}/budgets/events"): Scope.USAGE_READ,
    ("GET", f"{ROOT}/budgets/{{budget_id}}/end-users"): Scope.BUDGETS_WRITE,
    ("DELETE", f"{ROOT}/budgets/{{budget_id}}"): Scope.BUDGETS_WRITE,
    ("GET", f"{ROOT}/quality"): Scope.USAGE_READ,
    ("GET", f"{ROOT}/evaluations"): Scope.USAGE_READ,
    ("GET", f"{ROOT}/evaluations/{{evaluation_id}}"): Scope.USAGE_READ,
    # What is expected of models moves routes, as a policy does.
    ("POST", f"{ROOT}/evaluations"): Scope.POLICIES_WRITE,
    ("DELETE", f"{ROOT}/evaluations/{{evaluation_id}}"): Scope.POLICIES_WRITE,
    ("GET", f"{ROOT}/feedback"): Scope.USAGE_READ,
    ("GET", f"{ROOT}/limits"): Scope.USAGE_READ,
    ("POST", f"{ROOT}/limits"): Scope.BUDGETS_WRITE,
    ("DELETE", f"{ROOT}/limits/{{limit_id}}"): Scope.BUDGETS_WRITE,
    ("GET", f"{ROOT}/audit/export"): Scope.AUDIT_READ,
}


# What a plan unlocks. Taking away is never held back, so that nobody is locked in by a smaller plan.
FEATURE_BY_ROUTE: Final[Mapping[tuple[str, str], Feature]] = {
    ("POST", f"{ROOT}/credentials"): Feature.OWN_CREDENTIALS,
    ("PUT", f"{ROOT}/policies/{{policy_name}}"): Feature.CUSTOM_POLICIES,
    ("POST", f"{ROOT}/examples"): Feature.CUSTOM_POLICIES,
    ("GET", f"{ROOT}/audit/export"): Feature.AUDIT_EXPORT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """The caller of a route: whose key was presented, and of which kind it is."""

    principal: Principal
    kind: KeyKind

    @property
    def tenant_id(self) -> UUID:
        """The tenant, which bounds everything that the caller reaches."""
        return self.principal.tenant_id

    def project_within_reach(self, wanted: UUID | None = None) -> UUID | None:
        """The project to narrow to, None: the whole tenant. Raises NotFound for a project out of reach."""
        if self.kind is KeyKind.MANAGEMENT:
            return wanted
        if wanted not in (None, self.principal.project_id):
            raise NotFound("project", wanted)
        return self.principal.project_id

    def reaches(self, project_id: UUID | None, api_key_id: UUID | None) -> bool:
        """Tell whether what covers a project, a key or the whole tenant is the caller's to see."""
        only = self.project_within_reach()
        return only in (None, project_id) or api_key_id == self.principal.api_key_id


Caller = NamedDependency[Presented]


def only_with_key(services: ManagementServices) -> Callable[[Connection, BaseRouteHandler], Awaitable[None]]:
    """The guard of the API. Raises KeyMissing, KeyRejected, TenantSuspended, ManagementRateLimited, ScopeMissing,
    FeatureNotInPlan.
    """

    async def guard(connection: Connection, _: BaseRouteHandler) -> None:
        scheme, _mark, key = (header(headers_of(connection.scope), b"authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise KeyMissing(KeyPrefix.MANAGEMENT)
        principal = await services.principal(key.strip())
        await services.admit(principal.tenant_id)
        assert isinstance(connection, Request)
        # Which methods an address takes is the framework's own answer, and no secret to whoever holds a key.
        if connection.method != "OPTIONS":
            route = (connection.method, connection.scope["path_template"])
            scope, feature = SCOPE_BY_ROUTE[route], FEATURE_BY_ROUTE.get(route)
            if scope is not None:
                principal.require(scope)
            if feature is not None:
                await services.require_feature(principal.tenant_id, feature)
        is_management = key.strip().startswith(KeyPrefix.MANAGEMENT)
        connection.state[STATE_KEY] = Presented(
            principal=principal, kind=KeyKind.MANAGEMENT if is_management else KeyKind.MODEL
        )

    return guard


def provide_caller(request: AnyRequest) -> Presented:
    """The caller that the guard found."""
    caller: Presented = request.state[STATE_KEY]
    return caller
