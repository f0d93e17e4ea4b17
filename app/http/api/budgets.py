"""`/budgets`: what the tenant, a project or a key may spend in a period, and what of it is left."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody

from app.http.api.access import Caller
from app.http.api.answers import PAGE, After, Limit, Page, answer_of, page_within
from app.http.api.services import Services
from billing import LIMIT_NANO_USD_MAX, BudgetPeriod, list_budgets, remove_budget, set_budget


class NewBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A limit for the whole tenant, or for a project or a key when one is named."""

    limit_nano_usd: Annotated[int, msgspec.Meta(ge=0, le=LIMIT_NANO_USD_MAX)]
    period: BudgetPeriod
    project_id: UUID | None = None
    api_key_id: UUID | None = None


class BudgetAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A budget with the state of its running period: limit ≥ spent + reserved."""

    budget_id: UUID
    project_id: UUID | None
    api_key_id: UUID | None
    scope: str
    scope_name: str
    period: str
    time_zone: str
    limit_nano_usd: int
    limit_usd: str
    spent_nano_usd: int
    spent_usd: str
    reserved_nano_usd: int
    reserved_usd: str
    period_start: datetime
    resets_at: datetime | None


class Budgets(Controller):
    """The tenant's budgets; a model key sees those of its project and its own."""

    path = "/budgets"
    tags = ("Budgets",)

    @get(summary="List budgets")
    async def list_budgets(
        self, caller: Caller, services: Services, limit: Limit = PAGE, after: After = None
    ) -> Page[BudgetAnswer]:
        """The tenant's own first, then by the name of what they cover."""
        only, own_key_id = caller.project_within_reach(), caller.principal.api_key_id
        async with services.database.tenant(caller.tenant_id) as session:
            budgets = await list_budgets(session, caller.tenant_id)
        reached = [
            answer_of(BudgetAnswer, each)
            for each in budgets
            if only in (None, each.project_id) or each.api_key_id == own_key_id
        ]
        return page_within(reached, lambda budget: budget.budget_id, limit=limit, after=after)

    @post(summary="Set a budget", status_code=200)
    async def set_budget(self, caller: Caller, services: Services, data: JSONBody[NewBudget]) -> BudgetAnswer:
        """Set the limit of a scope and period; setting it again moves the same budget's limit."""
        budget = await set_budget(
            services.database,
            caller.principal.actor,
            caller.tenant_id,
            limit_nano_usd=data.limit_nano_usd,
            period=data.period,
            project_id=data.project_id,
            api_key_id=data.api_key_id,
        )
        return answer_of(BudgetAnswer, budget)

    @delete("/{budget_id:uuid}", summary="Remove a budget")
    async def remove_budget(self, caller: Caller, services: Services, budget_id: FromPath[UUID]) -> None:
        """Lift the limit; what was spent under it stays known."""
        await remove_budget(services.database, caller.principal.actor, caller.tenant_id, budget_id)
