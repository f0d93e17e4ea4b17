"""Provider credentials: sealed, checked where they may reach, bounded by their tenant."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from sqlalchemy import text

from tenants import (
    Actor,
    CreatedTenant,
    Credential,
    Database,
    FieldInvalid,
    MasterKeyWrong,
    NameTaken,
    NotFound,
    Vault,
    add_credential,
    disable_credential,
    list_credentials,
)

Events = Callable[[UUID], Awaitable[list[dict[str, object]]]]
SECRET = "sk-0123456789abcdefghij"


class AddressRefused(Exception):
    """What the app raises for a private address."""


class Addresses:
    """Remembers what was checked; refuses what is private."""

    def __init__(self) -> None:
        self.checked: list[str] = []

    async def check(self, address: str) -> None:
        self.checked.append(address)
        if "10.0.0.1" in address:
            raise AddressRefused


async def _add(
    database: Database,
    vault: Vault,
    actor: Actor,
    tenant: CreatedTenant,
    *,
    name: str = "main",
    base_url: str | None = None,
    secret: str = SECRET,
    addresses: Addresses | None = None,
) -> Credential:
    return await add_credential(
        database, vault, actor, tenant.tenant_id, provider_name="openai", name=name,
        secret=secret, base_url=base_url, check_address=(addresses or Addresses()).check,
    )  # fmt: skip


async def test_a_secret_is_neither_stored_nor_told_nor_audited(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, events: Events
) -> None:
    added = await _add(database, vault, member, tenant)
    assert added.last_four == "ghij"
    async with database.tenant(tenant.tenant_id) as session:
        sealed = (await session.execute(text("SELECT secret FROM provider_credential"))).scalar_one()
    assert SECRET.encode() not in sealed
    for shown in (
        repr(added),
        repr(await list_credentials(database, tenant.tenant_id)),
        str(await events(tenant.tenant_id)),
    ):
        assert SECRET not in shown
    assert (await events(tenant.tenant_id))[-1]["action"] == "provider_credential.added"


async def test_of_a_short_secret_nothing_is_shown(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant
) -> None:
    assert (await _add(database, vault, member, tenant, secret="sk-short")).last_four == ""


async def test_an_address_that_may_not_be_reached_stores_nothing(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, events: Events
) -> None:
    addresses = Addresses()
    with pytest.raises(AddressRefused):
        await _add(database, vault, member, tenant, base_url="http://10.0.0.1/v1/", addresses=addresses)
    with pytest.raises(FieldInvalid):
        await _add(database, vault, member, tenant, base_url="https://u:p@example.com", addresses=addresses)
    assert addresses.checked == ["http://10.0.0.1/v1"]
    assert await list_credentials(database, tenant.tenant_id) == ()
    assert len(await events(tenant.tenant_id)) == 1


async def test_a_name_is_taken_within_its_tenant_until_it_is_disabled(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, other_tenant: CreatedTenant
) -> None:
    first = await _add(database, vault, member, tenant)
    await _add(database, vault, member, other_tenant)
    with pytest.raises(NameTaken):
        await _add(database, vault, member, tenant)
    await disable_credential(database, member, tenant.tenant_id, first.credential_id)
    await _add(database, vault, member, tenant)
    listed = await list_credentials(database, tenant.tenant_id)
    assert [(one.name.split(" (")[0], one.disabled_at is None) for one in listed] == [("main", False), ("main", True)]


async def test_another_tenants_credential_can_be_neither_seen_nor_disabled(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, other_tenant: CreatedTenant, events: Events
) -> None:
    added = await _add(database, vault, member, tenant)
    assert await list_credentials(database, other_tenant.tenant_id) == ()
    with pytest.raises(NotFound):
        await disable_credential(database, member, other_tenant.tenant_id, added.credential_id)
    assert len(await events(other_tenant.tenant_id)) == 1


async def test_disabling_twice_is_one_change(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, events: Events
) -> None:
    added = await _add(database, vault, member, tenant, name="n" * 120)
    for _ in range(2):
        await disable_credential(database, member, tenant.tenant_id, added.credential_id)
    actions = [event["action"] for event in await events(tenant.tenant_id)]
    assert actions[1:] == ["provider_credential.added", "provider_credential.disabled"]


async def test_another_master_key_seals_nothing(database: Database, member: Actor, tenant: CreatedTenant) -> None:
    with pytest.raises(MasterKeyWrong):
        await _add(database, Vault(bytes(32)), member, tenant)
