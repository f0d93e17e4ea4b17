"""Bugs that could have been written: each is planted by replacing one function, and the simulation must find it.

Used by `test_simulation.py`. Invariant: a row that is no longer found is a simulation that stopped looking.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import msgspec
import pytest

import billing.commit_meter as meter_module
import billing.interruption as interruption
import billing.lost_calls as lost_calls
import billing.settlement_repository as settlements
from billing.adjustment_repository import ADJUST
from billing.allowance import _Allowance
from billing.batching import Batcher
from billing.commit_meter import CommitMeter
from billing.delivery import Delivery, _RolledBack
from billing.errors import DatabaseSilent
from billing.heartbeat import Heartbeat
from tests.simulation import store
from tests.simulation.store import Store

Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One bug, in words, and how it is planted."""

    name: str
    plant: Plant


def _replaced(owner: Any, name: str, function: Any) -> Plant:
    return lambda patch: patch.setattr(owner, name, function)


async def _nothing(*_: Any, **__: Any) -> None:
    return None


def _settle_counted_twice(patch: pytest.MonkeyPatch) -> None:
    real = Store.record

    def record(self: Store, now_s: float, rollups: str, postings: str, records: str, *rest: Any) -> int:
        for row in json.loads(records):
            self.tables.records.pop(UUID(row["request_id"]), None)
        return real(self, now_s, rollups, postings, records, *rest)

    patch.setattr("tests.simulation.store._STATEMENTS", _statements(settlements.SETTLE, record))


def _release_after_settle(patch: pytest.MonkeyPatch) -> None:
    real = Store.settle

    def settle(self: Store, now_s: float, *rows: Any) -> int:
        ended = {each: self.tables.reservations.get(each) for each in rows[1]}
        count = real(self, now_s, *rows)
        for attempt_id, held in ended.items():
            if held is not None and held.state == "released":
                self._move(held.budget_ids, reserved=-held.amount)
                self.tables.reservations.pop(attempt_id, None)
        return count

    patch.setattr(Store, "settle", settle)


def _reserved_in_part(patch: pytest.MonkeyPatch) -> None:
    real = Store._covering
    patch.setattr(Store, "_covering", lambda self, key: real(self, key)[:1])


def _held_over_the_limit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        Store,
        "_fits",
        lambda self, each, amount: self.tables.budgets[each].spent + amount <= self.tables.budgets[each].limit,
    )


def _orphan_settled_twice(patch: pytest.MonkeyPatch) -> None:
    def settle(self: Store, now_s: float, tenants: Any, attempts: Any, charges: Any, is_lost: bool = False) -> int:
        for attempt_id in attempts:
            held = self.tables.reservations.get(attempt_id)
            if held is not None and held.state == "orphaned":
                self.tables.reservations[attempt_id] = replace(held, state="released")
        return Store.settle(self, now_s, tenants, attempts, charges, is_lost)

    patch.setattr("tests.simulation.store._STATEMENTS", _statements(ADJUST, _adjusting_with(settle)))


def _adjusting_with(settle: Any) -> Any:
    def adjust(self: Store, now_s: float, *arguments: Any) -> int:
        plain = self.settle
        self.settle = lambda *rest: settle(self, *rest)
        try:
            return Store.adjust(self, now_s, *arguments)
        finally:
            self.settle = plain

    return adjust


def _statements(beginning: str, run: Any) -> dict[str, Any]:
    return {**store._STATEMENTS, beginning: run}


def _silence_is_consent(patch: pytest.MonkeyPatch) -> None:
    """An answer that did not come is taken for a yes."""
    real = CommitMeter._reserve_all

    async def reserve_all(self: CommitMeter, reservations: Sequence[Any]) -> Any:
        try:
            return await real(self, reservations)
        except DatabaseSilent:
            return [None] * len(reservations)

    patch.setattr(CommitMeter, "_reserve_all", reserve_all)


def _deadlock_is_success(patch: pytest.MonkeyPatch) -> None:
    real = Delivery._try

    async def attempt(self: Delivery, statement: Any, items: Sequence[Any]) -> Any:
        try:
            return await real(self, statement, items)
        except _RolledBack:
            return [None] * len(items)

    patch.setattr(Delivery, "_try", attempt)


def _queue_forgotten(patch: pytest.MonkeyPatch) -> None:
    """After a failed batch what waits is forgotten, and whoever waits for it waits for ever."""
    real = Batcher._send_batch

    async def send_batch(self: Any, batch: Any) -> None:
        await real(self, batch)
        if any(future.done() and not future.cancelled() and future.exception() for _, future in batch):
            self._queue.clear()

    patch.setattr(Batcher, "_send_batch", send_batch)


def _kept_over_a_change(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CommitMeter, "drop", lambda self, tenant_id: None)
    patch.setattr("billing.allowance.AGE_NS_MAX", 60_000_000_000)
    patch.setattr(_Allowance, "is_scarce", lambda self: False)
    patch.setattr(_Allowance, "empty", lambda self, age_ns: None)


def _dead_too_early(patch: pytest.MonkeyPatch) -> None:
    def lost(self: Store, now_s: float, silent_s: int, rows_max: int) -> Any:
        return Store.lost(self, now_s, silent_s // 60, rows_max)

    patch.setattr("tests.simulation.store._STATEMENTS", _statements("SELECT * FROM lost_reservations", lost))


def _no_adjustment(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(settlements, "_adjust", _nothing)


def _lost_for_nothing(patch: pytest.MonkeyPatch) -> None:
    real = interruption._interrupted

    def interrupted(attempt: Any, number: int) -> Any:
        return msgspec.structs.replace(real(attempt, number), billed_nano_usd=0)

    patch.setattr(interruption, "_interrupted", interrupted)


def _spare_is_lost(patch: pytest.MonkeyPatch) -> None:
    """What a settled request left held is recorded as a call of its own."""

    async def nobody(*_: Any) -> set[Any]:
        return set()

    patch.setattr(lost_calls, "stored_requests", nobody)


MUTATIONS = (
    Mutation("a record is counted each time it is settled", _settle_counted_twice),
    Mutation("what was released is given back once more when it is settled", _release_after_settle),
    Mutation("only the first budget holds an attempt", _reserved_in_part),
    Mutation("what is held already is left out of the limit", _held_over_the_limit),
    Mutation("a guess is not taken back when the truth comes", _orphan_settled_twice),
    Mutation("silence is consent", _silence_is_consent),
    Mutation("a rolled back batch is taken for done", _deadlock_is_success),
    Mutation("what waits behind a failed batch is forgotten", _queue_forgotten),
    Mutation("a grant is kept over a change of a cap", _kept_over_a_change),
    Mutation("a grant does not shrink while it lies", _replaced(_Allowance, "empty", lambda self, age_ns: None)),
    Mutation("a reservation that nobody heard of is not released", _replaced(
        CommitMeter, "_release_unheard", lambda self, reservation: None
    )),
    Mutation("strays are not released", _replaced(Heartbeat, "release_strays", _nothing)),
    Mutation("a process falls silent after its first beat", _replaced(Heartbeat, "_beat_on", _nothing)),
    Mutation("a process is taken for dead after two seconds", _dead_too_early),
    Mutation("the truth about a lost call is not heard", _no_adjustment),
    Mutation("a lost call costs nothing", _lost_for_nothing),
    Mutation("what a recorded request left held is recorded again", _spare_is_lost),
    Mutation("settling forgets what it settled", _replaced(meter_module, "settle_batch", _nothing)),
)  # fmt: skip
