"""Fixtures of the console's tests: the platform, two tenants, and browsers of each.

They are made once, in a template of their own: passwords are slow to hash on purpose.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
from httpx import AsyncClient

from app.embedded import EmbeddedPostgres
from app.embedded.postgres import SUPERUSER
from tenants import Database, DatabaseRole, TenantKind, Vault, sign_in
from tests.conftest import MIGRATED, copied_database
from tests.integration.dashboard.builders import (
    MASTER_KEY,
    PASSWORD,
    Customer,
    a_browser,
    a_customer,
    a_platform,
    an_app,
)

Browser = AsyncClient


@dataclass(frozen=True, slots=True)
class Prepared:
    """What stands in the template, with a session of a member and one of the operator."""

    template: str
    operator_email: str
    acme: Customer
    globex: Customer
    member_cookie: str
    staff_cookie: str


@pytest.fixture(scope="session")
def prepared(postgres: EmbeddedPostgres) -> Prepared:
    return asyncio.run(_prepare(postgres))


async def _prepare(postgres: EmbeddedPostgres) -> Prepared:
    template = f"template_console_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(host=postgres.url("any").rpartition("host=")[2], user=SUPERUSER, database="postgres")
    await admin.execute(f"CREATE DATABASE {template} OWNER {DatabaseRole.OWNER} TEMPLATE {MIGRATED}")
    await admin.close()
    database, vault = Database(lambda role: postgres.url(role, template)), Vault(MASTER_KEY)
    operator_email = await a_platform(database, vault)
    acme, globex = (
        await a_customer(database, vault, "Acme"),
        await a_customer(database, vault, "Globex", plan_id="free"),
    )
    member = await sign_in(database, acme.email, PASSWORD, within=TenantKind.CUSTOMER)
    staff = await sign_in(database, operator_email, PASSWORD, within=TenantKind.PLATFORM)
    await database.close()
    return Prepared(template, operator_email, acme, globex, member.cookie_value, staff.cookie_value)


@pytest.fixture
async def database(postgres: EmbeddedPostgres, prepared: Prepared) -> AsyncIterator[Database]:
    """A copy of the template."""
    async with copied_database(postgres, prepared.template) as url_of:
        database = Database(url_of, connections_max=4)
        yield database
        await database.close()


@pytest.fixture
def operator_email(prepared: Prepared) -> str:
    return prepared.operator_email


@pytest.fixture
def acme(prepared: Prepared) -> Customer:
    return prepared.acme


@pytest.fixture
def globex(prepared: Prepared) -> Customer:
    return prepared.globex


@pytest.fixture
async def anybody(database: Database) -> AsyncIterator[Browser]:
    """A browser that is not signed in."""
    async with a_browser(an_app(database)) as client:
        yield client


@pytest.fixture
async def member(database: Database, prepared: Prepared) -> AsyncIterator[Browser]:
    """A browser signed in as Acme's owner."""
    async with a_browser(an_app(database)) as client:
        client.cookies.set("signalbox_session", prepared.member_cookie, domain="testserver.local")
        yield client


@pytest.fixture
async def staff(database: Database, prepared: Prepared) -> AsyncIterator[Browser]:
    """A browser signed in as the operator."""
    async with a_browser(an_app(database)) as client:
        client.cookies.set("signalbox_staff", prepared.staff_cookie, domain="testserver.local")
        yield client
