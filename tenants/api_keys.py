"""API keys: the services that create, list, revoke and rotate them.

Called by the command line, the console and the management API. Invariants: the key itself is returned
once and never stored; each change writes one audit event in its own transaction.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from tenants import key_repository
from tenants.audit import AuditFacts, record_audit
from tenants.crypto import Vault
from tenants.database import Database
from tenants.errors import FieldInvalid, ScopeMissing
from tenants.fields import choice_of, future_of, name_of
from tenants.key_text import KeyKind, KeyPrefix, new_key_text
from tenants.limits import API_KEYS_MAX, LISTED_MAX
from tenants.models import APIKeyRow
from tenants.principal import Actor, Scope
from tenants.repository import find_project_id, lock_tenant

OVERLAP_S_MAX: Final = 30 * 86_400
OVERLAP_S: Final = 86_400

# A leaked management key must not spend money on models, nor a model key change the tenant.
SCOPES_OF_KIND: Final[Mapping[KeyKind, frozenset[Scope]]] = {
    KeyKind.MODEL: frozenset({Scope.MODELS_CALL, Scope.USAGE_READ}),
    KeyKind.MANAGEMENT: frozenset(Scope) - {Scope.MODELS_CALL},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class APIKey:
    """A key as it can be shown: everything but the key."""

    tenant_id: UUID
    api_key_id: UUID
    project_id: UUID
    name: str
    kind: KeyKind
    prefix: str
    last_four: str
    scopes: frozenset[Scope]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def is_live(self, now: datetime) -> bool:
        """Whether the key is accepted at this moment, as far as the key itself says."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedKey:
    """A new key; `secret` is the whole key, and this is the only time it is seen."""

    key: APIKey
    secret: str = field(repr=False)


async def create_key(
    database: Database,
    vault: Vault,
    actor: Actor,
    tenant_id: UUID,
    *,
    name: str,
    project_id: UUID | None = None,
    prefix: KeyPrefix = KeyPrefix.LIVE,
    scopes: Collection[Scope] | None = None,
    held: frozenset[Scope] = frozenset(Scope),
    expires_at: datetime | None = None,
) -> CreatedKey:
    """Create a key in a project, by default the tenant's first, with all scopes of its kind unless named.

    `held` are the scopes of who asks: nobody hands out more, but for calling models. Raises FieldInvalid,
    NotFound (tenant or project), LimitReached, ScopeMissing.
    """
    name, scope_set = name_of("name", name), _scopes(prefix, scopes, held)
    if expires_at is not None:
        expires_at = future_of("expires_at", expires_at)
    async with database.tenant(tenant_id) as session:
        await lock_tenant(session, tenant_id)
        project_id = await find_project_id(session, tenant_id, project_id)
        row, secret = _new_row(vault, actor, tenant_id, project_id, name, prefix, scope_set, expires_at)
        await key_repository.insert_key(session, row, keys_max=API_KEYS_MAX)
        key = _key(row)
        await record_audit(session, tenant_id, actor, "api_key.created", f"api_key:{key.api_key_id}", after=_facts(key))
    return CreatedKey(key=key, secret=secret)


async def list_keys(
    database: Database, tenant_id: UUID, *, after: UUID | None = None, limit: int = LISTED_MAX
) -> tuple[APIKey, ...]:
    """The tenant's keys, newest first, with those that were revoked; those behind `after` when it is given."""
    async with database.tenant(tenant_id) as session:
        rows = await key_repository.select_keys(session, tenant_id, min(limit, LISTED_MAX), after=after)
    return tuple(_key(row) for row in rows)


async def revoke_key(database: Database, actor: Actor, tenant_id: UUID, api_key_id: UUID) -> None:
    """Stop a key everywhere, within a second. Raises NotFound. Revoking again changes nothing."""
    async with database.tenant(tenant_id) as session:
        before = _key(await key_repository.lock_key(session, tenant_id, api_key_id))
        if before.revoked_at is not None:
            return
        revoked_at = datetime.now(UTC)
        await key_repository.update_key(
            session, tenant_id, api_key_id, expires_at=before.expires_at, revoked_at=revoked_at
        )
        await record_audit(
            session,
            tenant_id,
            actor,
            "api_key.revoked",
            f"api_key:{api_key_id}",
            before=_facts(before),
            after={"revoked_at": revoked_at.isoformat()},
        )


async def rotate_key(
    database: Database,
    vault: Vault,
    actor: Actor,
    tenant_id: UUID,
    api_key_id: UUID,
    *,
    overlap_s: int = OVERLAP_S,
    held: frozenset[Scope] = frozenset(Scope),
) -> CreatedKey:
    """Create a key like this one, and let this one expire after the overlap.

    The new key lives as long as the old one was meant to; `held` is as in `create_key`. Raises FieldInvalid,
    NotFound, LimitReached, ScopeMissing.
    """
    if not 0 <= overlap_s <= OVERLAP_S_MAX:
        raise FieldInvalid(
            "overlap_s",
            f"overlap_s is {overlap_s}; give 0 to {OVERLAP_S_MAX} seconds ({OVERLAP_S_MAX // 86_400} days).",
        )
    now = datetime.now(UTC)
    async with database.tenant(tenant_id) as session:
        await lock_tenant(session, tenant_id)
        before = _key(await key_repository.lock_key(session, tenant_id, api_key_id))
        _refuse_beyond(before.scopes, held)
        if not before.is_live(now):
            raise FieldInvalid(
                "api_key_id",
                f"The key '{before.name}' is revoked or expired, so there is nothing to rotate. Create a new one.",
            )
        stops_at = min(now + timedelta(seconds=overlap_s), before.expires_at or datetime.max.replace(tzinfo=UTC))
        await key_repository.update_key(session, tenant_id, api_key_id, expires_at=stops_at, revoked_at=None)
        expires_at = now + (before.expires_at - before.created_at) if before.expires_at else None
        row, secret = _new_row(
            vault, actor, tenant_id, before.project_id, before.name, KeyPrefix(before.prefix), before.scopes, expires_at
        )
        await key_repository.insert_key(session, row, keys_max=API_KEYS_MAX)
        key = _key(row)
        await record_audit(
            session,
            tenant_id,
            actor,
            "api_key.rotated",
            f"api_key:{api_key_id}",
            before=_facts(before),
            after={**_facts(key), "old_key_expires_at": stops_at.isoformat()},
        )
    return CreatedKey(key=key, secret=secret)


def _scopes(prefix: KeyPrefix, scopes: Collection[Scope] | None, held: frozenset[Scope]) -> frozenset[Scope]:
    allowed = SCOPES_OF_KIND[prefix.kind]
    if scopes is None:
        return allowed & (held | {Scope.MODELS_CALL})
    if not scopes:
        raise FieldInvalid("scopes", f"scopes is empty; name at least one of: {', '.join(sorted(allowed))}.")
    chosen = frozenset(choice_of("scopes", scope, sorted(allowed)) for scope in scopes)
    _refuse_beyond(chosen, held)
    return chosen


def _refuse_beyond(scopes: frozenset[Scope], held: frozenset[Scope]) -> None:
    for scope in sorted(scopes - held - {Scope.MODELS_CALL}):
        raise ScopeMissing(scope)


def _new_row(
    vault: Vault,
    actor: Actor,
    tenant_id: UUID,
    project_id: UUID,
    name: str,
    prefix: KeyPrefix,
    scopes: frozenset[Scope],
    expires_at: datetime | None,
) -> tuple[APIKeyRow, str]:
    secret = new_key_text(prefix)
    row = APIKeyRow(
        tenant_id=tenant_id,
        api_key_id=uuid7(),
        project_id=project_id,
        name=name,
        kind=prefix.kind,
        prefix=prefix,
        last_four=secret[-4:],
        key_hash=vault.api_key_hash(secret),
        scopes=sorted(scopes),
        created_by=actor.name,
        created_at=datetime.now(UTC),
        expires_at=expires_at,
        revoked_at=None,
    )
    return row, secret


def _key(row: APIKeyRow) -> APIKey:
    return APIKey(
        tenant_id=row.tenant_id,
        api_key_id=row.api_key_id,
        project_id=row.project_id,
        name=row.name,
        kind=KeyKind(row.kind),
        prefix=row.prefix,
        last_four=row.last_four,
        scopes=frozenset(map(Scope, row.scopes)),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


def _facts(key: APIKey) -> AuditFacts:
    return {
        "api_key_id": str(key.api_key_id),
        "project_id": str(key.project_id),
        "name": key.name,
        "kind": key.kind,
        "prefix": key.prefix,
        "last_four": key.last_four,
        "scopes": sorted(key.scopes),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
    }
