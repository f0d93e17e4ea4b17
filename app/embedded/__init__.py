"""The program's own PostgreSQL, for when no SIGNALBOX_DATABASE_URL is given."""

from app.embedded.errors import EmbeddedError, EmbeddedPostgresFailed, HomeUnusable
from app.embedded.home import alone_in, prepare_home
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.supervisor import keep_running

__all__ = [
    "EmbeddedError",
    "EmbeddedPostgres",
    "EmbeddedPostgresFailed",
    "HomeUnusable",
    "alone_in",
    "keep_running",
    "prepare_home",
]
