"""Natural micro-batches: send at once when nothing is in flight, else gather until the answer is back.

Used by `CommitMeter`, one for each kind of statement. An idle gateway pays no waiting time and a busy
one pays for few statements. Invariant: every submitted item gets exactly one answer or error.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from billing.errors import BillingError, DatabaseSilent, MeterUnavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batcher(Generic[Item, Answer]):
    """Groups items of one kind. `send` answers for each item in order, or raises for all of them.

    When the database is silent, what waits behind the batch has waited for it already, and fails with it.
    `on_unheard` is called with each item that was sent and whose caller did not wait for the answer.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | BillingError]]],
        *,
        batch_max: int,
        queue_max: int,
        on_unheard: Callable[[Item], None] = lambda item: None,
    ) -> None:
        self._send = send
        self._on_unheard = on_unheard
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._queue: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._sender: asyncio.Task[None] | None = None

    def submit(self, item: Item) -> asyncio.Future[Answer]:
        """Queue an item; the future holds its answer. Raises MeterUnavailable when the queue is full."""
        if len(self._queue) >= self._queue_max:
            raise MeterUnavailable(
                f"{self._queue_max:,} requests wait for the database already. Retry shortly; nothing was charged."
            )
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._queue.append((item, future))
        if self._sender is None:
            self._sender = loop.create_task(self._run())
        return future

    async def drain(self) -> None:
        """Wait until everything that was submitted is answered."""
        while self._sender is not None:
            await asyncio.wait([self._sender])

    async def _run(self) -> None:
        try:
            while self._queue:
                size = min(len(self._queue), self._batch_max)
                await self._send_batch([self._queue.popleft() for _ in range(size)])
        finally:
            self._sender = None

    async def _send_batch(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._send([item for item, _ in batch])
        except DatabaseSilent as error:
            batch = [*batch, *self._queue]
            self._queue.clear()
            answers = [error] * len(batch)
        except MeterUnavailable as error:
            answers = [error] * len(batch)
        except BaseException as error:
            # A bug, or the end of the loop: whoever waits must not wait for ever.
            _fail((*batch, *self._queue), error)
            self._queue.clear()
            raise
        for (item, future), answer in zip(batch, answers, strict=True):
            if future.done():
                self._on_unheard(item)
            elif isinstance(answer, BillingError):
                future.set_exception(answer)
            else:
                future.set_result(answer)


def _fail(batch: Iterable[tuple[object, asyncio.Future[Any]]], error: BaseException) -> None:
    for _, future in batch:
        if isinstance(error, asyncio.CancelledError):
            future.cancel()
        elif not future.done():
            future.set_exception(error)
