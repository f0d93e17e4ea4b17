"""The SQL of the snapshot: what the request path caches, read by the role `signalbox_snapshot`."""

from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import Row, Text, and_, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.crypto import WrappedKey
from tenants.models import APIKeyRow, ChangeRow, CredentialRow, PolicyRow, ProjectRow, TenantKeyRow, TenantRow
from tenants.principal import PLATFORM_TENANT_ID


async def select_changes(session: AsyncSession, since: datetime | None) -> tuple[datetime, dict[UUID, datetime]]:
    """The database's time, and when each tenant that changed since last did. With no start: the time alone."""
    now: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    if since is None:
        return now, {}
    statement = select(ChangeRow.tenant_id, ChangeRow.changed_at).where(ChangeRow.changed_at > since)
    return now, {row.tenant_id: row.changed_at for row in await session.execute(statement)}


async def ping(connection: asyncpg.Connection, *, timeout_s: float) -> None:
    """Use a listener's connection, to learn whether it is still there."""
    await connection.execute("SELECT 1", timeout=timeout_s)


async def find_key(
    session: AsyncSession, key_hash: bytes
) -> Row[UUID, UUID, UUID, str, bytes, list[str], datetime | None, datetime | None, str, str, str] | None:
    """The key with this hash, with its project's name and its tenant's name and status."""
    statement = (
        select(
            APIKeyRow.tenant_id,
            APIKeyRow.api_key_id,
            APIKeyRow.project_id,
            APIKeyRow.name,
            APIKeyRow.key_hash,
            APIKeyRow.scopes,
            APIKeyRow.expires_at,
            APIKeyRow.revoked_at,
            ProjectRow.name.label("project_name"),
            TenantRow.name.label("tenant_name"),
            TenantRow.status.label("tenant_status"),
        )
        .join(
            ProjectRow,
            and_(ProjectRow.tenant_id == APIKeyRow.tenant_id, ProjectRow.project_id == APIKeyRow.project_id),
        )
        .join(TenantRow, TenantRow.tenant_id == APIKeyRow.tenant_id)
        .where(APIKeyRow.key_hash == key_hash)
        .limit(1)
    )
    return (await session.execute(statement)).one_or_none()


async def select_credentials(
    session: AsyncSession, tenant_id: UUID
) -> list[Row[UUID, str, str, str | None, bytes, int, object]]:
    """The tenant's credentials that are not disabled, oldest first."""
    statement = (
        select(
            CredentialRow.credential_id,
            CredentialRow.provider_name,
            CredentialRow.name,
            CredentialRow.base_url,
            CredentialRow.secret,
            CredentialRow.weight,
            CredentialRow.contract,
        )
        .where(CredentialRow.tenant_id == tenant_id, CredentialRow.disabled_at.is_(None))
        .order_by(CredentialRow.created_at, CredentialRow.credential_id)
    )
    return list((await session.execute(statement)).all())


async def select_tenant_keys(session: AsyncSession, tenant_id: UUID) -> list[WrappedKey]:
    """All versions of the tenant's key."""
    statement = select(
        TenantKeyRow.tenant_id, TenantKeyRow.version, TenantKeyRow.wrapped, TenantKeyRow.master_key_id
    ).where(TenantKeyRow.tenant_id == tenant_id)
    return [_wrapped(row) for row in await session.execute(statement)]


async def find_any_tenant_key(session: AsyncSession) -> WrappedKey | None:
    """The platform's newest key, or another tenant's; None in a database without tenants."""
    statement = (
        select(TenantKeyRow.tenant_id, TenantKeyRow.version, TenantKeyRow.wrapped, TenantKeyRow.master_key_id)
        .order_by((TenantKeyRow.tenant_id == PLATFORM_TENANT_ID).desc(), TenantKeyRow.version.desc())
        .limit(1)
    )
    row = (await session.execute(statement)).one_or_none()
    return _wrapped(row) if row else None


async def select_policy_names(session: AsyncSession, tenant_id: UUID) -> tuple[str, ...]:
    """The names of the tenant's active policies, sorted."""
    statement = (
        select(PolicyRow.name).where(PolicyRow.tenant_id == tenant_id, PolicyRow.is_active).order_by(PolicyRow.name)
    )
    return tuple((await session.execute(statement)).scalars())


async def find_policy(session: AsyncSession, tenant_id: UUID, name: str) -> tuple[int, str] | None:
    """Version and document of the tenant's active policy of this name."""
    statement = select(PolicyRow.version, cast(PolicyRow.document, Text)).where(
        PolicyRow.tenant_id == tenant_id, PolicyRow.name == name, PolicyRow.is_active
    )
    row = (await session.execute(statement)).one_or_none()
    return (row[0], row[1]) if row else None


def _wrapped(row: Row[UUID, int, bytes, str]) -> WrappedKey:
    return WrappedKey(tenant_id=row[0], version=row[1], wrapped=row[2], master_key_id=row[3])
