"""The SQL of the audit trail."""

from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.models import AuditEventRow


async def insert_event(session: AsyncSession, tenant_id: UUID, event_id: UUID, payload: bytes) -> None:
    """Add an event; a trigger marks it as not linked yet."""
    await session.execute(insert(AuditEventRow).values(tenant_id=tenant_id, audit_event_id=event_id, payload=payload))
