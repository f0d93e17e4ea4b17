"""How a database stands: its release, its roles, its schema. Looks, and changes nothing.

Called by `signalbox doctor`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic.script import ScriptDirectory

from migrations.roles import connected
from tenants import DatabaseRole

OLDEST_SERVER: Final = 15
NEWEST_SERVER: Final = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """What was found. `roles_missing` are not there, or cannot be become by the login."""

    server_version: int
    roles_missing: tuple[str, ...]
    schema_version: str | None
    newest_schema_version: str | None

    @property
    def is_supported(self) -> bool:
        """Whether this release of PostgreSQL is one that the program is tested with."""
        return OLDEST_SERVER <= self.server_version <= NEWEST_SERVER

    @property
    def is_migrated(self) -> bool:
        """Whether the schema is this program's."""
        return self.schema_version == self.newest_schema_version


async def database_state(url: str) -> DatabaseState:
    """Look at a database through the login of the settings. Raises MigrationFailed when it cannot be reached."""
    roles = [str(role) for role in DatabaseRole]
    async with connected(url) as connection:
        version = await connection.fetchval("SELECT current_setting('server_version_num')::int / 10000")
        usable = await connection.fetch(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY ($1::text[]) AND pg_has_role(current_user, oid, 'MEMBER')",
            roles,
        )
        missing = tuple(role for role in roles if role not in {row["rolname"] for row in usable})
        schema = None
        if DatabaseRole.OWNER not in missing:
            await connection.execute(f"SET ROLE {DatabaseRole.OWNER}")
            if await connection.fetchval("SELECT to_regclass('schema_version') IS NOT NULL"):
                schema = await connection.fetchval("SELECT version_num FROM schema_version")
    newest = ScriptDirectory(str(Path(__file__).parent)).get_current_head()
    return DatabaseState(
        server_version=version, roles_missing=missing, schema_version=schema, newest_schema_version=newest
    )
