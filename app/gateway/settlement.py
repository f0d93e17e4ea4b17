"""Settling that outlives its request, and the database's absence.

A caller that hangs up cannot keep its record from being written. Invariant: a record that was handed
over is tried until the database has it; only refusals, and only beyond a bound, are given up and counted.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from billing import BillingError, Meter, RequestRecord, Traffic

RETRY_PAUSE_S: Final = 0.05
RETRY_PAUSE_S_MAX: Final = 5.0
# How long an answer is held back while its record cannot be written. Its reservation stands meanwhile.
ANSWER_HELD_S: Final = 5.0
# While the database is away every call is refused, and each refusal is a record that waits.
REFUSALS_WAITING_MAX: Final = 20_000
DRAIN_S_MAX: Final = 30.0
log = structlog.get_logger(__name__)


class Settlement:
    """Hands records to the meter; what does not settle at once goes on in a task of its own.

    With its record a request has ended, and gives back what it held of the tenant's limits.
    """

    def __init__(self, meter: Meter, traffic: Traffic, *, on_end: Callable[[RequestRecord], None]) -> None:
        """`on_end` hears of each record once."""
        self._meter = meter
        self._traffic = traffic
        self._on_end = on_end
        self._running: set[asyncio.Task[None]] = set()
        self.refusals_lost = 0

    async def settle(self, record: RequestRecord) -> None:
        """Settle one record; committed on return, unless the database is away for longer than an answer is held.

        A caller that is cancelled meanwhile leaves the settling to go on.
        """
        self._end(record)
        try:
            await self._meter.settle(record)
        except asyncio.CancelledError:
            # Handed over, perhaps: settling again counts nothing twice.
            self._start(record)
            raise
        except BillingError:
            await asyncio.wait({self._start(record)}, timeout=ANSWER_HELD_S)

    def begin(self, record: RequestRecord) -> None:
        """Settle one record that nobody waits for: a refusal is answered at once even when the database is away."""
        self._end(record)
        if not record.attempts and len(self._running) >= REFUSALS_WAITING_MAX:
            self.refusals_lost += 1
            if self.refusals_lost.bit_count() == 1:  # at 1, 2, 4, 8, …
                log.error("refusals_not_recorded", count=self.refusals_lost)
            return
        self._start(record)

    @property
    def waiting(self) -> int:
        """How many records go on being settled after their requests."""
        return len(self._running)

    async def drain(self) -> None:
        """Wait for every settlement that still runs; called at shutdown."""
        if self._running:
            _, unfinished = await asyncio.wait(set(self._running), timeout=DRAIN_S_MAX)
            for task in unfinished:
                task.cancel()
            if unfinished:
                log.error("settlements_unfinished", count=len(unfinished), after_s=DRAIN_S_MAX)

    def _end(self, record: RequestRecord) -> None:
        self._traffic.end(record)
        self._on_end(record)

    def _start(self, record: RequestRecord) -> asyncio.Task[None]:
        task = asyncio.create_task(self._settle(record))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _settle(self, record: RequestRecord) -> None:
        pause_s = RETRY_PAUSE_S
        while True:
            try:
                return await self._meter.settle(record)
            except BillingError as error:
                if pause_s == RETRY_PAUSE_S:
                    log.warning("settlement_retried", request_id=str(record.request_id), reason=str(error))
                await asyncio.sleep(pause_s)
                pause_s = min(RETRY_PAUSE_S_MAX, pause_s * 2)
