"""The database of the simulation: what the functions of the migrations promise, as a small state machine.

A statement is one step: it happens as a whole or not at all. Invariant, looked at after every step: what a budget
says that it holds is what its reservations hold, and nothing is held that does not fit.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from billing.adjustment_repository import ADJUST
from billing.settlement_repository import SETTLE

Row = Mapping[str, Any]
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit and its running period; `api_key_id` None covers the tenant."""

    limit: int
    api_key_id: UUID | None = None
    spent: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """A reservation."""

    row: Row
    process_id: UUID
    budget_ids: tuple[UUID, ...]
    state: str
    created_s: float

    @property
    def amount(self) -> int:
        """What it holds, or held."""
        return int(self.row["amount_nano_usd"])


@dataclass(slots=True)
class Tables:
    """Everything that is stored."""

    budgets: dict[UUID, Budget] = field(default_factory=dict)
    reservations: dict[UUID, Held] = field(default_factory=dict)
    records: dict[UUID, Row] = field(default_factory=dict)
    attempts: dict[UUID, Row] = field(default_factory=dict)
    adjustments: dict[UUID, int] = field(default_factory=dict)
    beats: dict[UUID, float] = field(default_factory=dict)
    arrivals: dict[UUID, float] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=lambda: {"requests": 0, "billed": 0, "accrued": 0})

    def copied(self) -> "Tables":
        """The same again; rows are never edited."""
        return Tables(*(dict(getattr(self, name)) for name in self.__slots__))


class Store:
    """Runs statements against the tables. `burst` and rate come with each admission."""

    def __init__(self) -> None:
        self.tables = Tables()

    def execute(self, sql: str, arguments: Sequence[Any], now_s: float) -> Any:
        """One statement: the rows or the value it returns. Raises what PostgreSQL would."""
        for beginning, run in _STATEMENTS.items():
            if sql.startswith(beginning):
                before = self.tables.copied()
                try:
                    result = run(self, now_s, *arguments)
                except BaseException:
                    self.tables = before
                    raise
                self.check()
                return result
        raise AssertionError(f"the simulation does not know: {sql[:80]}")

    def check(self) -> None:
        """Hold the budgets against their reservations."""
        for budget_id, budget in self.tables.budgets.items():
            held = sum(
                each.amount
                for each in self.tables.reservations.values()
                if each.state == "held" and budget_id in each.budget_ids
            )
            assert budget.reserved == held, f"a budget says that it holds {budget.reserved} and holds {held}"

    def headroom(self, api_key_id: UUID) -> tuple[int | None, int | None]:
        """What the tightest budget of a key leaves: of its limit, without and with what is held."""
        covering = [self.tables.budgets[each] for each in self._covering(api_key_id)]
        if not covering:
            return None, None
        tightest = min(covering, key=lambda each: each.limit - each.spent - each.reserved)
        return tightest.limit - tightest.spent - tightest.reserved, tightest.limit - tightest.spent

    def admit(self, now_s: float, *columns: Sequence[Any]) -> list[Row]:
        """`admit_requests`: the generic cell rate algorithm, with a second's share ahead."""
        rows = []
        for number, (tenant_id, _, api_key_id, per_minute, burst, wanted) in enumerate(zip(*columns, strict=True), 1):
            step_s = 60 / per_minute
            arrival_s = min(max(self.tables.arrivals.get(tenant_id, now_s), now_s), now_s + step_s * burst)
            backlog_s = arrival_s - now_s
            available = int(burst - backlog_s / step_s + 1e-6)
            granted = min(available, wanted + max(0, min(per_minute // 60, (available - wanted) // 8)))
            if granted > 0:
                arrival_s += step_s * granted
                backlog_s += step_s * granted
                self.tables.arrivals[tenant_id] = arrival_s
            headroom, unspent = self.headroom(api_key_id)
            rows.append(
                {
                    "ordinal": number,
                    "granted": granted,
                    "remaining": max(0, int(burst - backlog_s / step_s + 1e-6)),
                    "retry_after_ms": 0 if granted >= wanted else int((backlog_s - step_s * (burst - 1)) * 1000) + 1,
                    "reset_ms": int(backlog_s * 1000) + 1,
                    "headroom_nano_usd": headroom,
                    "unspent_nano_usd": unspent,
                    "prefers_cheaper": False,
                }
            )
        return rows

    def reserve(self, now_s: float, process_id: UUID, attempts: str) -> list[Row]:
        """`reserve_attempts`: in all budgets or in none; what was asked for before is as it was."""
        refused: list[Row] = []
        for number, row in enumerate(json.loads(attempts), 1):
            attempt_id, amount = UUID(row["attempt_id"]), int(row["amount_nano_usd"])
            if attempt_id in self.tables.reservations:
                continue
            covering = self._covering(UUID(row["api_key_id"]))
            short = next((each for each in covering if not self._fits(each, amount)), None)
            if short is not None:
                budget = self.tables.budgets[short]
                refused.append(
                    {
                        "ordinal": number,
                        "outcome": "exceeded" if budget.spent + amount > budget.limit else "contended",
                        "budget_id": short,
                        "limit_nano_usd": budget.limit,
                        "spent_nano_usd": budget.spent,
                        "reserved_nano_usd": budget.reserved,
                        "resets_at": None,
                    }
                )
                continue
            self.tables.reservations[attempt_id] = Held(row, process_id, covering, "held", now_s)
            self._move(covering, reserved=amount)
            for each in covering:
                budget = self.tables.budgets[each]
                assert not amount or budget.spent + budget.reserved <= budget.limit, "more is held than fits"
        return refused

    def settle(
        self,
        now_s: float,
        tenant_ids: Sequence[UUID],
        attempt_ids: Sequence[UUID],
        charges: Sequence[int | None],
        is_lost: bool = False,
    ) -> int:
        """`settle_attempts`: a reservation ends once; None releases, what is lost is remembered as orphaned."""
        ended = 0
        for attempt_id, charge in zip(attempt_ids, charges, strict=True):
            held = self.tables.reservations.get(attempt_id)
            if held is None or ((charge is None or is_lost) and held.state != "held"):
                continue
            ended += 1
            freed = held.amount if held.state == "held" else 0
            spent = (charge or 0) - (held.amount if held.state == "orphaned" else 0)
            self._move(held.budget_ids, reserved=-freed, spent=spent)
            if charge is None or is_lost:
                self.tables.reservations[attempt_id] = replace(held, state="orphaned" if is_lost else "released")
            else:
                del self.tables.reservations[attempt_id]
        return ended

    def record(self, now_s: float, rollups: str, postings: str, records: str, attempts: str, is_lost: bool) -> int:
        """`SETTLE`: records that are new, counted by the statement that inserts them."""
        self._count(rollups, postings)
        for row in json.loads(records):
            request_id = UUID(row["request_id"])
            if request_id in self.tables.records:
                raise asyncpg.UniqueViolationError("request_record_pkey")
            self.tables.records[request_id] = row
        rows = json.loads(attempts)
        for row in rows:
            self.tables.attempts[UUID(row["attempt_id"])] = row
        return self.settle(
            now_s,
            [UUID(row["tenant_id"]) for row in rows],
            [UUID(row["attempt_id"]) for row in rows],
            [int(row.get("billed_nano_usd", 0)) for row in rows],
            is_lost,
        )

    def adjust(
        self,
        now_s: float,
        rollups: str,
        postings: str,
        tenant_id: UUID,
        request_id: UUID,
        reason: str,
        record: str,
        attempts: str,
        billed: int,
        *charged: Sequence[Any],
    ) -> int:
        """`ADJUST`: the truth about a request that was recorded as lost; the amounts of all adjustments add up."""
        self._count(rollups, postings)
        self.tables.adjustments[request_id] = self.tables.adjustments.get(request_id, 0) + billed
        return self.settle(now_s, *charged)

    def lock(self, now_s: float, name: str) -> None:
        """A lock until the transaction ends: here a transaction runs alone."""

    def beat(self, now_s: float, process_id: UUID) -> None:
        """`beat_process`."""
        self.tables.beats[process_id] = now_s

    def held(self, now_s: float, process_id: UUID, age_s: int) -> list[Row]:
        """`held_reservations`: what a process has held for longer than that."""
        return [
            _ids(attempt_id, each)
            for attempt_id, each in self.tables.reservations.items()
            if each.process_id == process_id and each.state == "held" and each.created_s < now_s - age_s
        ]

    def lost(self, now_s: float, silent_s: int, rows_max: int) -> list[Row]:
        """`lost_reservations`: what silent processes hold."""
        found = [
            _whole(each)
            for each in self.tables.reservations.values()
            if each.state == "held"
            and each.created_s < now_s - silent_s
            and self.tables.beats.get(each.process_id, -1e9) < now_s - silent_s
        ]
        return found[:rows_max]

    def orphaned(self, now_s: float, tenant_ids: Sequence[UUID], attempt_ids: Sequence[UUID]) -> list[Row]:
        """`orphaned_reservations`."""
        found = [self.tables.reservations.get(attempt_id) for attempt_id in attempt_ids]
        return [_whole(each) for each in found if each is not None and each.state == "orphaned"]

    def stored(self, now_s: float, tenant_ids: Sequence[UUID], request_ids: Sequence[UUID]) -> list[Row]:
        """Which requests have a record."""
        return [
            {"tenant_id": tenant_id, "request_id": request_id}
            for tenant_id, request_id in zip(tenant_ids, request_ids, strict=True)
            if request_id in self.tables.records
        ]

    def attempts_of(self, now_s: float, tenant_id: UUID, request_id: UUID) -> list[Row]:
        """The attempts of a record."""
        return [
            {"tenant_id": tenant_id, "attempt_id": attempt_id}
            for attempt_id, row in self.tables.attempts.items()
            if row["request_id"] == str(request_id)
        ]

    def _covering(self, api_key_id: UUID) -> tuple[UUID, ...]:
        return tuple(
            budget_id for budget_id, budget in self.tables.budgets.items() if budget.api_key_id in (None, api_key_id)
        )

    def _fits(self, budget_id: UUID, amount: int) -> bool:
        budget = self.tables.budgets[budget_id]
        return not amount or budget.spent + budget.reserved + amount <= budget.limit

    def _move(self, budget_ids: Sequence[UUID], *, reserved: int = 0, spent: int = 0) -> None:
        for budget_id in budget_ids:
            budget = self.tables.budgets[budget_id]
            self.tables.budgets[budget_id] = replace(
                budget, reserved=budget.reserved + reserved, spent=budget.spent + spent
            )

    def _count(self, rollups: str, postings: str) -> None:
        counted = self.tables.counted = copy.copy(self.tables.counted)
        for row in json.loads(rollups):
            counted["requests"] += row.get("request_count", 0)
            counted["billed"] += row.get("billed_nano_usd", 0)
        for row in json.loads(postings):
            counted["accrued"] += row["billed_nano_usd"]


def _ids(attempt_id: UUID, each: Held) -> Row:
    return {"tenant_id": UUID(each.row["tenant_id"]), "attempt_id": attempt_id}


def _whole(each: Held) -> Row:
    ids = {name: UUID(value) for name, value in each.row.items() if name.endswith("_id")}
    return {**each.row, **ids, "created_at": EPOCH + timedelta(seconds=each.created_s)}


# By how a statement begins; a statement that none of them knows stops the play.
_STATEMENTS = {
    "SELECT * FROM admit_requests": Store.admit,
    "SELECT * FROM reserve_attempts": Store.reserve,
    "SELECT settle_attempts": Store.settle,
    SETTLE: Store.record,
    ADJUST: Store.adjust,
    "SELECT pg_advisory_xact_lock": Store.lock,
    "SELECT beat_process": Store.beat,
    "SELECT tenant_id, attempt_id FROM held_reservations": Store.held,
    "SELECT * FROM lost_reservations": Store.lost,
    "SELECT * FROM orphaned_reservations": Store.orphaned,
    "SELECT r.tenant_id, r.request_id FROM unnest": Store.stored,
    "SELECT tenant_id, attempt_id FROM attempt WHERE": Store.attempts_of,
}
