"""`/whoami`: what the presented key is and what it may do."""

from uuid import UUID

import msgspec
from litestar import Controller, get

from app.http.api.access import Caller
from tenants import KeyKind, Scope


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a key speaks for. A model key reaches its own project only."""

    tenant_id: UUID
    tenant_name: str
    project_id: UUID
    project_name: str
    api_key_id: UUID
    key_name: str
    kind: KeyKind
    scopes: tuple[Scope, ...]


class WhoAmI(Controller):
    """The caller, to itself."""

    path = "/whoami"
    tags = ("Keys",)

    @get(summary="Tell what this key is")
    async def whoami(self, caller: Caller) -> Identity:
        """The tenant, project and scopes of the presented key."""
        principal = caller.principal
        return Identity(
            tenant_id=principal.tenant_id,
            tenant_name=principal.tenant_name,
            project_id=principal.project_id,
            project_name=principal.project_name,
            api_key_id=principal.api_key_id,
            key_name=principal.key_name,
            kind=caller.kind,
            scopes=tuple(sorted(principal.scopes)),
        )
