"""How many requests run at once, over all processes: a slot from admission to the end of a request.

One for each process, built by `app/main.py`. Invariant: of each limit at most as many requests run as it says,
whatever processes there are; a slot is taken from memory where this process has one to spare.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic_ns
from typing import Final
from uuid import UUID

from billing.batching import Batcher
from billing.connection import Connection
from billing.delivery import PROMPT_S, Delivery, Refusal
from billing.errors import BillingError, ConcurrencyLimited, MeterUnavailable
from billing.slot_leases import BEGIN_S, ConcurrencyLimit, Lease, SlotLeases
from billing.slot_repository import LeaseAnswer, LeaseQuestion, end_slot_leases, lease_batch
from tenants import Database

BATCH_MAX: Final = 64
QUEUE_MAX: Final = 10_000
# A request ends a little after its deadline: its record is written.
ENDING_S: Final = 30
# When it is looked at whether what was lent is used: who asked for it may have hung up.
TRIM_S: Final = 1


@dataclass(slots=True)
class _Ask:
    """A request waits for a slot, or this process has too many."""

    lease: Lease
    is_wanted: bool
    is_lent: bool = False


class Concurrency:
    """`deadline_s`: after which every request has ended, whatever happens."""

    def __init__(self, database: Database, process_id: UUID, *, deadline_s: float, prompt_s: float = PROMPT_S) -> None:
        self._process_id = process_id
        self._deadline_s = deadline_s + ENDING_S
        self._leases = SlotLeases(deadline_s=self._deadline_s)
        self._delivery = Delivery(database, timeout_s=prompt_s)
        self._batcher: Batcher[_Ask, bool] = Batcher(
            self._lease_all, batch_max=BATCH_MAX, queue_max=QUEUE_MAX, on_unheard=self._take_back
        )
        self._returned: set[UUID] = set()  # limits of which too much is on its way back

    async def enter(self, request_id: UUID, limits: Sequence[ConcurrencyLimit]) -> None:
        """Take a slot of every limit, or of none. Raises ConcurrencyLimited or MeterUnavailable."""
        lacking = self._leases.enter(request_id, limits, monotonic_ns())
        if not lacking:
            return
        try:
            for lease in lacking:
                await self._borrow(lease)
                self._leases.hold(request_id, lease)
        except BaseException:
            self.leave(request_id)
            raise

    def leave(self, request_id: UUID) -> None:
        """Give a request's slots back. Idempotent."""
        for lease in self._leases.leave(request_id):
            self._give_back(lease)

    async def close(self) -> None:
        """Give everything back; call it when no request runs any more."""
        await self._batcher.drain()

        async def end(connection: Connection, process_ids: Sequence[UUID]) -> Sequence[None]:
            for process_id in process_ids:
                await end_slot_leases(connection, process_id)
            return [None] * len(process_ids)

        if self._leases.has_any:
            await self._delivery.send(end, [self._process_id])

    async def _borrow(self, lease: Lease) -> None:
        """Get one slot from the database. Raises ConcurrencyLimited or MeterUnavailable."""
        asked = _Ask(lease, is_wanted=True)
        try:
            is_lent = await self._batcher.submit(asked)
        except BaseException:
            self._take_back(asked)  # lent, perhaps, in the same turn in which the request hung up
            raise
        if not is_lent:
            raise ConcurrencyLimited(lease.limit.scope, lease.limit.slots_max)

    def _take_back(self, asked: _Ask) -> None:
        if asked.is_lent:
            asked.is_lent = False
            if self._leases.take_back(asked.lease):
                self._give_back(asked.lease)

    def _trim(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            if lease.has_too_many:
                self._give_back(lease)

    def _give_back(self, lease: Lease) -> None:
        if lease.limit.limit_id in self._returned:
            return
        self._returned.add(lease.limit.limit_id)
        try:
            given = self._batcher.submit(_Ask(lease, is_wanted=False))
        except MeterUnavailable:
            self._returned.discard(lease.limit.limit_id)
            return
        given.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _lease_all(self, asked: Sequence[_Ask]) -> Sequence[bool | BillingError]:
        """Ask once for each limit, and lend what there is in the order of asking."""
        asked_at_ns = monotonic_ns()
        leases = {each.lease.limit.limit_id: each.lease for each in asked}
        self._returned.difference_update(leases)
        wanted = Counter(each.lease.limit.limit_id for each in asked if each.is_wanted)
        questions = [
            LeaseQuestion(limit=lease.limit, used=self._leases.freeze(lease), wanted=wanted[limit_id])
            for limit_id, lease in leases.items()
        ]
        failures: dict[UUID, MeterUnavailable] = {}
        for question, answer in zip(questions, await self._delivery.send(self._lease, questions), strict=True):
            limit_id = question.limit.limit_id
            if isinstance(answer, Refusal):
                failures[limit_id] = MeterUnavailable(f"{answer.reason} Nothing was charged.")
            elif isinstance(answer, MeterUnavailable):
                failures[limit_id] = answer
            else:
                is_enough = answer.granted >= question.used + question.wanted
                self._leases.keep(
                    leases[limit_id],
                    granted=answer.granted,
                    spare=answer.spare,
                    is_enough=is_enough,
                    asked_at_ns=asked_at_ns,
                )
        self._leases.forget_unused(asked_at_ns)
        asyncio.get_running_loop().call_later(TRIM_S, self._trim, list(leases.values()))
        for each in asked:
            each.is_lent = (
                each.is_wanted
                and each.lease.limit.limit_id not in failures
                and self._leases.lend(each.lease, asked_at_ns)
            )
        return [failures.get(each.lease.limit.limit_id) or each.is_lent for each in asked]

    async def _lease(self, connection: Connection, questions: Sequence[LeaseQuestion]) -> Sequence[LeaseAnswer]:
        lease_s = int(BEGIN_S + self._deadline_s)
        return await lease_batch(connection, self._process_id, questions, lease_s=lease_s)
