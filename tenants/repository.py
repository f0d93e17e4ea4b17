"""The SQL of tenants, projects, members and console sessions. Every session comes from `Database`."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.crypto import WrappedKey
from tenants.errors import LimitReached, NameTaken, NotFound
from tenants.models import ConsoleSessionRow, MemberRow, ProjectRow, TenantKeyRow, TenantRow

PLATFORM_LOCK = 0x5167_6E62


async def lock_tenant(session: AsyncSession, tenant_id: UUID) -> TenantRow:
    """Read the tenant and let its changes pass one at a time. Raises NotFound.

    Counting against a limit and numbering versions are only right behind this lock; it does not hold
    up foreign keys, so the request path is not slowed.
    """
    statement = select(TenantRow).where(TenantRow.tenant_id == tenant_id).with_for_update(key_share=True)
    row = (await session.execute(statement)).scalar_one_or_none()
    if row is None:
        raise NotFound("tenant", tenant_id)
    return row


async def find_tenant(session: AsyncSession, tenant_id: UUID) -> TenantRow:
    """Read the tenant. Raises NotFound."""
    row = (await session.execute(select(TenantRow).where(TenantRow.tenant_id == tenant_id))).scalar_one_or_none()
    if row is None:
        raise NotFound("tenant", tenant_id)
    return row


async def insert_tenant(session: AsyncSession, tenant_id: UUID, name: str, key: WrappedKey) -> None:
    """Add a tenant and its first key-encryption key."""
    await session.execute(insert(TenantRow).values(tenant_id=tenant_id, name=name))
    await session.execute(
        insert(TenantKeyRow).values(
            tenant_id=tenant_id, version=key.version, wrapped=key.wrapped, master_key_id=key.master_key_id
        )
    )


async def lock_platform(session: AsyncSession, tenant_id: UUID) -> bool:
    """Let starters that race pass one at a time; whether the platform's tenant exists."""
    await session.execute(select(func.pg_advisory_xact_lock(PLATFORM_LOCK)))
    statement = select(TenantRow.tenant_id).where(TenantRow.tenant_id == tenant_id)
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def select_tenants(session: AsyncSession, limit: int) -> list[TenantRow]:
    """Tenants, newest first; across tenants."""
    statement = select(TenantRow).order_by(TenantRow.created_at.desc(), TenantRow.tenant_id.desc()).limit(limit)
    return list((await session.execute(statement)).scalars())


async def update_tenant_status(session: AsyncSession, tenant_id: UUID, status: str) -> str:
    """Set the status and give back the one before. Raises NotFound."""
    before = (await lock_tenant(session, tenant_id)).status
    await session.execute(update(TenantRow).where(TenantRow.tenant_id == tenant_id).values(status=status))
    return before


async def newest_tenant_key(session: AsyncSession, tenant_id: UUID) -> WrappedKey:
    """The tenant's key that encrypts."""
    statement = (
        select(TenantKeyRow).where(TenantKeyRow.tenant_id == tenant_id).order_by(TenantKeyRow.version.desc()).limit(1)
    )
    row = (await session.execute(statement)).scalar_one()
    return WrappedKey(tenant_id=tenant_id, version=row.version, wrapped=row.wrapped, master_key_id=row.master_key_id)


async def insert_project(session: AsyncSession, tenant_id: UUID, project_id: UUID, name: str) -> None:
    """Add the first project of a tenant."""
    await session.execute(insert(ProjectRow).values(tenant_id=tenant_id, project_id=project_id, name=name))


async def insert_project_if_new(
    session: AsyncSession, tenant_id: UUID, project_id: UUID, name: str, *, projects_max: int
) -> datetime:
    """Add a project, behind `lock_tenant`. Raises NameTaken or LimitReached."""
    counted = select(func.count()).select_from(ProjectRow).where(ProjectRow.tenant_id == tenant_id)
    if (await session.execute(counted)).scalar_one() >= projects_max:
        raise LimitReached("projects", projects_max)
    statement = (
        upsert(ProjectRow)
        .values(tenant_id=tenant_id, project_id=project_id, name=name)
        .on_conflict_do_nothing()
        .returning(ProjectRow.created_at)
    )
    created_at = (await session.execute(statement)).scalar_one_or_none()
    if created_at is None:
        raise NameTaken("project", name)
    return created_at


async def select_projects(session: AsyncSession, tenant_id: UUID, limit: int) -> list[ProjectRow]:
    """The tenant's projects, oldest first: the first is the one that was made with the tenant."""
    statement = (
        select(ProjectRow)
        .where(ProjectRow.tenant_id == tenant_id)
        .order_by(ProjectRow.created_at, ProjectRow.project_id)
        .limit(limit)
    )
    return list((await session.execute(statement)).scalars())


async def find_project_id(session: AsyncSession, tenant_id: UUID, project_id: UUID | None) -> UUID:
    """This project of the tenant, or its first one. Raises NotFound."""
    statement = select(ProjectRow.project_id).where(ProjectRow.tenant_id == tenant_id)
    if project_id is None:
        statement = statement.order_by(ProjectRow.created_at, ProjectRow.project_id).limit(1)
    else:
        statement = statement.where(ProjectRow.project_id == project_id)
    found = (await session.execute(statement)).scalar_one_or_none()
    if found is None:
        raise NotFound("project", project_id or "default")
    return found


async def insert_member(
    session: AsyncSession, tenant_id: UUID, member_id: UUID, *, email: str, password_hash: str, role: str
) -> None:
    """Add the first member of a tenant."""
    await session.execute(
        insert(MemberRow).values(
            tenant_id=tenant_id, member_id=member_id, email=email, password_hash=password_hash, role=role
        )
    )


async def insert_member_if_new(
    session: AsyncSession,
    tenant_id: UUID,
    member_id: UUID,
    *,
    email: str,
    password_hash: str,
    role: str,
    members_max: int,
) -> datetime:
    """Add a member, behind `lock_tenant`. Raises NameTaken or LimitReached."""
    counted = select(func.count()).select_from(MemberRow).where(MemberRow.tenant_id == tenant_id)
    if (await session.execute(counted)).scalar_one() >= members_max:
        raise LimitReached("members", members_max)
    statement = (
        upsert(MemberRow)
        .values(tenant_id=tenant_id, member_id=member_id, email=email, password_hash=password_hash, role=role)
        .on_conflict_do_nothing()
        .returning(MemberRow.created_at)
    )
    created_at = (await session.execute(statement)).scalar_one_or_none()
    if created_at is None:
        raise NameTaken("member", email)
    return created_at


async def select_members(session: AsyncSession, tenant_id: UUID, limit: int) -> list[MemberRow]:
    """The tenant's members, oldest first."""
    statement = (
        select(MemberRow)
        .where(MemberRow.tenant_id == tenant_id)
        .order_by(MemberRow.created_at, MemberRow.member_id)
        .limit(limit)
    )
    return list((await session.execute(statement)).scalars())


async def sign_in_candidates(session: AsyncSession, email: str) -> list[tuple[UUID, UUID, str]]:
    """Who may sign in with this email, across tenants: tenant, member, password hash; oldest first."""
    statement = text("SELECT tenant_id, member_id, password_hash FROM sign_in_candidates(:email)")
    return [(row[0], row[1], row[2]) for row in await session.execute(statement, {"email": email})]


async def count_sign_in_attempt(session: AsyncSession, email: str, *, attempts_max: int, window_s: int) -> int | None:
    """Count a try to sign in; the seconds to wait when there were too many, else None."""
    statement = select(func.count_sign_in_attempt(email, attempts_max, window_s))
    return (await session.execute(statement)).scalar_one_or_none()


async def clear_sign_in_attempts(session: AsyncSession, email: str) -> None:
    """Forget the tries of an email that signed in."""
    await session.execute(select(func.clear_sign_in_attempts(email)))


async def insert_console_session(
    session: AsyncSession, tenant_id: UUID, member_id: UUID, *, session_hash: bytes, expires_at: datetime
) -> None:
    """Add a console session, and sweep the member's expired ones."""
    await session.execute(
        delete(ConsoleSessionRow).where(
            ConsoleSessionRow.tenant_id == tenant_id,
            ConsoleSessionRow.member_id == member_id,
            ConsoleSessionRow.expires_at < func.now(),
        )
    )
    await session.execute(
        insert(ConsoleSessionRow).values(
            tenant_id=tenant_id, session_hash=session_hash, member_id=member_id, expires_at=expires_at
        )
    )


async def find_console_session(
    session: AsyncSession, tenant_id: UUID, session_hash: bytes
) -> tuple[MemberRow, str, datetime] | None:
    """The member, the tenant's name and the expiry of a session that has not expired."""
    statement = (
        select(MemberRow, TenantRow.name, ConsoleSessionRow.expires_at)
        .select_from(ConsoleSessionRow)
        .join(
            MemberRow,
            and_(
                MemberRow.tenant_id == ConsoleSessionRow.tenant_id,
                MemberRow.member_id == ConsoleSessionRow.member_id,
            ),
        )
        .join(TenantRow, TenantRow.tenant_id == ConsoleSessionRow.tenant_id)
        .where(
            ConsoleSessionRow.tenant_id == tenant_id,
            ConsoleSessionRow.session_hash == session_hash,
            ConsoleSessionRow.expires_at > func.now(),
            MemberRow.disabled_at.is_(None),
        )
    )
    row = (await session.execute(statement)).one_or_none()
    return (row[0], row[1], row[2]) if row else None


async def delete_console_session(session: AsyncSession, tenant_id: UUID, session_hash: bytes) -> UUID | None:
    """End a session; whose it was, or None if there was none."""
    statement = (
        delete(ConsoleSessionRow)
        .where(ConsoleSessionRow.tenant_id == tenant_id, ConsoleSessionRow.session_hash == session_hash)
        .returning(ConsoleSessionRow.member_id)
    )
    return (await session.execute(statement)).scalar_one_or_none()
