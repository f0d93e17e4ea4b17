"""Builders of the tenancy tests: a vault and two tenants in a real database."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from tenants import Actor, CreatedTenant, Database, Vault, create_platform, create_tenant

OPERATOR = Actor(kind="operator", id="0190aaaa", name="operator@signalbox.test")
MEMBER = Actor(kind="member", id="0190bbbb", name="ada@acme.test")

Events = Callable[[UUID], Awaitable[list[dict[str, object]]]]


@pytest.fixture
def operator() -> Actor:
    return OPERATOR


@pytest.fixture
def member() -> Actor:
    return MEMBER


@pytest.fixture
def vault() -> Vault:
    return Vault(bytes(range(32)))


@pytest.fixture
async def platform(database: Database, vault: Vault) -> CreatedTenant:
    made = await create_platform(database, vault, operator_email="operator@signalbox.test")
    assert made is not None
    return made


@pytest.fixture
async def tenant(database: Database, vault: Vault) -> CreatedTenant:
    return await create_tenant(database, vault, OPERATOR, name="Acme", owner_email="owner@acme.test")


@pytest.fixture
async def other_tenant(database: Database, vault: Vault) -> CreatedTenant:
    return await create_tenant(database, vault, OPERATOR, name="Globex", owner_email="owner@globex.test")


@pytest.fixture
def events(database: Database) -> Events:
    """The audit events of a tenant, oldest first."""

    async def read(tenant_id: UUID) -> list[dict[str, object]]:
        async with database.tenant(tenant_id) as session:
            rows = await session.execute(text("SELECT payload FROM audit_event ORDER BY audit_event_id"))
            return [json.loads(row.payload) for row in rows]

    return read


@pytest.fixture
async def admin(database_url: Callable[[str], str]) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection, for what no role of ours may do."""
    parts = make_url(database_url("signalbox_bootstrap"))
    connection = await asyncpg.connect(host=str(parts.query["host"]), user=parts.username, database=parts.database)
    yield connection
    await connection.close()
