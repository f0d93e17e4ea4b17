"""What every test may ask for: a real PostgreSQL, migrated, with a database of its own per test.

One server per test run (shared by xdist workers), one migrated template, and `CREATE DATABASE …
TEMPLATE` for each test that asks: 25–55 ms.
"""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from app.embedded import EmbeddedPostgres
from app.embedded.postgres import SUPERUSER
from migrations import ROLES_SQL, upgrade
from tenants import Database, DatabaseRole

# The whole gateway as fixtures, for the tests that need one.
pytest_plugins = ["tests.world"]

MIGRATED = "template_signalbox"
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server without durability, holding the migrated database MIGRATED."""
    folder = Path(tempfile.mkdtemp(prefix="sbx"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder / "pg", is_durable=False)
    server.start()
    try:
        asyncio.run(_make_template(server))
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _make_template(server: EmbeddedPostgres) -> None:
    admin = await asyncpg.connect(host=_host(server), user=SUPERUSER, database="postgres")
    await admin.execute(ROLES_SQL.read_text())
    await admin.execute(f"CREATE DATABASE {MIGRATED} OWNER {DatabaseRole.OWNER}")
    await admin.close()
    await upgrade(server.url(DatabaseRole.OWNER, MIGRATED))


@pytest.fixture
async def database_url(postgres: EmbeddedPostgres) -> AsyncIterator[Callable[[str], str]]:
    """The address by role name of a fresh, migrated database; superuser `signalbox_bootstrap` works too."""
    async with copied_database(postgres, MIGRATED) as url_of:
        yield url_of


@asynccontextmanager
async def copied_database(server: EmbeddedPostgres, template: str) -> AsyncIterator[Callable[[str], str]]:
    """The address by role name of a copy of a template, dropped at the end."""
    name = f"test_{os.getpid()}_{next(_numbers)}_{uuid4().hex[:6]}"
    admin = await asyncpg.connect(host=_host(server), user=SUPERUSER, database="postgres")
    await admin.execute(f"CREATE DATABASE {name} OWNER {DatabaseRole.OWNER} TEMPLATE {template} STRATEGY file_copy")
    yield lambda role: server.url(role, name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def database(database_url: Callable[[str], str]) -> AsyncIterator[Database]:
    """The sessions of a fresh, migrated database."""
    database = Database(database_url, connections_max=4)
    yield database
    await database.close()


def _host(server: EmbeddedPostgres) -> str:
    return server.url("any").rpartition("host=")[2]
