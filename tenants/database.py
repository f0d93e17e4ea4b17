"""Database sessions, one kind for each database role; the only place that commits.

Every transaction of a tenant starts by telling PostgreSQL whose it is, so row-level security shows
that tenant's rows and no others. Invariant: no session leaves here without its role's limits.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from tenants.errors import DatabaseUnavailable

# A request waits for what is read here.
SNAPSHOT_S_MAX: Final = 2.0
# What is raised when the database, or a connection to it, is away.
DATABASE_ERRORS: Final = (
    OSError,
    TimeoutError,
    DBAPIError,
    NoConnectionFree,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)


class DatabaseRole(StrEnum):
    """The five roles of infra/database/roles.sql."""

    OWNER = "signalbox_owner"
    APP = "signalbox_app"
    SNAPSHOT = "signalbox_snapshot"
    METER = "signalbox_meter"
    OPERATOR = "signalbox_operator"


class Base(DeclarativeBase):
    """The declarative base of every mapped table, in whichever folder it is owned."""


class Database:
    """Engines and pools by role. `url_of` gives the address that becomes a role."""

    def __init__(self, url_of: Callable[[DatabaseRole], str], *, connections_max: int = 10) -> None:
        self._url_of = url_of
        self._connections_max = connections_max
        self._engines: dict[DatabaseRole, AsyncEngine] = {}
        self._meter_pool: asyncpg.Pool | None = None
        self._meter_pool_lock = asyncio.Lock()

    @asynccontextmanager
    async def tenant(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        """One transaction as `signalbox_app` that sees this tenant's rows; commits unless an error leaves it."""
        async with self._transaction(DatabaseRole.APP) as session:
            await session.execute(
                text("SELECT set_config('signalbox.tenant_id', :tenant_id, true)"), {"tenant_id": str(tenant_id)}
            )
            yield session

    @asynccontextmanager
    async def nobody(self) -> AsyncIterator[AsyncSession]:
        """One transaction as `signalbox_app` without a tenant: it sees no tenant's rows; for signing in."""
        async with self._transaction(DatabaseRole.APP) as session:
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """One read-only transaction over the columns that the request path caches, of all tenants; never long.

        Raises TimeoutError when the database is silent.
        """
        async with asyncio.timeout(SNAPSHOT_S_MAX), self._transaction(DatabaseRole.SNAPSHOT) as session:
            await session.execute(text("SET TRANSACTION READ ONLY"))
            yield session

    @asynccontextmanager
    async def across_tenants(self) -> AsyncIterator[AsyncSession]:
        """One transaction as `signalbox_operator`. The caller records the use in the audit trail in it."""
        async with self._transaction(DatabaseRole.OPERATOR) as session:
            yield session

    async def ping(self, *, timeout_s: float) -> None:
        """Ask the database for a sign of life. Raises DatabaseUnavailable when none comes in time."""
        try:
            async with asyncio.timeout(timeout_s), self.nobody() as session:
                await session.execute(text("SELECT 1"))
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError) as error:
            raise DatabaseUnavailable from error

    async def meter_pool(self) -> asyncpg.Pool:
        """The bare asyncpg pool of `signalbox_meter`, for the batched statements of the request path."""
        async with self._meter_pool_lock:
            if self._meter_pool is None:
                self._meter_pool = await asyncpg.create_pool(
                    **connect_arguments(self._url_of(DatabaseRole.METER)),
                    min_size=1,
                    max_size=self._connections_max,
                    reset=_end_transaction,
                )
            return self._meter_pool

    async def listener(self) -> asyncpg.Connection:
        """A connection of its own for LISTEN; the caller closes it."""
        return await asyncpg.connect(**connect_arguments(self._url_of(DatabaseRole.SNAPSHOT)))

    async def close(self) -> None:
        """Close every connection; running transactions are rolled back."""
        for engine in self._engines.values():
            await engine.dispose()
        if self._meter_pool is not None:
            await self._meter_pool.close()

    @asynccontextmanager
    async def _transaction(self, role: DatabaseRole) -> AsyncIterator[AsyncSession]:
        engine = self._engines.get(role)
        if engine is None:
            arguments = connect_arguments(self._url_of(role))
            engine = create_async_engine(
                "postgresql+asyncpg://",
                async_creator=lambda: asyncpg.connect(**arguments),
                pool_size=self._connections_max,
                max_overflow=0,
            )
            self._engines[role] = engine
        async with async_sessionmaker(engine, expire_on_commit=False)() as session, session.begin():
            yield session


async def _end_transaction(connection: asyncpg.Connection) -> None:
    """Ready a connection of the meter for the next batch: its statements leave nothing else behind to reset."""
    if connection.is_in_transaction():
        await connection.reset()


def connect_arguments(url: str) -> dict[str, object]:
    """What asyncpg takes for an address; `?sslmode=` and `?role=` are understood."""
    parts = make_url(url)
    # `?role=` makes a shared login become the role; an embedded server has one login per role instead.
    settings = {"role": str(parts.query["role"])} if "role" in parts.query else {}
    return {
        "host": parts.query.get("host", parts.host), "port": parts.port, "user": parts.username,
        "password": parts.password, "database": parts.database, "server_settings": settings,
        "ssl": parts.query.get("sslmode"),
    }  # fmt: skip
