"""Tenants and their projects: the services that make, list, suspend and resume them.

Called by the command line, the operator's console and the management API. Each writes one audit
event in its own transaction; a tenant is made whole or not at all.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from tenants import repository
from tenants.audit import record_audit
from tenants.crypto import Vault
from tenants.database import Database
from tenants.fields import email_of, name_of, password_of
from tenants.limits import LISTED_MAX, PROJECTS_MAX
from tenants.models import TenantRow
from tenants.passwords import hash_password, new_password
from tenants.principal import PLATFORM_TENANT_ID, SYSTEM, Actor, MemberRole

FIRST_PROJECT_NAME: Final = "default"
PLATFORM_NAME: Final = "Signalbox"

# Runs in the transaction that makes the tenant, on the operator's session; billing subscribes it to a plan.
Alongside: TypeAlias = Callable[[AsyncSession, UUID], Awaitable[None]]


class TenantStatus(StrEnum):
    """Whether the tenant's keys are accepted."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A customer, or the platform itself."""

    tenant_id: UUID
    name: str
    status: TenantStatus
    time_zone: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A part of a tenant that keys, budgets and costs belong to."""

    tenant_id: UUID
    project_id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedTenant:
    """A new tenant, with its owner's password, which is shown this once."""

    tenant_id: UUID
    project_id: UUID
    member_id: UUID
    owner_email: str
    owner_password: str = field(repr=False)


async def create_tenant(
    database: Database,
    vault: Vault,
    actor: Actor,
    *,
    name: str,
    owner_email: str,
    owner_password: str | None = None,
    alongside: Alongside | None = None,
) -> CreatedTenant:
    """Make a tenant with its key, its first project and its owner. Raises FieldInvalid."""
    name = name_of("name", name)
    made = _prepare(uuid7(), owner_email, owner_password)
    password_hash = await hash_password(made.owner_password)
    async with database.across_tenants() as session:
        await _insert(session, vault, actor, made, name, MemberRole.OWNER, password_hash)
        if alongside is not None:
            await alongside(session, made.tenant_id)
    return made


async def create_platform(
    database: Database, vault: Vault, *, operator_email: str, operator_password: str | None = None
) -> CreatedTenant | None:
    """Make the platform's own tenant with its first operator; None if it exists. Starters may race."""
    made = _prepare(PLATFORM_TENANT_ID, operator_email, operator_password)
    password_hash = await hash_password(made.owner_password)
    async with database.across_tenants() as session:
        if await repository.lock_platform(session, PLATFORM_TENANT_ID):
            return None
        await _insert(session, vault, SYSTEM, made, PLATFORM_NAME, MemberRole.OPERATOR, password_hash)
    return made


async def find_tenant(database: Database, tenant_id: UUID) -> Tenant:
    """The tenant itself. Raises NotFound."""
    async with database.tenant(tenant_id) as session:
        return _tenant(await repository.find_tenant(session, tenant_id))


async def list_tenants(database: Database, actor: Actor, *, limit: int = LISTED_MAX) -> tuple[Tenant, ...]:
    """All tenants, newest first. Looking across tenants is recorded in the platform's own trail."""
    async with database.across_tenants() as session:
        rows = await repository.select_tenants(session, min(limit, LISTED_MAX))
        await record_audit(
            session,
            PLATFORM_TENANT_ID,
            actor,
            "tenants.listed",
            f"tenant:{PLATFORM_TENANT_ID}",
            after={"count": len(rows)},
        )
    return tuple(_tenant(row) for row in rows)


async def suspend_tenant(database: Database, actor: Actor, tenant_id: UUID, *, reason: str | None = None) -> None:
    """Refuse the tenant's keys from now on; the tenant reads the reason in its trail. Raises FieldInvalid, NotFound."""
    await _set_status(database, actor, tenant_id, TenantStatus.SUSPENDED, reason)


async def resume_tenant(database: Database, actor: Actor, tenant_id: UUID, *, reason: str | None = None) -> None:
    """Accept the tenant's keys again. Raises FieldInvalid, NotFound."""
    await _set_status(database, actor, tenant_id, TenantStatus.ACTIVE, reason)


async def create_project(database: Database, actor: Actor, tenant_id: UUID, name: str) -> Project:
    """Make a project. Raises FieldInvalid, NameTaken, LimitReached, NotFound."""
    project_id, name = uuid7(), name_of("name", name)
    async with database.tenant(tenant_id) as session:
        await repository.lock_tenant(session, tenant_id)
        created_at = await repository.insert_project_if_new(
            session, tenant_id, project_id, name, projects_max=PROJECTS_MAX
        )
        await record_audit(session, tenant_id, actor, "project.created", f"project:{project_id}", after={"name": name})
    return Project(tenant_id=tenant_id, project_id=project_id, name=name, created_at=created_at)


async def list_projects(database: Database, tenant_id: UUID) -> tuple[Project, ...]:
    """The tenant's projects, oldest first."""
    async with database.tenant(tenant_id) as session:
        rows = await repository.select_projects(session, tenant_id, LISTED_MAX)
    return tuple(
        Project(tenant_id=row.tenant_id, project_id=row.project_id, name=row.name, created_at=row.created_at)
        for row in rows
    )


def _prepare(tenant_id: UUID, email: str, password: str | None) -> CreatedTenant:
    return CreatedTenant(
        tenant_id=tenant_id,
        project_id=uuid7(),
        member_id=uuid7(),
        owner_email=email_of("owner_email", email),
        owner_password=new_password() if password is None else password_of("owner_password", password),
    )


async def _insert(
    session: AsyncSession,
    vault: Vault,
    actor: Actor,
    made: CreatedTenant,
    name: str,
    role: MemberRole,
    password_hash: str,
) -> None:
    tenant_id = made.tenant_id
    await repository.insert_tenant(session, tenant_id, name, vault.new_tenant_key(tenant_id, version=1))
    await repository.insert_project(session, tenant_id, made.project_id, FIRST_PROJECT_NAME)
    await repository.insert_member(
        session, tenant_id, made.member_id, email=made.owner_email, password_hash=password_hash, role=role
    )
    await record_audit(
        session,
        tenant_id,
        actor,
        "tenant.created",
        f"tenant:{tenant_id}",
        after={"name": name, "project": FIRST_PROJECT_NAME, "member": made.owner_email, "role": role},
    )


async def _set_status(
    database: Database, actor: Actor, tenant_id: UUID, status: TenantStatus, reason: str | None
) -> None:
    told = {} if reason is None else {"reason": name_of("reason", reason)}
    async with database.across_tenants() as session:
        before = await repository.update_tenant_status(session, tenant_id, status)
        await record_audit(
            session,
            tenant_id,
            actor,
            f"tenant.{'resumed' if status is TenantStatus.ACTIVE else 'suspended'}",
            f"tenant:{tenant_id}",
            before={"status": before},
            after={"status": status, **told},
        )


def _tenant(row: TenantRow) -> Tenant:
    return Tenant(
        tenant_id=row.tenant_id,
        name=row.name,
        status=TenantStatus(row.status),
        time_zone=row.time_zone,
        created_at=row.created_at,
    )
