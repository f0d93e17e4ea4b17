"""The oldest and the newest PostgreSQL we support, each with databases empty and migrated."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from uuid import uuid4

import asyncpg
import pytest

from app.embedded import EmbeddedPostgres
from app.embedded.postgres import SUPERUSER
from migrations import ROLES_SQL, upgrade
from tenants import DatabaseRole
from tests.migration.catalog import connected
from tests.migration.servers import POSTGRES_15, postgres_15

UrlOf = Callable[[str, str], str]


@pytest.fixture(scope="session", params=["embedded", "postgres_15"])
def server(request: pytest.FixtureRequest, postgres: EmbeddedPostgres) -> Iterator[UrlOf]:
    """The address by role and database of a server that has the roles and the migrated database `migrated`."""
    if request.param == "embedded":
        asyncio.run(_prepare(postgres.url))
        yield postgres.url
    elif POSTGRES_15.exists():
        with postgres_15() as socket_folder:

            def url_of(user: str, database: str) -> str:
                return f"postgresql+asyncpg://{user}@/{database}?host={socket_folder}"

            asyncio.run(_prepare(url_of))
            yield url_of
    else:
        pytest.skip(f"no PostgreSQL 15 in {POSTGRES_15}")


@pytest.fixture
async def catalog(server: UrlOf) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's view of a migrated database; only looked at."""
    async with connected(server(SUPERUSER, "migrated")) as connection:
        yield connection


@pytest.fixture
async def empty_url(server: UrlOf) -> AsyncIterator[Callable[[str], str]]:
    """The address by role of a database without anything in it."""
    name = f"empty_{uuid4().hex[:12]}"
    async with connected(server(SUPERUSER, "postgres")) as admin:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 OWNER {DatabaseRole.OWNER}")
        yield lambda role: server(role, name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def _prepare(url_of: UrlOf) -> None:
    async with connected(url_of(SUPERUSER, "postgres")) as admin:
        await admin.execute(ROLES_SQL.read_text())
        if await admin.fetchval("SELECT count(*) FROM pg_database WHERE datname = 'migrated'") == 0:
            await admin.execute(f"CREATE DATABASE migrated TEMPLATE template0 OWNER {DatabaseRole.OWNER}")
    await upgrade(url_of(DatabaseRole.OWNER, "migrated"))
