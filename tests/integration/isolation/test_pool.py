"""Pooled connections carry nothing from one tenant to the next, also when sessions are cancelled half-way."""

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import text

from tenants import Database
from tests.integration.isolation.conftest import House

SESSIONS = 300
CANCELLED_SHARE = 0.4
CONNECTIONS = 4
LONGEST_WAIT_S = 0.03
LOOKS_MAX = 200


@pytest.fixture
async def narrow(house: House) -> AsyncIterator[Database]:
    """So few connections that every one serves both tenants."""
    database = Database(house.url_of, connections_max=CONNECTIONS)
    yield database
    await database.close()


async def _look(database: Database, tenant_id: UUID, pause_s: float) -> set[UUID]:
    async with database.tenant(tenant_id) as session:
        before = await session.execute(text("SELECT tenant_id FROM project"))
        await session.execute(text("SELECT pg_sleep(:pause_s)"), {"pause_s": pause_s})
        after = await session.execute(text("SELECT tenant_id FROM api_key"))
        return {*before.scalars(), *after.scalars()}


async def test_no_session_sees_the_other_tenant_while_others_are_cancelled(house: House, narrow: Database) -> None:
    chance = random.Random(20261124)
    looks = [
        (tenant_id, asyncio.create_task(_look(narrow, tenant_id, chance.random() * LONGEST_WAIT_S / 10)))
        for tenant_id in chance.choices((house.ours, house.theirs), k=SESSIONS)
    ]
    for _, look in looks:
        if chance.random() < CANCELLED_SHARE:
            await asyncio.sleep(chance.random() * LONGEST_WAIT_S / 10)
            look.cancel()
    seen = await asyncio.gather(*(look for _, look in looks), return_exceptions=True)
    finished = [(tenant_id, rows) for (tenant_id, _), rows in zip(looks, seen, strict=True) if isinstance(rows, set)]
    assert all(isinstance(rows, set | asyncio.CancelledError) for rows in seen)
    assert {tenant_id for tenant_id, _ in finished} == {house.ours, house.theirs}
    assert len(finished) < SESSIONS
    assert all(rows == {tenant_id} for tenant_id, rows in finished)
    await _assert_clean(house, narrow)


async def test_a_connection_forgets_its_tenant_with_the_transaction(house: House) -> None:
    database = Database(house.url_of, connections_max=1)
    async with database.tenant(house.ours) as session:
        assert (await session.execute(text("SELECT count(*) FROM project"))).scalar_one() == 1
    async with database.nobody() as session:
        assert (await session.execute(text("SELECT count(*) FROM project"))).scalar_one() == 0
    with pytest.raises(RuntimeError, match="half-way"):
        async with database.tenant(house.theirs) as session:
            raise RuntimeError("half-way")
    async with database.nobody() as session:
        assert (await session.execute(text("SELECT count(*) FROM project"))).scalar_one() == 0
    await database.close()


async def _assert_clean(house: House, database: Database) -> None:
    for _ in range(CONNECTIONS):
        async with database.nobody() as session:
            assert (await session.execute(text("SELECT count(*) FROM project"))).scalar_one() == 0
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'signalbox_app' AND state LIKE 'idle in%'"
    for _ in range(LOOKS_MAX):
        if not await house.superuser.fetchval(open_ones):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("a transaction was left open")
