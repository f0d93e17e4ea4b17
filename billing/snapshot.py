"""Plans by tenant and the price book in memory, for the request path.

`drop` is given to the change feed of `tenants`, which calls it within a second of a change. Invariant:
nothing that was read before a change is kept after its announcement.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from billing.errors import PlanUnknown
from billing.plan import Plan
from billing.plan_repository import find_plan_of
from billing.price_book import PriceBook, read_price_book
from billing.traffic_limit import TenantLimits
from billing.traffic_limit_repository import list_traffic_limits
from tenants import DATABASE_ERRORS, EVERYONE, PLATFORM_TENANT_ID, Database, DatabaseUnavailable

PLANS_MAX: Final = 10_000


class BillingSnapshot:
    """A bounded cache over the snapshot role. Methods raise DatabaseUnavailable when they must read and cannot."""

    def __init__(
        self, database: Database, *, plans_max: int = PLANS_MAX, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._plans_max = plans_max
        self._now = now
        self._plans: OrderedDict[UUID, Plan] = OrderedDict()
        self._book: PriceBook | None = None
        self._book_lock = asyncio.Lock()
        self._drops = 0

    async def plan(self, tenant_id: UUID) -> Plan:
        """The tenant's plan. Raises PlanUnknown when no plans were seeded."""
        plan = self._plans.get(tenant_id)
        if plan is not None:
            self._plans.move_to_end(tenant_id)
            return plan
        drops = self._drops
        async with self._reading() as session:
            plan = await find_plan_of(session, tenant_id)
        if plan is None:
            raise PlanUnknown("No plans are stored. Run `signalbox migrate`, which seeds them.")
        # A change announced during the read may be missing from it: use it once, keep it not.
        if drops == self._drops:
            self._plans[tenant_id] = plan
            if len(self._plans) > self._plans_max:
                self._plans.popitem(last=False)
        return plan

    async def limits(self, tenant_id: UUID) -> TenantLimits:
        """The limits of the tenant's traffic with its plan's; read now, for who keeps them drops them with the plan."""
        plan = await self.plan(tenant_id)
        async with self._reading() as session:
            return TenantLimits(tenant_id, plan, await list_traffic_limits(session, tenant_id))

    async def price_book(self) -> PriceBook:
        """The prices in force; read once by whoever asks first, the others wait for that reading."""
        if (book := self._valid_book()) is not None:
            return book
        async with self._book_lock:
            if (book := self._valid_book()) is not None:
                return book
            drops = self._drops
            async with self._reading() as session:
                book = await read_price_book(session, self._now())
            if drops == self._drops:
                self._book = book
            return book

    def drop(self, tenant_id: UUID) -> None:
        """Forget what a change may have touched: one tenant, or everything for the zero and the platform's id."""
        self._drops += 1
        if tenant_id in (EVERYONE, PLATFORM_TENANT_ID):
            self._plans.clear()
            self._book = None
        else:
            self._plans.pop(tenant_id, None)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncSession]:
        try:
            async with self._database.snapshot() as session:
                yield session
        except DATABASE_ERRORS as error:
            raise DatabaseUnavailable from error

    def _valid_book(self) -> PriceBook | None:
        book = self._book
        return book if book is not None and book.is_valid(self._now()) else None
