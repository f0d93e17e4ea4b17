"""A process's sign of life, and its look at what it holds without knowing why.

Used by `CommitMeter`. Invariants: a process is known to be alive before anything is held in its name; what
stays held by a living process belongs to a call that runs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

from billing.connection import Connection
from billing.delivery import Delivery
from billing.errors import MeterUnavailable
from billing.reservation_repository import beat_process, held_attempts

BEAT_EVERY_S: Final = 20
# How old a reservation is before somebody wonders whose it is: its release may still be on its way.
STRAY_AGE_S: Final = 60


class Heartbeat:
    """Beats from the first `start` to `stop`. `is_open` tells what belongs to a call, `release` lets go of the rest."""

    def __init__(
        self,
        delivery: Delivery,
        process_id: UUID,
        *,
        is_open: Callable[[UUID], bool],
        release: Callable[[UUID, UUID], Awaitable[None]],
        every_s: int = BEAT_EVERY_S,
    ) -> None:
        self._delivery = delivery
        self._process_id = process_id
        self._is_open = is_open
        self._release = release
        self._every_s = every_s
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Beat, and go on beating. Raises MeterUnavailable when nobody hears the first one."""
        if self._beating is None:
            await self.beat()
            self._beating = asyncio.get_running_loop().create_task(self._beat_on())

    async def stop(self) -> None:
        """Fall silent."""
        if self._beating is not None:
            self._beating.cancel()
            with suppress(asyncio.CancelledError):
                await self._beating
            self._beating = None

    async def beat(self) -> None:
        """Say once that the process lives. Raises MeterUnavailable."""
        await self._delivery.send(_beat, [self._process_id])

    async def release_strays(self, *, age_s: int = STRAY_AGE_S) -> int:
        """Release what is held here for nobody, because its release got lost; return how many."""

        async def held(connection: Connection, process_ids: Sequence[UUID]) -> list[list[tuple[UUID, UUID]]]:
            return [await held_attempts(connection, process_id, age_s=age_s) for process_id in process_ids]

        [found] = await self._delivery.send(held, [self._process_id])
        if not isinstance(found, list):
            return 0
        strays = [(tenant_id, attempt_id) for tenant_id, attempt_id in found if not self._is_open(attempt_id)]
        for tenant_id, attempt_id in strays:
            await self._release(tenant_id, attempt_id)
        return len(strays)

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            # The database is away: whoever holds anything then waits for it too.
            with suppress(MeterUnavailable):
                await self.beat()
                await self.release_strays()


async def _beat(connection: Connection, process_ids: Sequence[UUID]) -> list[None]:
    for process_id in process_ids:
        await beat_process(connection, process_id)
    return [None] * len(process_ids)
