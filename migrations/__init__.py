"""The schema's history: Alembic versions, and the calls that bring a database and its roles up to date."""

from migrations.errors import MigrationFailed
from migrations.roles import ROLES_SQL, prepare_embedded, prepare_roles
from migrations.state import NEWEST_SERVER, OLDEST_SERVER, DatabaseState, database_state
from migrations.upgrade import upgrade

__all__ = [
    "NEWEST_SERVER",
    "OLDEST_SERVER",
    "ROLES_SQL",
    "DatabaseState",
    "MigrationFailed",
    "database_state",
    "prepare_embedded",
    "prepare_roles",
    "upgrade",
]
