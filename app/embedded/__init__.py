"""The program's own PostgreSQL, for when no SIGNALBOX_DATABASE_URL is given."""

from app.embedded.postgres import EmbeddedPostgres, EmbeddedPostgresFailed

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresFailed"]
