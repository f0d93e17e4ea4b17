"""The SQL of routing policies as stored."""

from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Row, Text, cast, func, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.errors import FieldInvalid, LimitReached, VersionOutdated
from tenants.models import PolicyRow

# PostgreSQL's class 22, "data exception", and 54, "limit exceeded": JSON that jsonb cannot hold, such as \u0000.
JSONB_REFUSES = ("22", "54")

# Name, version, document, who published it and when.
ActivePolicy: TypeAlias = Row[str, int, str, str, datetime]


async def insert_version(
    session: AsyncSession,
    tenant_id: UUID,
    name: str,
    document: str,
    *,
    created_by: str,
    names_max: int,
    replaces: int | None = None,
) -> tuple[int, datetime]:
    """Add the next version and make it the active one, behind `lock_tenant`; its number and time.

    Raises LimitReached, FieldInvalid, and VersionOutdated when `replaces` is not the active version.
    """
    newest = select(func.max(PolicyRow.version)).where(PolicyRow.tenant_id == tenant_id, PolicyRow.name == name)
    before = (await session.execute(newest)).scalar_one_or_none() or 0
    if replaces not in (None, before):
        raise VersionOutdated("policy", name, before)
    names = select(func.count(func.distinct(PolicyRow.name))).where(PolicyRow.tenant_id == tenant_id)
    if before == 0 and (await session.execute(names)).scalar_one() >= names_max:
        raise LimitReached("policies", names_max)
    await session.execute(
        update(PolicyRow)
        .where(PolicyRow.tenant_id == tenant_id, PolicyRow.name == name, PolicyRow.is_active)
        .values(is_active=False)
    )
    statement = (
        upsert(PolicyRow)
        .values(
            tenant_id=tenant_id,
            name=name,
            version=before + 1,
            document=cast(literal(document, Text), JSONB),
            is_active=True,
            created_by=created_by,
        )
        .returning(PolicyRow.created_at)
    )
    try:
        created_at = (await session.execute(statement)).scalar_one()
    except DBAPIError as error:
        if str(getattr(error.orig, "sqlstate", ""))[:2] in JSONB_REFUSES:
            raise FieldInvalid(
                "document",
                "The policy's JSON holds something that cannot be stored: a \\u0000, half a surrogate pair, "
                "or a number out of range. Take it out.",
            ) from error
        raise
    return before + 1, created_at


async def select_active(
    session: AsyncSession, tenant_id: UUID, limit: int, *, name: str | None = None
) -> list[ActivePolicy]:
    """The active version of each of the tenant's policies, by name; or of the one with this name."""
    statement = (
        select(
            PolicyRow.name,
            PolicyRow.version,
            cast(PolicyRow.document, Text).label("document"),
            PolicyRow.created_by,
            PolicyRow.created_at,
        )
        .where(PolicyRow.tenant_id == tenant_id, PolicyRow.is_active)
        .order_by(PolicyRow.name)
        .limit(limit)
    )
    if name is not None:
        statement = statement.where(PolicyRow.name == name)
    return list((await session.execute(statement)).all())
