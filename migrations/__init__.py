"""The schema's history: Alembic versions and the call that brings a database up to date."""

from migrations.upgrade import MigrationFailed, upgrade

__all__ = ["MigrationFailed", "upgrade"]
