"""The SQL of the audit trail."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Row, and_, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.models import AuditCheckpointRow, AuditEventRow, AuditLinkRow, AuditPendingRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An event's place in the chain."""

    sequence: int
    event_id: UUID
    hash: bytes


async def insert_event(session: AsyncSession, tenant_id: UUID, event_id: UUID, payload: bytes) -> None:
    """Add an event; a trigger marks it as pending."""
    await session.execute(insert(AuditEventRow).values(tenant_id=tenant_id, audit_event_id=event_id, payload=payload))


async def select_pending_tenants(session: AsyncSession, limit: int) -> list[UUID]:
    """Tenants with events that are not linked; across tenants."""
    statement = select(AuditPendingRow.tenant_id).distinct().limit(limit)
    return list((await session.execute(statement)).scalars())


async def lock_chain(session: AsyncSession, tenant_id: UUID, *, waits: bool) -> bool:
    """Let one transaction at a time append to the tenant's chain; without waiting, whether it is ours."""
    key = func.hashtextextended(f"audit|{tenant_id}", 0)
    if waits:
        await session.execute(select(func.pg_advisory_xact_lock(key)))
        return True
    return (await session.execute(select(func.pg_try_advisory_xact_lock(key)))).scalar_one() is True


async def find_head(session: AsyncSession, tenant_id: UUID) -> tuple[int, bytes] | None:
    """Sequence and hash of the newest link."""
    statement = (
        select(AuditLinkRow.sequence, AuditLinkRow.hash)
        .where(AuditLinkRow.tenant_id == tenant_id)
        .order_by(AuditLinkRow.sequence.desc())
        .limit(1)
    )
    row = (await session.execute(statement)).one_or_none()
    return (row[0], row[1]) if row else None


async def find_last_checkpoint(session: AsyncSession, tenant_id: UUID) -> bytes | None:
    """The statement of the newest checkpoint."""
    statement = (
        select(AuditCheckpointRow.statement)
        .where(AuditCheckpointRow.tenant_id == tenant_id)
        .order_by(AuditCheckpointRow.sequence.desc())
        .limit(1)
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def select_pending(session: AsyncSession, tenant_id: UUID, limit: int) -> list[tuple[UUID, bytes]]:
    """Events that are not linked, by their id, which is by their time."""
    statement = (
        select(AuditEventRow.audit_event_id, AuditEventRow.payload)
        .join(
            AuditPendingRow,
            and_(
                AuditPendingRow.tenant_id == AuditEventRow.tenant_id,
                AuditPendingRow.audit_event_id == AuditEventRow.audit_event_id,
            ),
        )
        .where(AuditPendingRow.tenant_id == tenant_id)
        .order_by(AuditPendingRow.audit_event_id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in await session.execute(statement)]


async def insert_links(session: AsyncSession, tenant_id: UUID, links: Sequence[Link]) -> None:
    """Append to the chain; a trigger ends the events' wait."""
    await session.execute(
        insert(AuditLinkRow),
        [
            {"tenant_id": tenant_id, "sequence": link.sequence, "audit_event_id": link.event_id, "hash": link.hash}
            for link in links
        ],
    )


async def insert_checkpoint(
    session: AsyncSession, tenant_id: UUID, sequence: int, *, statement: bytes, signature: bytes, public_key_id: str
) -> None:
    """Add a signed statement about the chain up to a sequence."""
    await session.execute(
        insert(AuditCheckpointRow).values(
            tenant_id=tenant_id,
            sequence=sequence,
            statement=statement,
            signature=signature,
            public_key_id=public_key_id,
        )
    )


async def count_checkpoints(session: AsyncSession, tenant_id: UUID, sequence_max: int) -> int:
    """How many checkpoints speak of the chain up to a sequence."""
    statement = (
        select(func.count())
        .select_from(AuditCheckpointRow)
        .where(AuditCheckpointRow.tenant_id == tenant_id, AuditCheckpointRow.sequence <= sequence_max)
    )
    return (await session.execute(statement)).scalar_one()


async def select_chain(
    session: AsyncSession, tenant_id: UUID, *, after: int, sequence_max: int, limit: int
) -> list[Row[int, bytes, bytes, bytes | None, bytes | None]]:
    """A page of the chain: sequence, hash and payload, with statement and signature where a checkpoint stands."""
    statement = (
        select(
            AuditLinkRow.sequence,
            AuditLinkRow.hash,
            AuditEventRow.payload,
            AuditCheckpointRow.statement,
            AuditCheckpointRow.signature,
        )
        .join(
            AuditEventRow,
            and_(
                AuditEventRow.tenant_id == AuditLinkRow.tenant_id,
                AuditEventRow.audit_event_id == AuditLinkRow.audit_event_id,
            ),
        )
        .outerjoin(
            AuditCheckpointRow,
            and_(
                AuditCheckpointRow.tenant_id == AuditLinkRow.tenant_id,
                AuditCheckpointRow.sequence == AuditLinkRow.sequence,
            ),
        )
        .where(
            AuditLinkRow.tenant_id == tenant_id, AuditLinkRow.sequence > after, AuditLinkRow.sequence <= sequence_max
        )
        .order_by(AuditLinkRow.sequence)
        .limit(limit)
    )
    return list((await session.execute(statement)).all())
