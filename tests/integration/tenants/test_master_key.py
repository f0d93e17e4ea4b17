"""Whether a database was written with the master key that a start brings."""

import pytest

from tenants import CreatedTenant, Database, MasterKeyWrong, Vault, check_master_key


async def test_a_new_database_takes_any_key(database: Database) -> None:
    await check_master_key(database, Vault(bytes(32)))


async def test_a_database_takes_the_key_that_it_was_written_with(
    database: Database, vault: Vault, platform: CreatedTenant
) -> None:
    await check_master_key(database, vault)


async def test_another_key_is_refused_with_what_to_do(database: Database, tenant: CreatedTenant) -> None:
    with pytest.raises(MasterKeyWrong, match="SIGNALBOX_MASTER_KEY"):
        await check_master_key(database, Vault(bytes(32)))
