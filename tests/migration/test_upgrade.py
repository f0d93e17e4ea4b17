"""Bringing a database up to date: whole versions or nothing, bounded waits, one starter at a time."""

import asyncio
from collections.abc import Callable

import pytest

from migrations import MigrationFailed, upgrade
from tenants import DatabaseRole
from tests.migration.catalog import TABLES, connected
from tests.migration.test_versions import VERSIONS

UrlOf = Callable[[str], str]
HEAD = f"{len(VERSIONS):04}"
STARTERS = 4


async def _version(url: str) -> str | None:
    async with connected(url) as connection:
        if await connection.fetchval("SELECT to_regclass('schema_version')") is None:
            return None
        return await connection.fetchval("SELECT version_num FROM schema_version")


async def _table_names(url: str) -> set[str]:
    async with connected(url) as connection:
        return {row["name"] for row in await connection.fetch(TABLES)}


async def _stop_before_prices(owner_url: str) -> MigrationFailed:
    """Let the version that makes `plan` fail: the table is there already."""
    async with connected(owner_url) as connection:
        await connection.execute("CREATE TABLE plan (plan_id text)")
    with pytest.raises(MigrationFailed) as caught:
        await upgrade(owner_url)
    return caught.value


async def test_an_empty_database_is_brought_to_the_newest_version_and_stays_there(empty_url: UrlOf) -> None:
    owner_url = empty_url(DatabaseRole.OWNER)
    await upgrade(owner_url)
    tables = await _table_names(owner_url)
    await upgrade(owner_url)
    assert await _version(owner_url) == HEAD
    assert await _table_names(owner_url) == tables


async def test_a_version_that_fails_leaves_the_one_before_it_whole(empty_url: UrlOf) -> None:
    owner_url = empty_url(DatabaseRole.OWNER)
    error = await _stop_before_prices(owner_url)
    assert await _version(owner_url) == "0003"
    tables = await _table_names(owner_url)
    assert "audit_event" in tables
    assert not tables & {"subscription", "price", "price_version", "budget"}
    assert 'relation "plan" already exists' in str(error)
    assert "signalbox migrate" in str(error)


async def test_a_database_whose_cause_was_mended_goes_on_from_where_it_stood(empty_url: UrlOf) -> None:
    owner_url = empty_url(DatabaseRole.OWNER)
    await _stop_before_prices(owner_url)
    async with connected(owner_url) as connection:
        await connection.execute("DROP TABLE plan")
    await upgrade(owner_url)
    assert await _version(owner_url) == HEAD


async def test_a_lock_that_somebody_holds_ends_the_upgrade_instead_of_queueing_behind_it(empty_url: UrlOf) -> None:
    owner_url = empty_url(DatabaseRole.OWNER)
    await _stop_before_prices(owner_url)
    async with connected(owner_url) as holder:
        await holder.execute("DROP TABLE plan")
        async with holder.transaction():
            await holder.execute("LOCK TABLE tenant IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(MigrationFailed, match="lock timeout"):
                await upgrade(owner_url, lock_timeout_s=1)
    assert await _version(owner_url) == "0003"


async def test_starters_that_race_migrate_once(empty_url: UrlOf) -> None:
    owner_url = empty_url(DatabaseRole.OWNER)
    await asyncio.gather(*(upgrade(owner_url) for _ in range(STARTERS)))
    assert await _version(owner_url) == HEAD


async def test_a_database_that_cannot_be_reached_is_said_so() -> None:
    with pytest.raises(MigrationFailed, match="could not be migrated"):
        await upgrade("postgresql+asyncpg://signalbox_owner@/signalbox?host=/nowhere")


async def test_a_role_without_rights_migrates_nothing(empty_url: UrlOf) -> None:
    with pytest.raises(MigrationFailed, match="permission denied"):
        await upgrade(empty_url(DatabaseRole.APP))
    assert await _version(empty_url(DatabaseRole.OWNER)) is None
