"""In our context, as `signalbox_app`, their rows cannot be seen, changed, removed or made: every table, every verb."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from tenants import DatabaseRole
from tests.integration.isolation.conftest import House
from tests.integration.isolation.rows import insertion
from tests.migration.catalog import TABLES, connected, keys

MAY = "SELECT has_table_privilege('signalbox_app', $1, $2)"
GENERATED = "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attgenerated <> ''"
MAY_UPDATE = """
SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
    AND has_column_privilege('signalbox_app', attrelid, attnum, 'UPDATE')
"""


@asynccontextmanager
async def _as_app(house: House, tenant_id: UUID | None) -> AsyncIterator[asyncpg.Connection]:
    """A transaction that is rolled back, in a tenant's context or in none."""
    async with connected(house.url_of(DatabaseRole.APP)) as app:
        transaction = app.transaction()
        await transaction.start()
        if tenant_id is not None:
            await app.execute("SELECT set_config('signalbox.tenant_id', $1, true)", str(tenant_id))
        yield app
        await transaction.rollback()


async def _refusal(app: asyncpg.Connection, statement: str, *arguments: object) -> str:
    """What the database says against a statement; its own savepoint keeps the transaction alive."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError) as caught:
        async with app.transaction():
            await app.execute(statement, *arguments)
    return str(caught.value)


async def test_only_our_rows_are_seen(house: House) -> None:
    async with _as_app(house, house.ours) as app:
        for table in house.tables:
            seen = await app.fetch(f"SELECT tenant_id FROM {table}")
            assert {row["tenant_id"] for row in seen} == {house.ours}, table
            assert not await app.fetch(f"SELECT FROM {table} WHERE tenant_id = $1", house.theirs), table


async def test_their_rows_are_not_changed(house: House) -> None:
    async with _as_app(house, house.ours) as app:
        for table in house.tables:
            columns = [row["attname"] for row in await house.superuser.fetch(MAY_UPDATE, table)]
            assert "tenant_id" not in columns, f"{table}: a row could be moved to another tenant"
            for column in columns:
                update = f"UPDATE {table} SET {column} = {column} WHERE tenant_id = $1"
                assert await app.execute(update, house.theirs) == "UPDATE 0", f"{table}.{column}"
                assert await app.execute(update, house.ours) != "UPDATE 0", f"{table}.{column}: nothing was tried"
            await _refusal(app, f"UPDATE {table} SET tenant_id = $1", house.theirs)


async def test_their_rows_are_not_removed(house: House) -> None:
    async with _as_app(house, house.ours) as app:
        for table in house.tables:
            delete = f"DELETE FROM {table} WHERE tenant_id = $1"
            if await house.superuser.fetchval(MAY, table, "DELETE"):
                assert await app.execute(delete, house.theirs) == "DELETE 0", table
                assert await app.execute(delete, house.ours) != "DELETE 0", f"{table}: nothing was tried"
            else:
                await _refusal(app, delete, house.theirs)
            await _refusal(app, f"TRUNCATE {table}")


async def test_no_row_of_theirs_is_made(house: House) -> None:
    tried = set()
    for table in house.tables:
        foreign = await house.row(table, house.theirs)
        async with _as_app(house, house.ours) as app:
            refusal = await _refusal(app, insertion(table, foreign), *foreign.values())
        if await house.superuser.fetchval(MAY, table, "INSERT"):
            assert "row-level security" in refusal, table
            tried.add(table)
    assert {"project", "member", "api_key", "provider_credential", "routing_policy", "budget"} <= tried


async def test_a_row_of_ours_is_made_where_theirs_was_refused(house: House) -> None:
    """Without this the test above could pass because its rows fit nowhere."""
    for table in house.tables:
        if await house.superuser.fetchval(MAY, table, "INSERT"):
            assert await _fits(house, table), f"{table}: no row of ours could be made"


async def _fits(house: House, table: str) -> bool:
    """Whether the database takes a row of ours; one that stands there already was no refusal of the tenant."""
    for text, number in itertools.product(("b", "BCD"), (2, 0)):
        row = await house.row(table, house.ours, text=text, number=number)
        async with _as_app(house, house.ours) as app:
            try:
                await app.execute(insertion(table, row), *row.values())
            except asyncpg.UniqueViolationError:
                return True
            except asyncpg.IntegrityConstraintViolationError:
                continue
            return True
    return False


async def test_an_upsert_over_their_row_changes_nothing(house: House) -> None:
    primary = {key.table: key.columns for key in await keys(house.superuser, "p")}
    for table in house.tables:
        before = await house.print_of(table, house.theirs)
        theirs = dict(await house.superuser.fetchrow(f"SELECT * FROM {table} WHERE tenant_id = $1", house.theirs))
        for generated in await house.superuser.fetch(GENERATED, table):
            del theirs[generated["attname"]]
        columns = [row["attname"] for row in await house.superuser.fetch(MAY_UPDATE, table)]
        sets = ", ".join(f"{column} = excluded.{column}" for column in columns or ["tenant_id"])
        for action in ("NOTHING", f"UPDATE SET {sets}"):
            async with _as_app(house, house.ours) as app:
                upsert = insertion(table, theirs, after=f"ON CONFLICT ({', '.join(primary[table])}) DO {action}")
                await _refusal(app, upsert, *theirs.values())
        assert await house.print_of(table, house.theirs) == before, table


async def test_their_id_reads_like_an_id_that_is_nowhere(house: House) -> None:
    project_id = await house.superuser.fetchval("SELECT project_id FROM project WHERE tenant_id = $1", house.theirs)
    said = []
    for foreign_id in (project_id, uuid7()):
        key = await house.row("api_key", house.ours) | {"project_id": foreign_id}
        async with _as_app(house, house.ours) as app:
            with pytest.raises(asyncpg.ForeignKeyViolationError) as caught:
                await app.execute(insertion("api_key", key), *key.values())
        said.append((str(caught.value), caught.value.detail.replace(str(foreign_id), "…")))
    assert said[0] == said[1]


async def test_without_a_tenant_nothing_is_seen_and_nothing_is_made(house: House) -> None:
    async with _as_app(house, None) as app:
        for table in house.tables:
            assert await app.fetchval(f"SELECT count(*) FROM {table}") == 0, table
        project = await house.row("project", house.ours)
        assert "row-level security" in await _refusal(app, insertion("project", project), *project.values())


async def test_a_partition_is_no_way_around_its_table(house: House) -> None:
    partitions = [row["name"] for row in await house.superuser.fetch(TABLES) if row["is_partition"]]
    assert partitions
    for role in (DatabaseRole.APP, DatabaseRole.METER, DatabaseRole.OPERATOR, DatabaseRole.SNAPSHOT):
        async with connected(house.url_of(role)) as connection:
            for partition in partitions:
                await _refusal(connection, f"SELECT FROM {partition}")
