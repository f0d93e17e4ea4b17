"""The audit trail as it is written: events with their change, then a hash chain per tenant.

`record_audit` is called by every service, in the transaction of the change; `link_audit` by a job,
each second. Invariants: no change without its event; a tenant's sequence has no gap.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from tenants import audit_repository as repository
from tenants.audit_chain import GENESIS, checkpoint_statement, link_hash, statement_hash
from tenants.crypto import Vault, public_key_id
from tenants.database import Database
from tenants.principal import Actor

BATCH_MAX: Final = 1_000
TENANTS_MAX: Final = 1_000
PAYLOAD_BYTES_MAX: Final = 1_048_576

# Facts before or after a change: plain values, and never a secret.
AuditFacts: TypeAlias = Mapping[str, str | int | bool | Sequence[str] | None]


async def record_audit(
    session: AsyncSession,
    tenant_id: UUID,
    actor: Actor,
    action: str,
    target: str,
    before: AuditFacts | None = None,
    after: AuditFacts | None = None,
) -> None:
    """Write one event into the tenant's trail, in the transaction of the change that it tells.

    `action` is `<kind>.<past tense>`, `target` is `<kind>:<id>`. The session may be the tenant's own or
    the operator's.
    """
    event_id = uuid7()
    event = {
        "id": str(event_id),
        "at": datetime.now(UTC).isoformat(timespec="microseconds"),
        "tenant_id": str(tenant_id),
        "actor": {"kind": actor.kind, "id": actor.id, "name": actor.name},
        "action": action,
        "target": target,
        "before": before,
        "after": after,
    }
    payload = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    assert len(payload) <= PAYLOAD_BYTES_MAX
    await repository.insert_event(session, tenant_id, event_id, payload)


async def link_audit(database: Database, vault: Vault) -> int:
    """Give every pending event its place in its tenant's chain; how many were linked.

    Safe with any number of workers at once: a tenant that another one is linking is left to it. Uses the
    operator's role to learn which tenants wait, and is no event itself.
    """
    async with database.across_tenants() as session:
        tenant_ids = await repository.select_pending_tenants(session, TENANTS_MAX)
    linked = 0
    for tenant_id in tenant_ids:
        linked += await link_tenant_audit(database, vault, tenant_id, waits=False)
    return linked


async def link_tenant_audit(database: Database, vault: Vault, tenant_id: UUID, *, waits: bool) -> int:
    """Link one tenant's pending events, each batch closed by a signed checkpoint; how many were linked."""
    linked = 0
    while True:
        async with database.tenant(tenant_id) as session:
            if not await repository.lock_chain(session, tenant_id, waits=waits):
                return linked
            batch = await _link_batch(session, vault, tenant_id)
        linked += batch
        if batch < BATCH_MAX:
            return linked


async def _link_batch(session: AsyncSession, vault: Vault, tenant_id: UUID) -> int:
    pending = await repository.select_pending(session, tenant_id, BATCH_MAX)
    if not pending:
        return 0
    sequence, head = await repository.find_head(session, tenant_id) or (0, GENESIS)
    links = []
    for event_id, payload in pending:
        sequence, head = sequence + 1, link_hash(head, payload)
        links.append(repository.Link(sequence=sequence, event_id=event_id, hash=head))
    await repository.insert_links(session, tenant_id, links)
    before = await repository.find_last_checkpoint(session, tenant_id)
    statement = checkpoint_statement(
        tenant_id=tenant_id,
        sequence=sequence,
        head=head,
        previous_checkpoint=statement_hash(before) if before else GENESIS,
        at=datetime.now(UTC),
    )
    await repository.insert_checkpoint(
        session,
        tenant_id,
        sequence,
        statement=statement,
        signature=vault.sign_audit(statement),
        public_key_id=public_key_id(vault.audit_public_key),
    )
    return len(links)
