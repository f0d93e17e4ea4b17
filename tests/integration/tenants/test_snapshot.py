"""The snapshot: fast when fresh, and never stale for longer than promised."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from tenants import (
    EVERYONE,
    Actor,
    CreatedTenant,
    Database,
    DatabaseUnavailable,
    KeyExpired,
    KeyRevoked,
    KeyUnknown,
    NotFound,
    SecretRejected,
    Snapshot,
    TenantSuspended,
    Vault,
    add_credential,
    create_key,
    disable_credential,
    publish_policy,
    resume_tenant,
    revoke_key,
    suspend_tenant,
)

# Long enough for a loaded machine; which way the news came is what the tests decide.
PATIENCE_S = 15
NEVER_S = 3600.0


async def anywhere(address: str) -> None:
    """Any address may be reached."""


@pytest.fixture
async def snapshot(database: Database, vault: Vault) -> AsyncIterator[Snapshot]:
    """One that hears by notification only."""
    snapshot = Snapshot(database, vault, poll_interval_s=NEVER_S)
    await _start_and_hear(snapshot)
    yield snapshot
    await snapshot.stop()


async def _start_and_hear(snapshot: Snapshot) -> None:
    heard = asyncio.Event()
    snapshot.subscribe(lambda _: heard.set())
    await snapshot.start()
    async with asyncio.timeout(PATIENCE_S):
        await heard.wait()


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():
            await asyncio.sleep(0.01)


def _is_refused(snapshot: Snapshot, key: str, error: type[Exception]) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        try:
            await snapshot.principal(key)
        except error:
            return True
        return False

    return ask


async def test_a_key_becomes_its_principal_and_stays_in_memory(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, snapshot: Snapshot
) -> None:
    created = await create_key(database, vault, member, tenant.tenant_id, name="ci")
    assert snapshot.cached_principal(created.secret) is None
    principal = await snapshot.principal(created.secret)
    assert principal.tenant_id == tenant.tenant_id
    assert principal.project_id == tenant.project_id
    assert principal.api_key_id == created.key.api_key_id
    assert (principal.tenant_name, principal.project_name, principal.key_name) == ("Acme", "default", "ci")
    assert principal.scopes == created.key.scopes

    async def is_kept() -> bool:
        # News of the key itself may arrive while it is read, and what was read then is not kept.
        return snapshot.cached_principal(created.secret) is await snapshot.principal(created.secret)

    await _until(is_kept)


@pytest.mark.parametrize("junk", ["", "sk-123", "sbx_live_", "sbx_live_" + "0" * 49, "sbx_live_é", "\x00", "\ud800"])
async def test_junk_is_unknown_without_a_database(vault: Vault, junk: str) -> None:
    def no_address(role: str) -> str:
        raise AssertionError(role)

    snapshot = Snapshot(Database(no_address), vault)
    assert snapshot.cached_principal(junk) is None
    with pytest.raises(KeyUnknown):
        await snapshot.principal(junk)


async def test_a_key_of_another_master_key_is_unknown(
    database: Database, member: Actor, tenant: CreatedTenant, snapshot: Snapshot
) -> None:
    foreign = await create_key(database, Vault(bytes(32)), member, tenant.tenant_id, name="a")
    for _ in range(2):  # loaded, then remembered as unknown
        with pytest.raises(KeyUnknown):
            await snapshot.principal(foreign.secret)


async def test_a_revoked_key_stops_by_notification(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, snapshot: Snapshot
) -> None:
    created = await create_key(database, vault, member, tenant.tenant_id, name="a")
    other = await create_key(database, vault, member, tenant.tenant_id, name="b")
    await snapshot.principal(created.secret)
    await revoke_key(database, member, tenant.tenant_id, created.key.api_key_id)
    await _until(_is_refused(snapshot, created.secret, KeyRevoked))
    assert snapshot.cached_principal(created.secret) is None
    assert await snapshot.principal(other.secret)


async def test_a_revoked_key_stops_by_polling_when_nothing_is_notified(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant
) -> None:
    snapshot = Snapshot(database, vault, poll_interval_s=0.05, is_listening=False)
    await snapshot.start()
    try:
        created = await create_key(database, vault, member, tenant.tenant_id, name="a")
        await snapshot.principal(created.secret)
        await revoke_key(database, member, tenant.tenant_id, created.key.api_key_id)
        await _until(_is_refused(snapshot, created.secret, KeyRevoked))
    finally:
        await snapshot.stop()


async def test_a_killed_listener_reconnects_and_forgets_what_it_may_have_missed(
    database: Database,
    admin: asyncpg.Connection,
    vault: Vault,
    member: Actor,
    tenant: CreatedTenant,
    snapshot: Snapshot,
) -> None:
    created = await create_key(database, vault, member, tenant.tenant_id, name="a")
    later = await create_key(database, vault, member, tenant.tenant_id, name="b")
    for key in (created, later):
        await snapshot.principal(key.secret)
    flushed = asyncio.Event()
    snapshot.subscribe(lambda changed: flushed.set() if changed == EVERYONE else None)
    await _kill_listeners(admin)
    await revoke_key(database, member, tenant.tenant_id, created.key.api_key_id)
    await _until(_is_refused(snapshot, created.secret, KeyRevoked))
    async with asyncio.timeout(PATIENCE_S):
        await flushed.wait()
    await snapshot.principal(later.secret)
    await revoke_key(database, member, tenant.tenant_id, later.key.api_key_id)
    await _until(_is_refused(snapshot, later.secret, KeyRevoked))


async def _kill_listeners(admin: asyncpg.Connection) -> None:
    killed = await admin.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND usename = 'signalbox_snapshot' AND query LIKE 'LISTEN%'"
    )
    assert killed


async def test_a_key_that_expires_in_memory_stops(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant
) -> None:
    clock = datetime.now(UTC).timestamp()
    snapshot = Snapshot(database, vault, now=lambda: clock)
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    created = await create_key(database, vault, member, tenant.tenant_id, name="a", expires_at=expires_at)
    assert await snapshot.principal(created.secret)
    clock = expires_at.timestamp()
    assert snapshot.cached_principal(created.secret) is None
    with pytest.raises(KeyExpired):
        await snapshot.principal(created.secret)


async def test_a_suspended_tenants_keys_are_refused_until_it_resumes(
    database: Database,
    vault: Vault,
    operator: Actor,
    tenant: CreatedTenant,
    other_tenant: CreatedTenant,
    snapshot: Snapshot,
) -> None:
    created = await create_key(database, vault, operator, tenant.tenant_id, name="a")
    other = await create_key(database, vault, operator, other_tenant.tenant_id, name="a")
    await snapshot.principal(created.secret)
    await suspend_tenant(database, operator, tenant.tenant_id)
    await _until(_is_refused(snapshot, created.secret, TenantSuspended))
    assert await snapshot.principal(other.secret)
    await resume_tenant(database, operator, tenant.tenant_id)

    async def is_accepted() -> bool:
        return not await _is_refused(snapshot, created.secret, TenantSuspended)()

    await _until(is_accepted)


async def test_a_change_while_a_key_is_read_is_not_lost(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, snapshot: Snapshot
) -> None:
    for turn in range(10):
        created = await create_key(database, vault, member, tenant.tenant_id, name=f"key {turn}")
        reading = [asyncio.create_task(snapshot.principal(created.secret)) for _ in range(5)]
        await revoke_key(database, member, tenant.tenant_id, created.key.api_key_id)
        await asyncio.gather(*reading, return_exceptions=True)
        await _until(_is_refused(snapshot, created.secret, KeyRevoked))


async def test_a_caller_that_goes_away_does_not_take_the_answer_with_it(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, snapshot: Snapshot
) -> None:
    created = await create_key(database, vault, member, tenant.tenant_id, name="a")
    leaving, staying = (asyncio.create_task(snapshot.principal(created.secret)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).api_key_id == created.key.api_key_id


async def test_subscribers_hear_whose_facts_changed(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, snapshot: Snapshot
) -> None:
    changed: set[UUID] = set()
    snapshot.subscribe(changed.add)
    await publish_policy(database, member, tenant.tenant_id, "default", b"{}")

    async def is_told() -> bool:
        return tenant.tenant_id in changed

    await _until(is_told)


async def test_credentials_and_secrets_are_the_tenants_own(
    database: Database,
    vault: Vault,
    member: Actor,
    tenant: CreatedTenant,
    other_tenant: CreatedTenant,
    snapshot: Snapshot,
) -> None:
    added = await add_credential(
        database, vault, member, tenant.tenant_id, provider_name="openai", name="main",
        secret="sk-0123456789abcdef", base_url="https://api.example.com/v1/", check_address=anywhere,
    )  # fmt: skip
    (facts,) = await snapshot.credentials(tenant.tenant_id)
    assert (facts.credential_id, facts.provider_name, facts.base_url) == (
        added.credential_id, "openai", "https://api.example.com/v1",
    )  # fmt: skip
    assert await snapshot.secret(tenant.tenant_id, added.credential_id) == "sk-0123456789abcdef"
    assert await snapshot.credentials(other_tenant.tenant_id) == ()
    with pytest.raises(NotFound):
        await snapshot.secret(other_tenant.tenant_id, added.credential_id)
    await disable_credential(database, member, tenant.tenant_id, added.credential_id)

    async def is_gone() -> bool:
        return await snapshot.credentials(tenant.tenant_id) == ()

    await _until(is_gone)
    with pytest.raises(NotFound):
        await snapshot.secret(tenant.tenant_id, added.credential_id)


async def test_a_ciphertext_moved_to_another_row_is_rejected(
    database: Database,
    admin: asyncpg.Connection,
    vault: Vault,
    member: Actor,
    tenant: CreatedTenant,
) -> None:
    first, second = [
        await add_credential(
            database, vault, member, tenant.tenant_id, provider_name="openai", name=name,
            secret=f"sk-{name}-0123456789", check_address=anywhere,
        )
        for name in ("first", "second")
    ]  # fmt: skip
    await admin.execute(
        "UPDATE provider_credential a SET secret = b.secret FROM provider_credential b "
        "WHERE a.credential_id = $1 AND b.credential_id = $2",
        second.credential_id,
        first.credential_id,
    )
    snapshot = Snapshot(database, vault)
    assert await snapshot.secret(tenant.tenant_id, first.credential_id) == "sk-first-0123456789"
    with pytest.raises(SecretRejected):
        await snapshot.secret(tenant.tenant_id, second.credential_id)


async def test_policies_are_the_active_versions_of_the_tenant(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, other_tenant: CreatedTenant
) -> None:
    await publish_policy(database, member, tenant.tenant_id, "cheap", b'{"rules": [1]}')
    await publish_policy(database, member, tenant.tenant_id, "cheap", b'{"rules": [2]}')
    snapshot = Snapshot(database, vault)
    policy = await snapshot.policy(tenant.tenant_id, "cheap")
    assert policy is not None
    assert (policy.version, policy.document) == (2, b'{"rules": [2]}')
    assert await snapshot.policy_names(tenant.tenant_id) == ("cheap",)
    assert await snapshot.policy(tenant.tenant_id, "absent") is None
    assert await snapshot.policy(other_tenant.tenant_id, "cheap") is None


async def test_a_database_that_is_away_is_said_so(vault: Vault) -> None:
    database = Database(lambda role: f"postgresql+asyncpg://{role}@/nothing?host=/nonexistent")
    snapshot = Snapshot(database, vault)
    await snapshot.start()
    with pytest.raises(DatabaseUnavailable):
        await snapshot.credentials(UUID(int=1))
    await snapshot.stop()
    await database.close()
