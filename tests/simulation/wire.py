"""What lies between a process and the database: latency, lost questions, lost answers, deadlocks, a cut, a kill.

It stands where `Database` stands and hands out what asyncpg's pool hands out. Invariant: a statement that was
answered has happened; of one that was not answered nobody here knows.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NoReturn
from uuid import UUID

import asyncpg

from tests.simulation.store import Store

LATENCY_S = 0.02


class Mishap(Enum):
    """What becomes of a statement."""

    NONE = auto()
    QUESTION_LOST = auto()
    ANSWER_LOST = auto()
    NO_ANSWER = auto()  # it happens, and the connection hangs
    DEADLOCK = auto()


@dataclass(slots=True)
class Weather:
    """How likely each mishap is, in thousandths."""

    question_lost: int = 0
    answer_lost: int = 0
    no_answer: int = 0
    deadlock: int = 0

    def next(self, dice: random.Random) -> Mishap:
        """What becomes of the next statement."""
        throw = dice.randrange(1000)
        for mishap, weight in (
            (Mishap.QUESTION_LOST, self.question_lost),
            (Mishap.ANSWER_LOST, self.answer_lost),
            (Mishap.NO_ANSWER, self.no_answer),
            (Mishap.DEADLOCK, self.deadlock),
        ):
            if throw < weight:
                return mishap
            throw -= weight
        return Mishap.NONE

    def clear(self) -> None:
        """From now on nothing happens."""
        self.question_lost = self.answer_lost = self.no_answer = self.deadlock = 0


class Wire:
    """One process's way to the store: the pool and its only connection in one."""

    def __init__(self, store: Store, lock: asyncio.Lock, dice: random.Random, weather: Weather) -> None:
        self.is_cut = False
        self.is_dead = False
        self._store, self._lock, self._dice, self._weather = store, lock, dice, weather

    async def meter_pool(self) -> "Wire":
        """As of `Database`."""
        return self

    def tenant(self, tenant_id: UUID) -> NoReturn:
        """The names of budgets are not simulated: a refusal has no words."""
        raise OSError("names are not simulated")

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["Connection"]:
        """As of asyncpg's pool."""
        yield Connection(self)


class Connection:
    """As of asyncpg."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._is_in_transaction = False

    async def fetch(self, sql: str, *arguments: Any) -> Any:
        """Rows."""
        return await self._run(sql, arguments)

    async def fetchval(self, sql: str, *arguments: Any) -> Any:
        """One value."""
        return await self._run(sql, arguments)

    async def execute(self, sql: str, *arguments: Any) -> Any:
        """Nothing."""
        return await self._run(sql, arguments)

    def terminate(self) -> None:
        """Nothing is open that could be closed."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All or nothing of what runs inside; nobody else runs meanwhile."""
        store = self._wire._store
        async with self._wire._lock:
            before = store.tables.copied()
            self._is_in_transaction = True
            try:
                yield
            except BaseException:
                store.tables = before
                raise
            finally:
                self._is_in_transaction = False
        await self._come_back(self._wire._weather.next(self._wire._dice))

    async def _run(self, sql: str, arguments: tuple[Any, ...]) -> Any:
        wire = self._wire
        mishap = wire._weather.next(wire._dice)
        await asyncio.sleep(wire._dice.random() * LATENCY_S)
        if wire.is_cut or wire.is_dead:
            await _for_ever()
        match mishap:
            case Mishap.QUESTION_LOST:
                raise OSError("the question was lost")
            case Mishap.DEADLOCK:
                raise asyncpg.DeadlockDetectedError("deadlock detected")
        if self._is_in_transaction:
            return wire._store.execute(sql, arguments, asyncio.get_running_loop().time())
        async with wire._lock:
            if wire.is_dead:
                await _for_ever()
            result = wire._store.execute(sql, arguments, asyncio.get_running_loop().time())
        await self._come_back(mishap)
        return result

    async def _come_back(self, mishap: Mishap) -> None:
        wire = self._wire
        await asyncio.sleep(wire._dice.random() * LATENCY_S)
        if mishap is Mishap.NO_ANSWER or wire.is_cut or wire.is_dead:
            await _for_ever()
        if mishap is Mishap.ANSWER_LOST:
            raise OSError("the answer was lost")


async def _for_ever() -> NoReturn:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody sets it")
