"""The SQL of API keys."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.errors import LimitReached, NotFound
from tenants.models import APIKeyRow


async def insert_key(session: AsyncSession, row: APIKeyRow, *, keys_max: int) -> datetime:
    """Add a key, behind `lock_tenant`; when it was created. Raises LimitReached."""
    counted = (
        select(func.count())
        .select_from(APIKeyRow)
        .where(
            APIKeyRow.tenant_id == row.tenant_id,
            APIKeyRow.revoked_at.is_(None),
            or_(APIKeyRow.expires_at.is_(None), APIKeyRow.expires_at > func.now()),
        )
    )
    if (await session.execute(counted)).scalar_one() >= keys_max:
        raise LimitReached("API keys", keys_max)
    session.add(row)
    await session.flush()
    return row.created_at


async def select_keys(
    session: AsyncSession, tenant_id: UUID, limit: int, *, after: UUID | None = None
) -> list[APIKeyRow]:
    """The tenant's keys, newest first as their ids are, from behind the one called `after`."""
    statement = (
        select(APIKeyRow).where(APIKeyRow.tenant_id == tenant_id).order_by(APIKeyRow.api_key_id.desc()).limit(limit)
    )
    if after is not None:
        statement = statement.where(APIKeyRow.api_key_id < after)
    return list((await session.execute(statement)).scalars())


async def lock_key(session: AsyncSession, tenant_id: UUID, api_key_id: UUID) -> APIKeyRow:
    """One key of the tenant, locked against other changes. Raises NotFound."""
    statement = (
        select(APIKeyRow)
        .where(APIKeyRow.tenant_id == tenant_id, APIKeyRow.api_key_id == api_key_id)
        .with_for_update(key_share=True)
    )
    row = (await session.execute(statement)).scalar_one_or_none()
    if row is None:
        raise NotFound("API key", api_key_id)
    return row


async def update_key(
    session: AsyncSession,
    tenant_id: UUID,
    api_key_id: UUID,
    *,
    expires_at: datetime | None,
    revoked_at: datetime | None,
) -> None:
    """Set when a key stops."""
    await session.execute(
        update(APIKeyRow)
        .where(APIKeyRow.tenant_id == tenant_id, APIKeyRow.api_key_id == api_key_id)
        .values(expires_at=expires_at, revoked_at=revoked_at)
    )
