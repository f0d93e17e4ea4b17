"""The schema's history: Alembic versions, and the calls that bring a database and its roles up to date."""

from migrations.errors import MigrationFailed
from migrations.roles import ROLES_SQL, prepare_embedded, prepare_roles
from migrations.upgrade import upgrade

__all__ = ["ROLES_SQL", "MigrationFailed", "prepare_embedded", "prepare_roles", "upgrade"]
