"""Routing policies as stored: the services that publish and list their versions.

Called by the command line, the console and the management API, after routing has compiled the document:
what a policy means is not known here. Invariant: a version is never edited; publishing adds one.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from tenants import policy_repository as repository
from tenants.audit import record_audit
from tenants.database import Database
from tenants.errors import FieldInvalid, NotFound
from tenants.fields import slug_of
from tenants.limits import POLICY_BYTES_MAX, POLICY_NAMES_MAX
from tenants.policy_repository import ActivePolicy
from tenants.principal import Actor
from tenants.repository import lock_tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPolicy:
    """The active version of a policy; `document` is JSON."""

    tenant_id: UUID
    name: str
    version: int
    document: bytes
    created_by: str
    created_at: datetime


async def publish_policy(
    database: Database, actor: Actor, tenant_id: UUID, name: str, document_json: bytes, *, replaces: int | None = None
) -> PublishedPolicy:
    """Add a version of a policy and make it the active one.

    With `replaces` only if that version is active, 0 meaning that there is none yet. Raises FieldInvalid,
    LimitReached, NotFound, VersionOutdated.
    """
    name, document = slug_of("name", name), _document(document_json)
    async with database.tenant(tenant_id) as session:
        await lock_tenant(session, tenant_id)
        version, created_at = await repository.insert_version(
            session, tenant_id, name, document, created_by=actor.name, names_max=POLICY_NAMES_MAX, replaces=replaces
        )
        await record_audit(
            session,
            tenant_id,
            actor,
            "policy.published",
            f"policy:{name}",
            before={"version": version - 1} if version > 1 else None,
            after={"version": version, "document_sha256": hashlib.sha256(document_json).hexdigest()},
        )
    return PublishedPolicy(
        tenant_id=tenant_id,
        name=name,
        version=version,
        document=document_json,
        created_by=actor.name,
        created_at=created_at,
    )


async def list_policies(database: Database, tenant_id: UUID) -> tuple[PublishedPolicy, ...]:
    """The active version of each of the tenant's policies, by name."""
    async with database.tenant(tenant_id) as session:
        rows = await repository.select_active(session, tenant_id, POLICY_NAMES_MAX)
    return tuple(_published(tenant_id, row) for row in rows)


async def find_policy(database: Database, tenant_id: UUID, name: str) -> PublishedPolicy:
    """The active version of one of the tenant's policies. Raises FieldInvalid, NotFound."""
    name = slug_of("name", name)
    async with database.tenant(tenant_id) as session:
        rows = await repository.select_active(session, tenant_id, 1, name=name)
    if not rows:
        raise NotFound("policy", name)
    return _published(tenant_id, rows[0])


def _published(tenant_id: UUID, row: ActivePolicy) -> PublishedPolicy:
    return PublishedPolicy(
        tenant_id=tenant_id,
        name=row.name,
        version=row.version,
        document=row.document.encode(),
        created_by=row.created_by,
        created_at=row.created_at,
    )


def _document(document_json: bytes) -> str:
    if len(document_json) > POLICY_BYTES_MAX:
        raise FieldInvalid(
            "document",
            f"The policy has {len(document_json):,} bytes and may have {POLICY_BYTES_MAX:,}. "
            "Split it into several policies.",
        )
    try:
        msgspec.json.decode(document_json, type=dict[str, msgspec.Raw])
        document = document_json.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FieldInvalid(
            "document", f"The policy is not a JSON object: {error}. Correct it and try again."
        ) from error
    return document
