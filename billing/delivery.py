"""How a batch reaches PostgreSQL: a time limit, retries of deadlocks, and one by one after a refusal.

Used by `CommitMeter`. Invariant: an answer says whose fault it is: the row's (`Refusal`, sending again is
useless) or the server's (`MeterUnavailable`, sending again is right).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import asyncpg

from billing.connection import Connection
from billing.errors import DatabaseSilent, MeterUnavailable
from tenants import Database

# A call that finds no database is refused within a second; what was done is written with more patience.
PROMPT_S: Final = timedelta(milliseconds=800).total_seconds()
PATIENT_S: Final = 5

# Batches of several processes may deadlock over one hot tenant's rows; PostgreSQL ends one of them.
RETRIES_MAX: Final = 3
ROLLED_BACK_CLASS: Final = "40"
# The SQLSTATE classes that speak of our rows: data, integrity, limits, raised by our functions.
# https://www.postgresql.org/docs/18/errcodes-appendix.html, read 2026-11-24
REFUSED_CLASSES: Final = frozenset({"22", "23", "54", "P0"})

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Statement = Callable[[Connection, Sequence[Item]], Awaitable[Sequence[Answer]]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the database refuses a row: the error's code, and never a value."""

    reason: str


class _RowRefused(Exception):
    """The database refuses a batch for a row in it."""


class _RolledBack(Exception):
    """A deadlock or a serialization failure: the same batch may pass now."""


class Delivery:
    """Sends batches over the pool of `signalbox_meter`."""

    def __init__(self, database: Database, *, timeout_s: float = PATIENT_S) -> None:
        self._database = database
        self._timeout_s = timeout_s

    async def send(
        self, statement: Statement[Item, Answer], items: Sequence[Item]
    ) -> Sequence[Answer | Refusal | MeterUnavailable]:
        """Run a statement for a batch; when it is refused, for each item alone, so that a bad row fails by itself.

        Raises MeterUnavailable when the whole batch failed.
        """
        try:
            return await self._send(statement, items)
        except _RowRefused as refusal:
            if len(items) == 1:
                return [Refusal(str(refusal))]
        answers: list[Answer | Refusal | MeterUnavailable] = []
        for item in items:
            try:
                answers += await self._send(statement, [item])
            except _RowRefused as refusal:
                answers.append(Refusal(str(refusal)))
            except MeterUnavailable as error:
                answers.append(error)
        return answers

    async def _send(self, statement: Statement[Item, Answer], items: Sequence[Item]) -> Sequence[Answer]:
        for _ in range(RETRIES_MAX):
            try:
                return await self._try(statement, items)
            except _RolledBack:
                continue
        raise MeterUnavailable(f"The database rolled a batch back {RETRIES_MAX} times. Nothing was charged; retry.")

    async def _try(self, statement: Statement[Item, Answer], items: Sequence[Item]) -> Sequence[Answer]:
        try:
            async with asyncio.timeout(self._timeout_s):
                pool = await self._database.meter_pool()
                async with pool.acquire() as connection:
                    return await _run(statement, connection, items)
        except asyncpg.PostgresError as error:
            raise _translated(error) from error
        except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            # Parameters that cannot be encoded are an InterfaceError too, and a ValueError.
            if isinstance(error, ValueError):
                raise _RowRefused(f"The row cannot be sent: {type(error).__name__}.") from error
            raise _unavailable(error) from error
        except (ValueError, TypeError, OverflowError) as error:
            raise _RowRefused(f"The row cannot be written: {type(error).__name__}.") from error


async def _run(statement: Statement[Item, Answer], connection: Connection, items: Sequence[Item]) -> Sequence[Answer]:
    try:
        return await statement(connection, items)
    except asyncio.CancelledError:
        # To give it back would mean to wait until the server has confirmed that it stopped: for ever, if it is silent.
        connection.terminate()
        raise


def _translated(error: asyncpg.PostgresError) -> Exception:
    sqlstate = str(error.sqlstate or "")
    if sqlstate[:2] == ROLLED_BACK_CLASS:
        return _RolledBack(sqlstate)
    if sqlstate[:2] in REFUSED_CLASSES:
        return _RowRefused(f"The database refuses the row: {type(error).__name__} ({sqlstate}).")
    return _unavailable(error)


def _unavailable(error: BaseException) -> DatabaseSilent:
    return DatabaseSilent(
        f"The database did not take a batch in time ({type(error).__name__}). Nothing was charged; retry shortly."
    )
