"""The audit trail as it is written: events with their change, then a hash chain per tenant.

`record_audit` is called by every service, in the transaction of the change; `link_audit` by a job,
each second. Invariants: no change without its event; a tenant's sequence has no gap.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from tenants import audit_repository as repository
from tenants.principal import Actor

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
    await repository.insert_event(session, tenant_id, event_id, payload)
