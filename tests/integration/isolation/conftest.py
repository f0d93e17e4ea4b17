"""Two tenants with a row each in every table, the superuser who made them, and each role's own connection."""

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from app.embedded.postgres import SUPERUSER
from tests.integration.isolation.rows import Row, Shape, a_row, fill
from tests.migration.catalog import connected, tenant_tables


class House(NamedTuple):
    """A database with two tenants in it."""

    ours: UUID
    theirs: UUID
    tables: tuple[str, ...]
    shape: Shape
    superuser: asyncpg.Connection
    url_of: Callable[[str], str]

    async def row(self, table: str, tenant_id: UUID, *, text: str = "a", number: int = 1) -> Row:
        """A row that is not in the table yet."""
        return await a_row(self.superuser, self.shape, table, tenant_id, text=text, number=number)

    async def print_of(self, table: str, tenant_id: UUID) -> str:
        """Changes when any of the tenant's rows in the table does."""
        return await self.superuser.fetchval(
            f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t WHERE tenant_id = $1", tenant_id
        )


@pytest.fixture
async def house(database_url: Callable[[str], str]) -> AsyncIterator[House]:
    """Every table holds a row of ours and a row of theirs."""
    ours, theirs = uuid7(), uuid7()
    async with connected(database_url(SUPERUSER)) as superuser:
        shape = await Shape.read(superuser)
        await fill(superuser, shape, (ours, theirs))
        tables = tuple(await tenant_tables(superuser))
        house = House(ours, theirs, tables, shape, superuser, database_url)
        for table in tables:
            for tenant_id in (ours, theirs):
                assert await house.print_of(table, tenant_id), f"{table} has no row to hide"
        yield house
