"""Make the five database roles, and what the owner needs before the first version can run.

Called before `upgrade`. Idempotent; on a database whose roles a DBA has made it changes nothing and
needs no right to create any.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from migrations.errors import MigrationFailed
from tenants import DatabaseRole, connect_arguments

ROLES_SQL = Path(__file__).parent.parent / "infra" / "database" / "roles.sql"


async def prepare_embedded(superuser_url: str, database: str) -> None:
    """Make the roles and the database on our own server, as its superuser. Raises MigrationFailed."""
    async with _making_roles(superuser_url) as connection:
        await connection.execute(ROLES_SQL.read_text())
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            await connection.execute(f"CREATE DATABASE {database} OWNER {DatabaseRole.OWNER}")


async def prepare_roles(url: str) -> None:
    """Make the roles through the login of the settings, and let it become each of them. Raises MigrationFailed."""
    async with _making_roles(url) as connection:
        present = await connection.fetchval(
            "SELECT count(*) FROM pg_roles WHERE rolname = ANY ($1::text[])", [str(role) for role in DatabaseRole]
        )
        if present < len(DatabaseRole):
            await connection.execute(ROLES_SQL.read_text())
        for role in DatabaseRole:
            if not await connection.fetchval("SELECT pg_has_role(current_user, $1, 'MEMBER')", str(role)):
                await connection.execute(f"GRANT {role} TO CURRENT_USER")
        if not await connection.fetchval(
            "SELECT has_schema_privilege($1, 'public', 'CREATE')", str(DatabaseRole.OWNER)
        ):
            await connection.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {DatabaseRole.OWNER}")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection by the settings' own login. Raises MigrationFailed when there is none."""
    arguments = connect_arguments(url)
    try:
        connection = await asyncpg.connect(**arguments, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        where = f"{arguments['host'] or 'localhost'}:{arguments['port'] or 5432}"
        raise MigrationFailed(
            f"The database at {where} cannot be reached: {str(error) or type(error).__name__}. "
            "Check SIGNALBOX_DATABASE_URL, and that PostgreSQL runs and lets this user in."
        ) from error
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def _making_roles(url: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(url) as connection:
        try:
            yield connection
        except asyncpg.PostgresError as error:
            raise MigrationFailed(
                f"The database roles could not be made: {error}. Let an administrator run "
                "infra/database/roles.sql and grant the roles to this login, or give it CREATEROLE."
            ) from error
