"""Money by properties: a small model against the real functions, in any order, with repeats and replays."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from uuid_utils.compat import uuid7

from billing import BillingError, BudgetContended, BudgetUsedUp, CommitMeter, RequestRecord
from tenants import Database
from tests.integration.billing.builders import Books, a_tenant, an_attempt

SCOPES = ("tenant", "project", "key")


@dataclass(slots=True)
class Model:
    """What the budgets should say. An attempt of the first project meets all budgets, of the second the tenant's."""

    limits: dict[str, int]
    spent: dict[str, int] = field(default_factory=dict)
    reserved: dict[str, int] = field(default_factory=dict)
    held: dict[int, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    known: set[int] = field(default_factory=set)

    def reserve(self, attempt: int, amount: int, scopes: tuple[str, ...]) -> type[BillingError] | None:
        if attempt in self.known:
            return None
        covering = [scope for scope in scopes if scope in self.limits]
        if amount and any(self.spent.get(scope, 0) + amount > self.limits[scope] for scope in covering):
            return BudgetUsedUp
        if amount and any(self.total(scope) + amount > self.limits[scope] for scope in covering):
            return BudgetContended
        self.known.add(attempt)
        self.held[attempt] = (amount, tuple(covering))
        for scope in covering:
            self.reserved[scope] = self.reserved.get(scope, 0) + amount
        return None

    def settle(self, attempt: int, charge: int) -> None:
        amount, covering = self.held.pop(attempt, (0, ()))
        for scope in covering:
            self.reserved[scope] -= amount
            self.spent[scope] = self.spent.get(scope, 0) + charge

    def total(self, scope: str) -> int:
        return self.spent.get(scope, 0) + self.reserved.get(scope, 0)


Reserve = tuple[int, int, bool]  # attempt, amount, whether in the first project
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("reserve"), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 60), st.booleans()), max_size=5)
        ),
        st.tuples(st.just("settle"), st.lists(st.integers(0, 9), max_size=4)),
        st.tuples(st.just("release"), st.lists(st.integers(0, 9), max_size=3)),
    ),
    max_size=14,
)
limits = st.dictionaries(st.sampled_from(SCOPES), st.integers(0, 150))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(limits=limits, steps=steps, discount=st.integers(1, 4))
def test_budgets_ledger_and_rollups_hold_in_any_order(
    database_url: Callable[[str], str],
    limits: dict[str, int],
    steps: list[tuple[str, list[Reserve] | list[int]]],
    discount: int,
) -> None:
    asyncio.run(_run(Database(database_url, connections_max=3), limits, steps, discount))


async def _run(
    database: Database, limits: dict[str, int], steps: list[tuple[str, list[Reserve] | list[int]]], discount: int
) -> None:
    books = await a_tenant(database)
    run = _Run(books, Model(limits), [CommitMeter(database, uuid4()) for _ in range(2)], discount)
    for scope, limit in limits.items():
        run.budgets[scope] = await books.budget(limit, project=scope == "project", key=scope == "key")
    for kind, calls in steps:
        match kind:
            case "reserve":
                await run.reserve([call for call in calls if isinstance(call, tuple)])
            case "settle":
                await run.settle([call for call in calls if isinstance(call, int)])
            case _:
                await run.release([call for call in calls if isinstance(call, int)])
        await run.check_budgets()
    await run.settle(list(run.model.held))
    await run.check_budgets()
    await run.check_books()
    await database.close()


@dataclass(slots=True)
class _Run:
    books: Books
    model: Model
    meters: list[CommitMeter]
    discount: int
    budgets: dict[str, UUID] = field(default_factory=dict)
    records: dict[int, RequestRecord] = field(default_factory=dict)
    released: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)

    async def reserve(self, calls: list[Reserve]) -> None:
        expected, coroutines = [], []
        for attempt, amount, is_first in calls:
            if attempt in self.settled:
                continue  # an attempt's id is new to each try: nobody reserves it after its record
            scopes = SCOPES if is_first else ("tenant",)
            expected.append(self.model.reserve(attempt, amount, scopes))
            record = self._record(attempt, amount)
            reservation = self.books.reservation(amount, attempt_id=record.attempts[0].attempt_id)
            if not is_first:
                reservation = msgspec.structs.replace(reservation, project_id=uuid7(), api_key_id=uuid7())
            coroutines.append(self.meters[0].reserve(reservation))
            if expected[-1] is None and attempt not in self.records:
                self.records[attempt] = record
        outcomes = await asyncio.gather(*coroutines, return_exceptions=True)
        assert [type(outcome) if outcome else None for outcome in outcomes] == expected

    async def settle(self, attempts: list[int]) -> None:
        # What was released cost nothing, so its record never comes with a charge.
        known = [attempt for attempt in attempts if attempt in self.records and attempt not in self.released]
        for attempt in known:
            self.model.settle(attempt, self.records[attempt].attempts[0].billed_nano_usd)
        self.settled |= set(known)
        records = [self.records[attempt] for attempt in known]
        # Each record comes twice, through both meters, and forwards and backwards.
        await asyncio.gather(
            *(self.meters[0].settle(record) for record in records),
            *(self.meters[1].settle(record) for record in reversed(records)),
        )

    async def release(self, attempts: list[int]) -> None:
        for attempt in attempts:
            if attempt in self.model.held:
                self.model.settle(attempt, 0)
                self.released.add(attempt)
            record = self.records.get(attempt) or self._record(attempt, 0)
            if attempt in self.released:
                await self.meters[0].release(self.books.tenant_id, record.attempts[0].attempt_id)

    async def check_budgets(self) -> None:
        rows = await self.books.rows("SELECT budget_id, spent_nano_usd, reserved_nano_usd FROM budget_period")
        told = {row.budget_id: (row.spent_nano_usd, row.reserved_nano_usd) for row in rows}
        for scope, budget_id in self.budgets.items():
            spent, reserved = told.get(budget_id, (0, 0))
            assert (spent, reserved) == (self.model.spent.get(scope, 0), self.model.reserved.get(scope, 0))
            assert spent + reserved <= self.model.limits[scope]

    async def check_books(self) -> None:
        async with self.books.database.tenant(self.books.tenant_id) as session:
            sums = (
                await session.execute(
                    text("""SELECT
                        (SELECT coalesce(sum(reserved_nano_usd), 0) FROM budget_period) AS reserved,
                        (SELECT coalesce(sum(amount_nano_usd), 0) FROM ledger_entry) AS ledger,
                        (SELECT coalesce(sum(amount_nano_usd), 0) FROM ledger_entry
                            WHERE account = 'accrued_usage') AS accrued,
                        (SELECT coalesce(sum(billed_nano_usd), 0) FROM request_record) AS billed,
                        (SELECT coalesce(sum(billed_nano_usd), 0) FROM attempt) AS attempted,
                        (SELECT coalesce(sum(billed_nano_usd), 0) FROM usage_rollup) AS rolled_up,
                        (SELECT count(*) FROM request_record) AS records,
                        (SELECT coalesce(sum(request_count), 0) FROM usage_rollup) AS counted,
                        (SELECT count(*) FROM request_record r LEFT JOIN ledger_posting p USING (tenant_id, posting_id)
                            WHERE r.posting_id IS NOT NULL AND p.posting_id IS NULL) AS astray""")
                )
            ).one()
        assert sums.reserved == sums.ledger == sums.astray == 0
        assert sums.accrued == sums.billed == sums.attempted == sums.rolled_up
        assert sums.records == sums.counted

    def _record(self, attempt: int, amount: int) -> RequestRecord:
        if attempt in self.records:
            return self.records[attempt]
        billed = amount // self.discount
        return self.books.record(
            an_attempt(billed_nano_usd=billed, provider_cost_nano_usd=billed, reserved_nano_usd=amount)
        )
