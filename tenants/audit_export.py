"""The audit export: a tenant's whole trail as JSON lines that anyone can verify offline.

Called by the command line and the management API. The first line is signed and says how much must
follow; then each event in order, and each checkpoint behind the event that it speaks of.
"""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import BinaryIO, Final
from uuid import UUID

from tenants import audit_repository as repository
from tenants.audit import link_tenant_audit, record_audit
from tenants.audit_chain import checkpoint_line, event_line, export_line, export_statement
from tenants.crypto import Vault
from tenants.database import Database
from tenants.principal import Actor
from tenants.repository import find_tenant

PAGE_EVENTS: Final = 1_000


async def export_audit(database: Database, vault: Vault, actor: Actor, tenant_id: UUID, stream: BinaryIO) -> int:
    """Write the tenant's trail to a stream; the number of bytes. Raises NotFound."""
    byte_count = 0
    async for chunk in audit_lines(database, vault, actor, tenant_id):
        byte_count += stream.write(chunk)
    return byte_count


async def audit_lines(database: Database, vault: Vault, actor: Actor, tenant_id: UUID) -> AsyncGenerator[bytes, None]:
    """The export in chunks of whole lines. Its last event is the export itself. Raises NotFound.

    Events that are not linked yet are linked first. Each page is a transaction of its own, so that a
    slow reader holds nothing: what is linked does not change any more.
    """
    async with database.tenant(tenant_id) as session:
        tenant = await find_tenant(session, tenant_id)
        await record_audit(session, tenant_id, actor, "audit.exported", f"tenant:{tenant_id}")
    await link_tenant_audit(database, vault, tenant_id, waits=True)
    async with database.tenant(tenant_id) as session:
        head = await repository.find_head(session, tenant_id)
        assert head is not None
        sequence_max, head_hash = head
        checkpoint_count = await repository.count_checkpoints(session, tenant_id, sequence_max)
    statement = export_statement(
        tenant_id=tenant_id,
        tenant_name=tenant.name,
        sequence_max=sequence_max,
        checkpoint_count=checkpoint_count,
        head=head_hash,
        at=datetime.now(UTC),
    )
    yield export_line(statement, vault.sign_audit(statement), vault.audit_public_key)
    for after in range(0, sequence_max, PAGE_EVENTS):
        async with database.tenant(tenant_id) as session:
            rows = await repository.select_chain(
                session, tenant_id, after=after, sequence_max=min(after + PAGE_EVENTS, sequence_max), limit=PAGE_EVENTS
            )
        lines = []
        for row in rows:
            lines.append(event_line(row[0], row[1], row[2]))
            if row[3] is not None and row[4] is not None:
                lines.append(checkpoint_line(row[3], row[4]))
        yield b"".join(lines)
