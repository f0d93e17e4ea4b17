"""What the cross-tenant roles cannot do: read secrets, move budgets by hand, touch what is append-only."""

import asyncpg
import pytest

from app.embedded.postgres import SUPERUSER
from tenants import DatabaseRole
from tests.integration.isolation.conftest import House
from tests.migration.catalog import COLUMNS, connected

# The snapshot reads what the request path caches; of these tables nothing at all.
HIDDEN_FROM_SNAPSHOT = (
    "member", "console_session", "audit_event", "audit_link", "audit_checkpoint", "budget", "budget_period",
    "reservation", "rate_bucket", "request_record", "attempt", "usage_rollup", "ledger_posting", "ledger_entry",
    "dead_letter",
)  # fmt: skip
MOVED_BY_FUNCTIONS_ONLY = ("budget", "budget_period", "reservation", "rate_bucket")
AUDIT = ("audit_event", "audit_link", "audit_checkpoint")
# DEFAULT reads nothing, so that a refusal means the write and not the look before it.
WRITES = ("UPDATE {table} SET tenant_id = DEFAULT", "DELETE FROM {table}", "TRUNCATE {table} CASCADE")


async def _assert_denied(connection: asyncpg.Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)


async def _columns(house: House, table: str) -> list[str]:
    rows = await house.superuser.fetch(COLUMNS)
    return [row["name"] for row in rows if row["table_name"] == table]


async def test_the_snapshot_reads_no_secret_that_it_does_not_need(house: House) -> None:
    async with connected(house.url_of(DatabaseRole.SNAPSHOT)) as snapshot:
        assert await snapshot.fetchval("SELECT count(*) FROM api_key") == 2
        for table in HIDDEN_FROM_SNAPSHOT:
            for column in await _columns(house, table):
                await _assert_denied(snapshot, f"SELECT {column} FROM {table}")


async def test_the_snapshot_writes_nothing(house: House) -> None:
    async with connected(house.url_of(DatabaseRole.SNAPSHOT)) as snapshot:
        for table in house.tables:
            for write in WRITES:
                await _assert_denied(snapshot, write.format(table=table))
            await _assert_denied(snapshot, f"INSERT INTO {table} DEFAULT VALUES")


async def test_the_meter_moves_budgets_through_the_functions_or_not_at_all(house: House) -> None:
    async with connected(house.url_of(DatabaseRole.METER)) as meter:
        for table in MOVED_BY_FUNCTIONS_ONLY:
            for write in (*WRITES, "INSERT INTO {table} DEFAULT VALUES", "SELECT FROM {table}"):
                await _assert_denied(meter, write.format(table=table))
            for column in await _columns(house, table):
                await _assert_denied(meter, f"UPDATE {table} SET {column} = DEFAULT")
        assert await meter.fetchval("SELECT settle_attempts('{}', '{}', '{}')") == 0


async def test_the_operator_reads_no_password_and_no_credential(house: House) -> None:
    async with connected(house.url_of(DatabaseRole.OPERATOR)) as operator:
        assert await operator.fetchval("SELECT count(*) FROM tenant") == 2
        for table in ("member", "console_session", "api_key", "provider_credential", "tenant_key"):
            for column in await _columns(house, table):
                await _assert_denied(operator, f"SELECT {column} FROM {table}")


@pytest.mark.parametrize("role", [*DatabaseRole, SUPERUSER])
async def test_nobody_edits_the_audit_trail(house: House, role: str) -> None:
    """Not even the superuser by mistake: the trigger stands behind the grants."""
    before = [await house.print_of(table, house.ours) for table in AUDIT]
    async with connected(house.url_of(role)) as connection:
        for table in AUDIT:
            for write in WRITES:
                with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.RestrictViolationError)):
                    await connection.execute(write.format(table=table))
    assert [await house.print_of(table, house.ours) for table in AUDIT] == before


async def test_the_owner_sees_no_tenants_rows_where_no_function_needs_them(house: House) -> None:
    async with connected(house.url_of(DatabaseRole.OWNER)) as owner:
        for table in ("project", "api_key", "provider_credential", "tenant_key", "request_record", "ledger_entry"):
            assert await owner.fetchval(f"SELECT count(*) FROM {table}") == 0, table


async def test_no_tenant_makes_its_member_one_of_the_platforms_staff(house: House) -> None:
    async with connected(house.url_of(DatabaseRole.APP)) as app, app.transaction():
        await app.execute("SELECT set_config('signalbox.tenant_id', $1, true)", str(house.ours))
        with pytest.raises(asyncpg.CheckViolationError):
            async with app.transaction():
                await app.execute("UPDATE member SET role = 'operator'")
        assert await app.execute("UPDATE member SET role = 'admin'") == "UPDATE 1"
