"""`/budgets`: what the tenant, a project or a key may spend in a period, and what of it is left."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from app.http.api.access import Caller
from app.http.api.answers import PAGE, After, Limit, Page, answer_of, page_within
from app.http.api.services import Services
from billing import (
    LIMIT_NANO_USD_MAX,
    Budget,
    BudgetMode,
    BudgetPeriod,
    list_budget_events,
    list_budgets,
    list_end_users,
    remove_budget,
    set_budget,
)


class NewBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A limit for the whole tenant, or for a project or a key when one is named.

    `is_per_end_user` holds each `user` of the body (`metadata.user_id` of Anthropic) to it, `end_users_max` of them on
    their own and all others together; `model` is `provider/model`, in which * stands for anything. A `hard` budget
    cannot be overspent, a `soft` one lets calls pass while anything is left, an `alert` refuses nothing. From
    `cheaper_from_percent` on, routes prefer the cheapest model that the policy offers.
    """

    limit_nano_usd: Annotated[int, msgspec.Meta(ge=0, le=LIMIT_NANO_USD_MAX)]
    period: BudgetPeriod
    project_id: UUID | None = None
    api_key_id: UUID | None = None
    is_per_end_user: bool = False
    end_users_max: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10_000
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    mode: BudgetMode = "hard"
    cheaper_from_percent: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None


class BudgetAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A budget with the state of its running period. If hard: limit ≥ spent + reserved, for each end user."""

    budget_id: UUID
    project_id: UUID | None
    api_key_id: UUID | None
    scope: str
    scope_name: str
    is_per_end_user: bool
    end_users_max: int
    model: str | None
    mode: str
    cheaper_from_percent: int | None
    period: str
    time_zone: str
    limit_nano_usd: int
    limit_usd: str
    spent_nano_usd: int
    spent_usd: str
    reserved_nano_usd: int
    reserved_usd: str
    end_user_count: int
    forecast_nano_usd: int | None
    period_start: datetime
    resets_at: datetime | None


class EndUserAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one end user spent in the running period; '(others)' stands for all beyond `end_users_max`."""

    end_user: str
    limit_nano_usd: int
    limit_usd: str
    spent_nano_usd: int
    spent_usd: str
    reserved_nano_usd: int
    reserved_usd: str


class BudgetEventAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A budget passed 50, 80, 95 or 100 % of its limit, once in its period."""

    budget_id: UUID
    project_id: UUID | None
    api_key_id: UUID | None
    scope: str
    scope_name: str
    model: str | None
    end_user: str | None
    period: str
    mode: str
    period_start: datetime
    threshold_percent: int
    limit_nano_usd: int
    limit_usd: str
    spent_nano_usd: int
    spent_usd: str
    raised_at: datetime


class Budgets(Controller):
    """The tenant's budgets; a model key sees those of its project and its own."""

    path = "/budgets"
    tags = ("Budgets",)

    @get(summary="List budgets")
    async def list_budgets(
        self, caller: Caller, services: Services, limit: Limit = PAGE, after: After = None
    ) -> Page[BudgetAnswer]:
        """The tenant's own first, then by the name of what they cover."""
        async with services.database.tenant(caller.tenant_id) as session:
            budgets = await list_budgets(session, caller.tenant_id)
        reached = [_answer(each) for each in budgets if caller.reaches(each.project_id, each.api_key_id)]
        return page_within(reached, lambda budget: budget.budget_id, limit=limit, after=after)

    @get("/events", summary="List the thresholds that budgets passed")
    async def list_events(
        self,
        caller: Caller,
        services: Services,
        since: Annotated[datetime | None, QueryParameter(description="Raised after this moment.")] = None,
    ) -> Page[BudgetEventAnswer]:
        """The newest first, 500 at most; ask again with `since`."""
        async with services.database.tenant(caller.tenant_id) as session:
            events = await list_budget_events(session, caller.tenant_id, since=_aware(since))
        reached = [
            answer_of(BudgetEventAnswer, each) for each in events if caller.reaches(each.project_id, each.api_key_id)
        ]
        return Page(data=tuple(reached), has_more=False, last_id=None)

    @get("/{budget_id:uuid}/end-users", summary="List who spent most under a budget for each end user")
    async def list_end_users(
        self, caller: Caller, services: Services, budget_id: FromPath[UUID]
    ) -> Page[EndUserAnswer]:
        """The running period, 500 end users at most."""
        async with services.database.tenant(caller.tenant_id) as session:
            spent = await list_end_users(session, caller.tenant_id, budget_id)
        return Page(data=tuple(answer_of(EndUserAnswer, each) for each in spent), has_more=False, last_id=None)

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
            is_per_end_user=data.is_per_end_user,
            end_users_max=data.end_users_max,
            model=data.model,
            mode=data.mode,
            cheaper_from_percent=data.cheaper_from_percent,
        )
        return _answer(budget)

    @delete("/{budget_id:uuid}", summary="Remove a budget")
    async def remove_budget(self, caller: Caller, services: Services, budget_id: FromPath[UUID]) -> None:
        """Lift the limit; what was spent under it stays known."""
        await remove_budget(services.database, caller.principal.actor, caller.tenant_id, budget_id)


def _answer(budget: Budget) -> BudgetAnswer:
    return answer_of(BudgetAnswer, budget, forecast_nano_usd=budget.forecast_nano_usd(datetime.now(UTC)))


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
