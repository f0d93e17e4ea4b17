"""API keys: shown once, audited, bounded by their tenant."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from tenants import (
    Actor,
    CreatedTenant,
    Database,
    FieldInvalid,
    KeyKind,
    KeyPrefix,
    NotFound,
    Scope,
    Vault,
    create_key,
    create_project,
    list_keys,
    revoke_key,
    rotate_key,
)

Events = Callable[[UUID], Awaitable[list[dict[str, object]]]]


async def test_a_key_is_stored_as_a_hash_and_told_without_its_secret(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, events: Events
) -> None:
    created = await create_key(database, vault, member, tenant.tenant_id, name="ci")
    assert created.secret not in repr(created)
    async with database.tenant(tenant.tenant_id) as session:
        stored = (await session.execute(text("SELECT to_jsonb(k)::text FROM api_key k"))).scalar_one()
    random_part = created.secret.removeprefix("sbx_live_")[:-6]
    assert random_part not in stored
    assert random_part not in str(await events(tenant.tenant_id))
    assert (await events(tenant.tenant_id))[-1]["action"] == "api_key.created"


async def test_a_key_falls_into_the_first_project_unless_one_is_named(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant
) -> None:
    project = await create_project(database, member, tenant.tenant_id, "search")
    first = await create_key(database, vault, member, tenant.tenant_id, name="a")
    named = await create_key(database, vault, member, tenant.tenant_id, name="b", project_id=project.project_id)
    assert (first.key.project_id, named.key.project_id) == (tenant.project_id, project.project_id)


async def test_a_key_in_another_tenants_project_is_not_found(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, other_tenant: CreatedTenant
) -> None:
    with pytest.raises(NotFound):
        await create_key(database, vault, member, tenant.tenant_id, name="a", project_id=other_tenant.project_id)
    assert await list_keys(database, tenant.tenant_id) == ()


async def test_a_management_key_cannot_call_models_and_a_model_key_cannot_manage(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant
) -> None:
    management = await create_key(database, vault, member, tenant.tenant_id, name="m", prefix=KeyPrefix.MANAGEMENT)
    assert management.secret.startswith("sbm_")
    assert management.key.kind is KeyKind.MANAGEMENT
    assert Scope.MODELS_CALL not in management.key.scopes
    with pytest.raises(FieldInvalid):
        await create_key(database, vault, member, tenant.tenant_id, name="x", scopes={Scope.KEYS_WRITE})
    with pytest.raises(FieldInvalid):
        await create_key(database, vault, member, tenant.tenant_id, name="x", scopes=())


async def test_an_expiry_in_the_past_is_refused(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant
) -> None:
    for moment in (datetime.now(UTC) - timedelta(seconds=1), datetime(2999, 1, 1)):
        with pytest.raises(FieldInvalid):
            await create_key(database, vault, member, tenant.tenant_id, name="x", expires_at=moment)


async def test_another_tenants_key_can_be_neither_seen_nor_revoked_nor_rotated(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, other_tenant: CreatedTenant, events: Events
) -> None:
    created = await create_key(database, vault, member, tenant.tenant_id, name="a")
    assert await list_keys(database, other_tenant.tenant_id) == ()
    with pytest.raises(NotFound):
        await revoke_key(database, member, other_tenant.tenant_id, created.key.api_key_id)
    with pytest.raises(NotFound):
        await rotate_key(database, vault, member, other_tenant.tenant_id, created.key.api_key_id)
    (key,) = await list_keys(database, tenant.tenant_id)
    assert key.is_live(datetime.now(UTC))
    assert len(await events(other_tenant.tenant_id)) == 1


async def test_revoking_twice_is_one_change(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, events: Events
) -> None:
    created = await create_key(database, vault, member, tenant.tenant_id, name="a")
    await revoke_key(database, member, tenant.tenant_id, created.key.api_key_id)
    await revoke_key(database, member, tenant.tenant_id, created.key.api_key_id)
    assert [event["action"] for event in await events(tenant.tenant_id)][1:] == ["api_key.created", "api_key.revoked"]


async def test_a_rotated_key_is_replaced_and_lives_until_the_overlap_ends(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, events: Events
) -> None:
    old = await create_key(database, vault, member, tenant.tenant_id, name="a", prefix=KeyPrefix.TEST)
    new = await rotate_key(database, vault, member, tenant.tenant_id, old.key.api_key_id, overlap_s=3600)
    assert new.secret != old.secret
    assert (new.key.name, new.key.prefix, new.key.scopes) == (old.key.name, old.key.prefix, old.key.scopes)
    stored = {key.api_key_id: key for key in await list_keys(database, tenant.tenant_id)}
    stops_at = stored[old.key.api_key_id].expires_at
    assert stops_at is not None
    assert timedelta(minutes=55) < stops_at - datetime.now(UTC) <= timedelta(hours=1)
    assert stored[new.key.api_key_id].expires_at is None
    assert [event["action"] for event in await events(tenant.tenant_id)][-1] == "api_key.rotated"


async def test_rotation_never_lengthens_the_old_key_nor_frees_the_new_one_of_expiry(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant
) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=5)
    old = await create_key(database, vault, member, tenant.tenant_id, name="a", expires_at=soon)
    new = await rotate_key(database, vault, member, tenant.tenant_id, old.key.api_key_id, overlap_s=3600)
    stored = {key.api_key_id: key for key in await list_keys(database, tenant.tenant_id)}
    assert stored[old.key.api_key_id].expires_at == soon
    assert new.key.expires_at is not None
    assert new.key.expires_at - datetime.now(UTC) <= timedelta(minutes=5)


@pytest.mark.parametrize("overlap_s", [-1, 31 * 86_400])
async def test_an_overlap_out_of_range_is_refused(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, overlap_s: int
) -> None:
    created = await create_key(database, vault, member, tenant.tenant_id, name="a")
    with pytest.raises(FieldInvalid):
        await rotate_key(database, vault, member, tenant.tenant_id, created.key.api_key_id, overlap_s=overlap_s)


async def test_a_revoked_key_is_not_rotated(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant
) -> None:
    created = await create_key(database, vault, member, tenant.tenant_id, name="a")
    await revoke_key(database, member, tenant.tenant_id, created.key.api_key_id)
    with pytest.raises(FieldInvalid):
        await rotate_key(database, vault, member, tenant.tenant_id, created.key.api_key_id)
