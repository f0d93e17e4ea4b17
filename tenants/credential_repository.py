"""The SQL of provider credentials."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.errors import LimitReached, NameTaken, NotFound
from tenants.models import CredentialRow


async def insert_credential(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    credential_id: UUID,
    provider_name: str,
    name: str,
    base_url: str | None,
    secret: bytes,
    last_four: str,
    weight: int,
    created_by: str,
    credentials_max: int,
) -> CredentialRow:
    """Add a credential, behind `lock_tenant`. Raises NameTaken or LimitReached."""
    counted = (
        select(func.count())
        .select_from(CredentialRow)
        .where(CredentialRow.tenant_id == tenant_id, CredentialRow.disabled_at.is_(None))
    )
    if (await session.execute(counted)).scalar_one() >= credentials_max:
        raise LimitReached("provider credentials", credentials_max)
    statement = (
        upsert(CredentialRow)
        .values(
            tenant_id=tenant_id,
            credential_id=credential_id,
            provider_name=provider_name,
            name=name,
            base_url=base_url,
            secret=secret,
            last_four=last_four,
            weight=weight,
            created_by=created_by,
        )
        .on_conflict_do_nothing()
        .returning(CredentialRow)
    )
    row = (await session.execute(statement)).scalar_one_or_none()
    if row is None:
        raise NameTaken("provider credential", name)
    return row


async def select_credentials(
    session: AsyncSession, tenant_id: UUID, limit: int, *, after: UUID | None = None
) -> list[CredentialRow]:
    """The tenant's credentials with those that are disabled, oldest first as their ids are, from behind `after`."""
    statement = (
        select(CredentialRow)
        .where(CredentialRow.tenant_id == tenant_id)
        .order_by(CredentialRow.credential_id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(CredentialRow.credential_id > after)
    return list((await session.execute(statement)).scalars())


async def lock_credential(session: AsyncSession, tenant_id: UUID, credential_id: UUID) -> CredentialRow:
    """One credential of the tenant, locked against other changes. Raises NotFound."""
    statement = (
        select(CredentialRow)
        .where(CredentialRow.tenant_id == tenant_id, CredentialRow.credential_id == credential_id)
        .with_for_update(key_share=True)
    )
    row = (await session.execute(statement)).scalar_one_or_none()
    if row is None:
        raise NotFound("provider credential", credential_id)
    return row


async def disable_credential(
    session: AsyncSession, tenant_id: UUID, credential_id: UUID, *, name: str, disabled_at: datetime
) -> None:
    """Mark a credential as no longer used, and rename it so that its name is free again."""
    await session.execute(
        update(CredentialRow)
        .where(CredentialRow.tenant_id == tenant_id, CredentialRow.credential_id == credential_id)
        .values(name=name, disabled_at=disabled_at)
    )


async def set_contract(session: AsyncSession, tenant_id: UUID, credential_id: UUID, contract: object) -> None:
    """Store what is declared for a credential; None for nothing."""
    await session.execute(
        update(CredentialRow)
        .where(CredentialRow.tenant_id == tenant_id, CredentialRow.credential_id == credential_id)
        .values(contract=contract)
    )
