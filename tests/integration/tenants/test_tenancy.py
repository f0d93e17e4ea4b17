"""Making tenants and projects: whole or not at all, audited, and blind to each other."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tenants import (
    PLATFORM_TENANT_ID,
    Actor,
    CreatedTenant,
    Database,
    FieldInvalid,
    NameTaken,
    NotFound,
    TenantStatus,
    Vault,
    create_platform,
    create_project,
    create_tenant,
    find_tenant,
    list_projects,
    list_tenants,
    resume_tenant,
    suspend_tenant,
)

Events = Callable[[UUID], Awaitable[list[dict[str, object]]]]


async def test_a_tenant_is_made_with_its_key_project_and_owner(
    database: Database, tenant: CreatedTenant, events: Events
) -> None:
    assert (await find_tenant(database, tenant.tenant_id)).name == "Acme"
    assert [project.name for project in await list_projects(database, tenant.tenant_id)] == ["default"]
    (event,) = await events(tenant.tenant_id)
    assert event["action"] == "tenant.created"
    assert tenant.owner_password not in str(event)
    assert tenant.owner_password not in repr(tenant)


async def test_nothing_of_a_tenant_stays_when_what_runs_alongside_fails(
    database: Database, vault: Vault, operator: Actor, platform: CreatedTenant
) -> None:
    async def fail(session: AsyncSession, tenant_id: UUID) -> None:
        await session.execute(text("SELECT 1"))
        raise FieldInvalid("plan", "no such plan")

    with pytest.raises(FieldInvalid):
        await create_tenant(database, vault, operator, name="Half", owner_email="o@half.test", alongside=fail)
    assert [tenant.name for tenant in await list_tenants(database, operator)] == ["Signalbox"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 121, "two\nlines", "nul\x00"])
async def test_a_tenant_without_a_sensible_name_is_refused(
    database: Database, vault: Vault, operator: Actor, name: str
) -> None:
    with pytest.raises(FieldInvalid) as caught:
        await create_tenant(database, vault, operator, name=name, owner_email="o@x.test")
    assert caught.value.field == "name"


async def test_the_platform_is_made_once_by_starters_that_race(database: Database, vault: Vault) -> None:
    made = await asyncio.gather(
        *(create_platform(database, vault, operator_email="operator@localhost") for _ in range(4))
    )
    assert sum(one is not None for one in made) == 1


async def test_listing_tenants_stands_in_the_platforms_trail(
    database: Database, operator: Actor, platform: CreatedTenant, tenant: CreatedTenant, events: Events
) -> None:
    listed = await list_tenants(database, operator)
    assert {one.tenant_id for one in listed} == {PLATFORM_TENANT_ID, tenant.tenant_id}
    assert [event["action"] for event in await events(PLATFORM_TENANT_ID)] == ["tenant.created", "tenants.listed"]
    assert [event["action"] for event in await events(tenant.tenant_id)] == ["tenant.created"]


async def test_suspending_and_resuming_are_audited_in_the_tenants_trail(
    database: Database, operator: Actor, tenant: CreatedTenant, events: Events
) -> None:
    await suspend_tenant(database, operator, tenant.tenant_id)
    assert (await find_tenant(database, tenant.tenant_id)).status is TenantStatus.SUSPENDED
    await resume_tenant(database, operator, tenant.tenant_id)
    actions = [(event["action"], event["before"], event["after"]) for event in await events(tenant.tenant_id)]
    assert actions[1:] == [
        ("tenant.suspended", {"status": "active"}, {"status": "suspended"}),
        ("tenant.resumed", {"status": "suspended"}, {"status": "active"}),
    ]


async def test_suspending_no_tenant_changes_nothing(database: Database, operator: Actor) -> None:
    with pytest.raises(NotFound):
        await suspend_tenant(database, operator, uuid4())


async def test_projects_of_one_tenant_are_unknown_to_another(
    database: Database, member: Actor, tenant: CreatedTenant, other_tenant: CreatedTenant, events: Events
) -> None:
    await create_project(database, member, tenant.tenant_id, "search")
    await create_project(database, member, other_tenant.tenant_id, "search")
    assert [project.name for project in await list_projects(database, tenant.tenant_id)] == ["default", "search"]
    assert {project.tenant_id for project in await list_projects(database, tenant.tenant_id)} == {tenant.tenant_id}
    assert len(await events(tenant.tenant_id)) == 2


async def test_a_taken_project_name_leaves_no_event(
    database: Database, member: Actor, tenant: CreatedTenant, events: Events
) -> None:
    with pytest.raises(NameTaken):
        await create_project(database, member, tenant.tenant_id, "default")
    assert len(await events(tenant.tenant_id)) == 1


async def test_a_project_of_no_tenant_is_not_found(database: Database, member: Actor) -> None:
    with pytest.raises(NotFound):
        await create_project(database, member, uuid4(), "search")
