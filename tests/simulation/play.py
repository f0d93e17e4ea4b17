"""One play: processes that serve calls over the real meter, accidents by the seed, and what must hold at the end.

The meter, its batches, deliveries, heartbeat and allowances, and the settling of records and of lost calls, are the
program's own; the database, the wire and the clock are simulated. Invariants: see `_judge`.
"""

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from billing import (
    Admission,
    AdmissionRequest,
    AttemptRecord,
    BillingError,
    CommitMeter,
    Outcome,
    RateLimited,
    RequestRecord,
    Reservation,
    Usage,
    settle_lost,
)
from tests.simulation.store import EPOCH, Budget, Store
from tests.simulation.wire import Weather, Wire

TENANT, PROJECT = UUID(int=1), UUID(int=2)
KEYS = (UUID(int=3), UUID(int=4))
PROCESSES = 3
CALLS = (6, 14)
BOUND_MAX = 100
SERVING_S = 12.0
SILENT_S_MAX = 120
LONG_CUT_S = 170.0
NS_PER_S = 1_000_000_000
PER_MINUTE, BURST = 1_200, 160
# From its admission by the database to its answer a request takes this long at most.
UNDER_WAY_S = 0.1
# What is told of budgets is a second old at most.
TOLD_S_MAX = 1 + UNDER_WAY_S
# A call that outlasts everybody's patience, and the time after which a living process has found its strays.
LONG_CALL_S, LINGER_S = 160.0, 140.0
GUESS = "GatewayLost"


@dataclass(slots=True)
class Node:
    """A process: its meter, its way to the database, and what it did."""

    process_id: UUID
    wire: Wire
    meter: CommitMeter
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    was_killed: bool = False
    was_cut_for_long: bool = False


@dataclass(slots=True)
class Truth:
    """What the provider knows of a request: its attempts with what each cost; and what its caller was told."""

    node: Node
    costs: dict[UUID, int] = field(default_factory=dict)
    bounds: dict[UUID, int] = field(default_factory=dict)
    is_settled: bool = False


class Play:
    """Everything of one seed."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.store = Store()
        self.truths: dict[UUID, Truth] = {}
        self.admitted_s: list[float] = []
        self._ids = 100
        dice = self.dice
        self.weather = Weather(*(dice.choice((0, 0, 20, 60)) for _ in range(4)))
        self.limits = {UUID(int=10): (dice.randrange(100, 900), None), UUID(int=11): (dice.randrange(60, 500), KEYS[0])}
        # Where there is a budget with little room each admission looks anew, and nothing is granted ahead.
        self.is_stormy = dice.random() < 0.15
        if self.is_stormy:
            self.limits.clear()
        for budget_id, (limit, api_key_id) in self.limits.items():
            self.store.tables.budgets[budget_id] = Budget(limit, api_key_id)
        self._lock = asyncio.Lock()
        self.nodes = [self._node() for _ in range(PROCESSES)]
        self.capped_s = -1e9

    async def run(self) -> None:
        """Serve, with accidents; then let time pass, settle what was lost, and judge."""
        acts: list[Coroutine[Any, Any, None]] = [self._calls()]
        dice = self.dice
        if dice.random() < 0.5:
            acts.append(self._later(self._kill))
        if dice.random() < 0.5:
            acts.append(self._later(self._cut))
        if self.limits and dice.random() < 0.5:
            acts.append(self._later(self._lower_a_cap))
        if self.is_stormy:
            acts.append(self._later(self._storm))
        if dice.random() < 0.15:
            acts.append(self._linger())
        await asyncio.gather(*acts)
        for node in self.nodes:
            for ending in await asyncio.gather(*node.tasks, return_exceptions=True):
                if isinstance(ending, Exception):
                    raise ending
            node.wire.is_cut = False
        self.weather.clear()
        for node in self.nodes:
            if not node.was_killed:
                await node.meter.close()
                assert not node.meter._open, "a process forgot what it holds"
        await asyncio.sleep(SILENT_S_MAX + 1)
        await self._settle_lost()
        self._judge()

    def _node(self) -> Node:
        wire = Wire(self.store, self._lock, self.dice, self.weather)
        skew_ns = self.dice.randrange(-(10**15), 10**15)
        process_id = self._id()
        loop = asyncio.get_running_loop()
        meter = CommitMeter(
            wire,  # type: ignore[arg-type]  # it stands where the database stands
            process_id,
            batch_max=self.dice.choice((1, 3, 64)),
            beat_every_s=30,
            now_ns=lambda: skew_ns + int(loop.time() * NS_PER_S),
        )
        return Node(process_id, wire, meter)

    def _id(self) -> UUID:
        self._ids += 1
        return UUID(int=self._ids)

    async def _later(self, act: Any) -> None:
        await asyncio.sleep(self.dice.random() * SERVING_S)
        await act()

    async def _calls(self) -> None:
        for _ in range(self.dice.randrange(*CALLS)):
            await asyncio.sleep(self.dice.expovariate(2))
            self._start_call(self.dice.choice(self.nodes))

    def _start_call(self, node: Node, *, serving_s: float = 2) -> None:
        if not node.was_killed:
            node.tasks.append(asyncio.ensure_future(self._call(node, serving_s=serving_s)))

    async def _call(self, node: Node, *, serving_s: float) -> None:
        dice, key = self.dice, self.dice.choice(KEYS)
        request_id = self._id()
        truth = self.truths[request_id] = Truth(node)
        record_attempts: list[AttemptRecord] = []
        try:
            await self._admit(node, key)
            for number in range(1, dice.choice((1, 1, 2)) + 1):
                if record_attempts:
                    await node.meter.release(TENANT, record_attempts[-1].attempt_id)
                attempt_id, bound = self._id(), dice.randrange(1, BOUND_MAX)
                await node.meter.reserve(_reservation(key, request_id, attempt_id, bound))
                self._begin(node, truth, attempt_id, bound)
                await asyncio.sleep(serving_s if serving_s == LONG_CALL_S else dice.random() * serving_s)
                is_last = dice.random() < 0.7
                cost = dice.randrange(bound + 1) if is_last else 0
                truth.costs[attempt_id] = cost
                record_attempts.append(_attempt(attempt_id, number, bound, cost))
                if is_last:
                    break
        except BillingError:
            pass
        await self._settle(node, _record(key, request_id, tuple(record_attempts)))
        truth.is_settled = True

    async def _admit(self, node: Node, key: UUID) -> None:
        admission = await node.meter.admit(_admission(key))
        self.admitted_s.append(asyncio.get_running_loop().time())
        self._is_fresh(admission, key)

    def _is_fresh(self, admission: Admission, key: UUID) -> None:
        """A headroom that was told a while after a cap was lowered must be of the lower cap."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self.capped_s > TOLD_S_MAX and admission.headroom_nano_usd is not None:
            assert admission.headroom_nano_usd <= min(
                limit for limit, api_key_id in self.limits.values() if api_key_id in (None, key)
            ), "a headroom was told that no budget has any more"

    def _begin(self, node: Node, truth: Truth, attempt_id: UUID, bound: int) -> None:
        """The call is sent: by then its bound must be held, and committed."""
        held = self.store.tables.reservations.get(attempt_id)
        assert held is not None, "a call was sent whose bound is not held"
        assert (held.state, held.amount, held.process_id) == ("held", bound, node.process_id), held
        truth.costs[attempt_id], truth.bounds[attempt_id] = 0, bound

    async def _settle(self, node: Node, record: RequestRecord) -> None:
        pause_s = 0.05
        while True:
            try:
                return await node.meter.settle(record)
            except BillingError:
                await asyncio.sleep(pause_s)
                pause_s = min(5.0, pause_s * 2)

    async def _kill(self) -> None:
        node = self.dice.choice(self.nodes)
        node.was_killed = node.wire.is_dead = True
        for task in node.tasks:
            task.cancel()
        await node.meter._heartbeat.stop()

    async def _cut(self) -> None:
        node = self.dice.choice(self.nodes)
        node.was_cut_for_long = self.dice.random() < 0.3
        node.wire.is_cut = True
        if node.was_cut_for_long:
            await asyncio.sleep(LONG_CUT_S)
            await self._settle_lost()
        else:
            await asyncio.sleep(self.dice.random() * 8)
        node.wire.is_cut = False

    async def _lower_a_cap(self) -> None:
        budget_id = self.dice.choice(list(self.limits))
        limit, api_key_id = self.limits[budget_id]
        self.limits[budget_id] = (limit // 4, api_key_id)
        tables = self.store.tables
        tables.budgets[budget_id] = Budget(
            limit // 4, api_key_id, tables.budgets[budget_id].spent, tables.budgets[budget_id].reserved
        )
        self.capped_s = asyncio.get_running_loop().time()
        for node in self.nodes:
            node.meter.drop(TENANT)

    async def _linger(self) -> None:
        """Live on for a while under a fair sky, with a long call: who lives is not lost, and finds its strays."""
        await asyncio.sleep(SERVING_S)
        self.weather.clear()
        for node in self.nodes:
            self._start_call(node, serving_s=LONG_CALL_S)
        await asyncio.sleep(LINGER_S)
        for each in self.store.tables.reservations.values():
            node = next(node for node in self.nodes if node.process_id == each.process_id)
            if each.state == "held" and not node.was_killed and not node.was_cut_for_long:
                assert UUID(each.row["attempt_id"]) in node.meter._open, "a living process holds something for nobody"
        await self._settle_lost()

    async def _storm(self) -> None:
        """More requests than the bucket holds, while processes still have some of what they were granted."""
        living = [node for node in self.nodes if not node.was_killed and not node.wire.is_cut]
        for node in living:
            node.tasks.append(asyncio.ensure_future(self._try(node, 1)))
        await asyncio.sleep(self.dice.random())
        for node in living:
            node.tasks.append(asyncio.ensure_future(self._try(node, BURST)))

    async def _try(self, node: Node, times: int) -> None:
        async def one() -> None:
            try:
                await self._admit(node, KEYS[1])
            except (RateLimited, BillingError):
                return

        await asyncio.gather(*(one() for _ in range(times)))

    async def _settle_lost(self) -> None:
        wire = Wire(self.store, self._lock, self.dice, Weather())
        await settle_lost(wire, silent_s_max=SILENT_S_MAX)  # type: ignore[arg-type]  # as above

    def _judge(self) -> None:
        tables = self.store.tables
        assert not [each for each in tables.reservations.values() if each.state == "held"], "something stays held"
        guessed = {UUID(row["request_id"]) for row in tables.records.values() if row.get("error_type") == GUESS}
        for request_id, truth in self.truths.items():
            record = tables.records.get(request_id)
            billed = 0 if record is None else int(record.get("billed_nano_usd", 0))
            if truth.is_settled:
                assert record is not None, "a settled request has no record"
                assert billed + tables.adjustments.get(request_id, 0) == sum(truth.costs.values()), "billed wrongly"
            else:
                assert truth.node.was_killed, "a request of a living process was not settled"
            if request_id in guessed:
                assert truth.node.was_killed or truth.node.was_cut_for_long, "a living process was taken for dead"
                if request_id not in tables.adjustments and not truth.is_settled:
                    assert billed >= sum(truth.costs.values()), "a lost call was billed too little"
            missing = [each for each in truth.costs if each not in tables.attempts]
            assert not missing or request_id in tables.adjustments or not truth.is_settled, "a call has no record"
        billed = sum(int(row.get("billed_nano_usd", 0)) for row in tables.records.values())
        billed += sum(tables.adjustments.values())
        assert tables.counted["requests"] == len(tables.records), "a request was counted twice, or not"
        assert tables.counted["billed"] == tables.counted["accrued"] == billed, "the books differ"
        if self.limits:
            assert tables.budgets[UUID(int=10)].spent == billed, "the budget differs from the books"
        assert self._most_admitted() <= 0, "a window of time saw more than the rate and the burst"

    def _most_admitted(self) -> float:
        moments = sorted(self.admitted_s)
        if len(moments) <= BURST:
            return 0
        per_s = PER_MINUTE / 60
        return max(
            (last - first + 1) - BURST - per_s * (moments[last] - moments[first] + UNDER_WAY_S)
            for first in range(len(moments))
            for last in range(first + BURST, len(moments))
        )


def _admission(api_key_id: UUID) -> AdmissionRequest:
    return AdmissionRequest(
        tenant_id=TENANT, project_id=PROJECT, api_key_id=api_key_id,
        requests_per_minute=PER_MINUTE, request_burst=BURST,
    )  # fmt: skip


def _reservation(api_key_id: UUID, request_id: UUID, attempt_id: UUID, amount: int) -> Reservation:
    return Reservation(
        tenant_id=TENANT, project_id=PROJECT, api_key_id=api_key_id, request_id=request_id, attempt_id=attempt_id,
        amount_nano_usd=amount, provider_name="p", model="m",
    )  # fmt: skip


def _attempt(attempt_id: UUID, number: int, bound: int, cost: int) -> AttemptRecord:
    return AttemptRecord(
        attempt_id=attempt_id, attempt_number=number, provider_name="p", model="m", credential_id=None,
        credential_owner="platform", started_at=EPOCH, outcome=Outcome.OK, latency_ms=1, reserved_nano_usd=bound,
        usage=Usage(), billed_nano_usd=cost, provider_cost_nano_usd=cost,
    )  # fmt: skip


def _record(api_key_id: UUID, request_id: UUID, attempts: tuple[AttemptRecord, ...]) -> RequestRecord:
    return RequestRecord(
        tenant_id=TENANT, request_id=request_id, project_id=PROJECT, api_key_id=api_key_id, operation_name="chat",
        surface="openai", is_streamed=False, started_at=EPOCH, request_model="p/m", outcome=Outcome.OK,
        http_status=200, latency_ms=1, attempts=attempts,
    )  # fmt: skip
