"""Who is calling: the principal behind an API key, and the actor that an audit event names."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from tenants.errors import ScopeMissing

# The operator of the platform is a tenant too: its members are staff, its credentials and policies serve all.
PLATFORM_TENANT_ID: Final = UUID("00000000-0000-7000-8000-000000000000")


class Scope(StrEnum):
    """What an API key may be used for."""

    MODELS_CALL = "models:call"
    USAGE_READ = "usage:read"
    KEYS_WRITE = "keys:write"
    CREDENTIALS_WRITE = "credentials:write"
    POLICIES_WRITE = "policies:write"
    BUDGETS_WRITE = "budgets:write"
    AUDIT_READ = "audit:read"


class MemberRole(StrEnum):
    """What a member may do in the console; `operator` exists in the platform tenant only."""

    OWNER = "owner"
    ADMIN = "admin"
    BILLING = "billing"
    DEVELOPER = "developer"
    AUDITOR = "auditor"
    VIEWER = "viewer"
    OPERATOR = "operator"


# What each role may do with a key's scopes; members are added by owners and admins.
ROLE_SCOPES: Final[Mapping[MemberRole, frozenset[Scope]]] = {
    MemberRole.OWNER: frozenset(Scope),
    MemberRole.ADMIN: frozenset(Scope),
    MemberRole.BILLING: frozenset({Scope.USAGE_READ, Scope.BUDGETS_WRITE}),
    MemberRole.DEVELOPER: frozenset({Scope.MODELS_CALL, Scope.USAGE_READ, Scope.KEYS_WRITE, Scope.POLICIES_WRITE}),
    MemberRole.AUDITOR: frozenset({Scope.USAGE_READ, Scope.AUDIT_READ}),
    MemberRole.VIEWER: frozenset({Scope.USAGE_READ}),
    MemberRole.OPERATOR: frozenset(Scope),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did what an audit event tells: a member, a key, the operator, or the program itself."""

    kind: str  # 'member' | 'api_key' | 'operator' | 'system'
    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated caller of the API; everything it reaches is bounded by `tenant_id`."""

    tenant_id: UUID
    project_id: UUID
    api_key_id: UUID
    tenant_name: str
    project_name: str
    key_name: str
    scopes: frozenset[Scope]

    @property
    def actor(self) -> Actor:
        """The key, as an audit event names it."""
        return Actor(kind="api_key", id=str(self.api_key_id), name=self.key_name)

    def require(self, scope: Scope) -> None:
        """Raise ScopeMissing unless the key holds the scope."""
        if scope not in self.scopes:
            raise ScopeMissing(scope, f"the API key '{self.key_name}'")


SYSTEM: Final = Actor(kind="system", id="signalbox", name="Signalbox")
