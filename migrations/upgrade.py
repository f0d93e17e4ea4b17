"""Bring a database to the newest schema version; called by `signalbox migrate` and `signalbox up`."""

from pathlib import Path

import asyncpg
import sqlalchemy
from alembic import command
from alembic.config import Config
from sqlalchemy.ext.asyncio import create_async_engine

from migrations.errors import MigrationFailed
from tenants import connect_arguments

# Held while the versions run, so that starters that race migrate one after another.
MIGRATION_LOCK = 0x5167_6E61


async def upgrade(owner_url: str, *, lock_timeout_s: int = 5, statement_timeout_s: int = 600) -> None:
    """Apply all outstanding versions, each in a transaction of its own, as `signalbox_owner`.

    Raises MigrationFailed naming the version and the database's reason.
    """
    arguments = connect_arguments(owner_url)
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(**arguments), poolclass=sqlalchemy.NullPool
    )
    try:
        async with engine.connect() as connection:
            await connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({MIGRATION_LOCK})"))
            await connection.execute(sqlalchemy.text(f"SET lock_timeout = '{lock_timeout_s}s'"))
            await connection.execute(sqlalchemy.text(f"SET statement_timeout = '{statement_timeout_s}s'"))
            await connection.commit()
            await connection.run_sync(_run_versions)
    except (sqlalchemy.exc.SQLAlchemyError, asyncpg.PostgresError, OSError) as error:
        reason = getattr(error, "orig", None) or error
        raise MigrationFailed(
            f"The database could not be migrated: {reason}. Nothing of the failed version was kept; "
            "mend the cause and run `signalbox migrate` again."
        ) from error
    finally:
        await engine.dispose()


def _run_versions(connection: sqlalchemy.Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
