"""Members: added with a password shown once, operators in the platform only."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from tenants import (
    PLATFORM_TENANT_ID,
    Actor,
    CreatedTenant,
    Database,
    FieldInvalid,
    MemberRole,
    NameTaken,
    NotFound,
    create_member,
    list_members,
)

Events = Callable[[UUID], Awaitable[list[dict[str, object]]]]


async def test_a_member_is_added_to_one_tenant_and_audited(
    database: Database, member: Actor, tenant: CreatedTenant, other_tenant: CreatedTenant, events: Events
) -> None:
    created = await create_member(database, member, tenant.tenant_id, email="Dev@Acme.test", role=MemberRole.DEVELOPER)
    assert created.password not in repr(created)
    assert [one.email for one in await list_members(database, tenant.tenant_id)] == ["owner@acme.test", "dev@acme.test"]
    assert [one.email for one in await list_members(database, other_tenant.tenant_id)] == ["owner@globex.test"]
    event = (await events(tenant.tenant_id))[-1]
    assert (event["action"], event["after"]) == ("member.created", {"email": "dev@acme.test", "role": "developer"})
    assert created.password not in str(event)


async def test_an_email_is_taken_within_its_tenant_only(
    database: Database, member: Actor, tenant: CreatedTenant, other_tenant: CreatedTenant, events: Events
) -> None:
    await create_member(database, member, other_tenant.tenant_id, email="owner@acme.test", role=MemberRole.VIEWER)
    with pytest.raises(NameTaken):
        await create_member(database, member, tenant.tenant_id, email="OWNER@acme.test", role=MemberRole.VIEWER)
    assert len(await events(tenant.tenant_id)) == 1


async def test_operators_are_of_the_platform_and_nobody_else_is(
    database: Database, operator: Actor, platform: CreatedTenant, tenant: CreatedTenant
) -> None:
    await create_member(database, operator, PLATFORM_TENANT_ID, email="b@x.test", role=MemberRole.OPERATOR)
    with pytest.raises(FieldInvalid):
        await create_member(database, operator, PLATFORM_TENANT_ID, email="c@x.test", role=MemberRole.OWNER)
    with pytest.raises(FieldInvalid):
        await create_member(database, operator, tenant.tenant_id, email="d@x.test", role=MemberRole.OPERATOR)


async def test_a_short_password_is_refused(database: Database, member: Actor, tenant: CreatedTenant) -> None:
    with pytest.raises(FieldInvalid) as caught:
        await create_member(
            database, member, tenant.tenant_id, email="a@x.test", role=MemberRole.VIEWER, password="hunter22"
        )
    assert "hunter22" not in str(caught.value)


async def test_a_member_of_no_tenant_is_not_found(database: Database, member: Actor) -> None:
    with pytest.raises(NotFound):
        await create_member(database, member, uuid4(), email="a@x.test", role=MemberRole.VIEWER)
