"""Settling that outlives its request: a caller that hangs up cannot keep its record from being written."""

import asyncio
from typing import Final

import structlog

from billing import BillingError, Meter, RequestRecord

RETRY_PAUSES_S: Final = (0.05, 0.2, 1.0, 3.0, 10.0)
log = structlog.get_logger(__name__)


class Settlement:
    """Hands records to the meter; every settlement is a task of its own, awaited but not cancelled with its caller."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._running: set[asyncio.Task[None]] = set()

    async def settle(self, record: RequestRecord) -> None:
        """Settle one record; committed on return."""
        await asyncio.shield(self.begin(record))

    def begin(self, record: RequestRecord) -> asyncio.Task[None]:
        """Settle one record that nobody waits for: a refusal is answered at once even when the database is away."""
        task = asyncio.create_task(self._settle(record))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def drain(self) -> None:
        """Wait for every settlement that still runs; called at shutdown."""
        while self._running:
            await asyncio.wait(self._running)

    async def _settle(self, record: RequestRecord) -> None:
        for pause_s in RETRY_PAUSES_S:
            try:
                return await self._meter.settle(record)
            except BillingError as error:
                log.warning("settlement_retried", request_id=str(record.request_id), reason=str(error))
                await asyncio.sleep(pause_s)
        await self._meter.settle(record)
        return None
