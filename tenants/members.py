"""Members: the services that add and list the people of a tenant.

Called by the command line, the console and the management API. Invariant: operators exist in the
platform's own tenant and nowhere else, and nobody else exists there.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from tenants import repository
from tenants.audit import record_audit
from tenants.database import Database
from tenants.fields import choice_of, email_of, password_of
from tenants.limits import LISTED_MAX, MEMBERS_MAX
from tenants.passwords import hash_password, new_password
from tenants.principal import PLATFORM_TENANT_ID, Actor, MemberRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person who signs in."""

    tenant_id: UUID
    member_id: UUID
    email: str
    role: MemberRole
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedMember:
    """A new member, with the password, which is shown this once."""

    member: Member
    password: str = field(repr=False)


async def create_member(
    database: Database, actor: Actor, tenant_id: UUID, *, email: str, role: MemberRole, password: str | None = None
) -> CreatedMember:
    """Add a member, with a random password unless one is given.

    Raises FieldInvalid, NameTaken, LimitReached, NotFound.
    """
    email, role = email_of("email", email), choice_of("role", role, _roles(tenant_id))
    password = new_password() if password is None else password_of("password", password)
    member_id, password_hash = uuid7(), await hash_password(password)
    async with database.tenant(tenant_id) as session:
        await repository.lock_tenant(session, tenant_id)
        created_at = await repository.insert_member_if_new(
            session,
            tenant_id,
            member_id,
            email=email,
            password_hash=password_hash,
            role=role,
            members_max=MEMBERS_MAX,
        )
        await record_audit(
            session, tenant_id, actor, "member.created", f"member:{member_id}", after={"email": email, "role": role}
        )
    member = Member(
        tenant_id=tenant_id, member_id=member_id, email=email, role=role, created_at=created_at, disabled_at=None
    )
    return CreatedMember(member=member, password=password)


async def list_members(database: Database, tenant_id: UUID) -> tuple[Member, ...]:
    """The tenant's members, oldest first."""
    async with database.tenant(tenant_id) as session:
        rows = await repository.select_members(session, tenant_id, LISTED_MAX)
    return tuple(
        Member(
            tenant_id=row.tenant_id,
            member_id=row.member_id,
            email=row.email,
            role=MemberRole(row.role),
            created_at=row.created_at,
            disabled_at=row.disabled_at,
        )
        for row in rows
    )


def _roles(tenant_id: UUID) -> list[MemberRole]:
    if tenant_id == PLATFORM_TENANT_ID:
        return [MemberRole.OPERATOR]
    return [role for role in MemberRole if role is not MemberRole.OPERATOR]
