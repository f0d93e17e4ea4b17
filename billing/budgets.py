"""Budgets: how much a tenant, a project or an API key may spend in a day, a week, a month or in all.

Set by the tenant's admin in the console, the API or the command line; every change stands in the audit
chain. Invariant: a budget counts what is reserved from when it was set, and lowering its limit below
what is spent refuses everything that costs until its period ends.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Final, Literal, get_args
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from billing import budget_repository
from billing.budget_repository import Coverage, Terms
from billing.errors import BudgetContended, BudgetInvalid, BudgetUsedUp
from billing.meter import BudgetFacts
from billing.money import usd
from tenants import Actor, Database, NotFound, record_audit

BudgetPeriod = Literal["day", "week", "month", "total"]
LIMIT_NANO_USD_MAX: Final = 10**18  # a billion dollars
BudgetMode = Literal["hard", "soft", "alert"]
"""Hard: what may cost more than is left is not sent. Soft: calls pass while anything is left. Alert: all calls pass."""
END_USERS_MAX_DEFAULT: Final = 10_000
END_USERS_MAX_MAX: Final = 1_000_000
MODEL_CHARS_MAX: Final = 200
LISTED_MAX: Final = 500
PERIOD_WORDS: Final = {"day": "daily", "week": "weekly", "month": "monthly", "total": "total"}
CREDIT_PERIODS: Final = frozenset({"credit", "credit_xts"})
SCOPE_WORDS: Final = {"tenant": "Tenant", "project": "Project", "api_key": "API key"}


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A limit with the state of its running period. Without project and key it covers the whole tenant.

    A template (`is_per_end_user`) holds each end user to the limit, and tells the sums over all of them.
    """

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
    spent_nano_usd: int
    reserved_nano_usd: int
    end_user_count: int
    period_start: datetime
    resets_at: datetime | None

    def forecast_nano_usd(self, now: datetime) -> int | None:
        """What the period will have spent at its end if it goes on as it did; None for what does not end."""
        if self.resets_at is None:
            return None
        elapsed_s = max(1, int((now - self.period_start).total_seconds()))
        return self.spent_nano_usd * int((self.resets_at - self.period_start).total_seconds()) // elapsed_s


class EndUserSpend(msgspec.Struct, frozen=True, kw_only=True):
    """What one end user spent under a template in its running period."""

    end_user: str
    limit_nano_usd: int
    spent_nano_usd: int
    reserved_nano_usd: int


class BudgetEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A budget passed a threshold, for the first time in its period. At 100 it is used up, or refuses what comes."""

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
    spent_nano_usd: int
    raised_at: datetime


async def set_budget(
    database: Database,
    actor: Actor,
    tenant_id: UUID,
    *,
    limit_nano_usd: int,
    period: BudgetPeriod,
    project_id: UUID | None = None,
    api_key_id: UUID | None = None,
    is_per_end_user: bool = False,
    end_users_max: int = END_USERS_MAX_DEFAULT,
    model: str | None = None,
    mode: BudgetMode = "hard",
    cheaper_from_percent: int | None = None,
) -> Budget:
    """Set the limit of a scope, its models and a period; a second call moves the same budget's terms.

    Days, weeks and months follow the time zone that the tenant had when the budget was made: another zone begins
    another period, and would lift what was spent. Raises BudgetInvalid.
    """
    covers = Coverage(
        period=period, project_id=project_id, api_key_id=api_key_id, is_per_end_user=is_per_end_user, model=model
    )
    terms = Terms(
        limit_nano_usd=limit_nano_usd,
        mode=mode,
        cheaper_from_percent=cheaper_from_percent,
        end_users_max=end_users_max,
    )
    _check(covers, terms)
    async with database.tenant(tenant_id) as session:
        if not await budget_repository.has_scope(session, tenant_id, project_id, api_key_id):
            raise BudgetInvalid(
                f"There is no {'project' if project_id else 'API key'} '{project_id or api_key_id}' here; check its id."
                if project_id or api_key_id
                else f"There is no tenant '{tenant_id}'; check its id."
            )
        before = await budget_repository.find_terms(session, tenant_id, covers)
        budget_id = await budget_repository.put_budget(session, tenant_id, uuid7(), covers, terms)
        [budget] = await _list(session, tenant_id, budget_id)
        await record_audit(
            session,
            tenant_id,
            actor,
            action="budget.set",
            target=f"budget:{budget_id}",
            before=None if before is None else dict(before._mapping),
            after={
                "scope": budget.scope,
                "scope_name": budget.scope_name,
                "is_per_end_user": is_per_end_user,
                "model": model,
                "period": period,
                **asdict(terms),
            },
        )
    return budget


async def remove_budget(database: Database, actor: Actor, tenant_id: UUID, budget_id: UUID) -> None:
    """Lift a budget; what was spent under it stays known. Raises NotFound."""
    async with database.tenant(tenant_id) as session:
        limit_nano_usd = await budget_repository.remove_budget(session, tenant_id, budget_id)
        if limit_nano_usd is None:
            raise NotFound("budget", budget_id)
        await record_audit(
            session,
            tenant_id,
            actor,
            action="budget.removed",
            target=f"budget:{budget_id}",
            before={"limit_nano_usd": limit_nano_usd},
            after=None,
        )


async def list_budgets(session: AsyncSession, tenant_id: UUID) -> tuple[Budget, ...]:
    """The tenant's budgets with what is spent and reserved in their running periods; tenant first, then by name."""
    return await _list(session, tenant_id, None)


async def list_end_users(session: AsyncSession, tenant_id: UUID, budget_id: UUID) -> tuple[EndUserSpend, ...]:
    """The end users who spent most under a template; those beyond its bound share the one named '(others)'.

    Raises NotFound.
    """
    if await budget_repository.find_budget_name(session, tenant_id, budget_id) is None:
        raise NotFound("budget", budget_id)
    rows = await budget_repository.end_users_of(session, tenant_id, budget_id, LISTED_MAX)
    return tuple(EndUserSpend(**row._mapping) for row in rows)


async def list_budget_events(
    session: AsyncSession, tenant_id: UUID, *, since: datetime | None = None
) -> tuple[BudgetEvent, ...]:
    """The thresholds that the tenant's budgets passed, the newest first."""
    rows = await budget_repository.events_of(session, tenant_id, since, LISTED_MAX)
    return tuple(BudgetEvent(**row._mapping) for row in rows)


def budget_used_up(facts: BudgetFacts, amount_nano_usd: int) -> BudgetUsedUp:
    """The error for an attempt that spent money leaves no room for."""
    left = facts.limit_nano_usd - facts.spent_nano_usd
    state = (
        f"is used ({usd(facts.spent_nano_usd)})"
        if left <= 0
        else f"has {usd(left)} left, and this request may cost {usd(amount_nano_usd)}"
    )
    if facts.period in CREDIT_PERIODS:
        return BudgetUsedUp(f"{_named(facts)} {state}. Add credit under Plan & usage, or ask your operator.", facts)
    if facts.resets_at is None:
        return BudgetUsedUp(f"{_named(facts)} {state}; it does not reset. Raise it under Budgets.", facts)
    return BudgetUsedUp(
        f"{_named(facts)} {state}; it resets {facts.resets_at:%Y-%m-%dT%H:%MZ}. Raise it under Budgets or wait.", facts
    )


def budget_contended(facts: BudgetFacts, amount_nano_usd: int, *, retry_after_s: int) -> BudgetContended:
    """The error for an attempt whose room is held by requests in flight."""
    message = (
        f"{_named(facts)} has room, but requests in flight hold {usd(facts.reserved_nano_usd)} of it and this request "
        f"may cost {usd(amount_nano_usd)}. Retry in {retry_after_s} s."
    )
    return BudgetContended(message, facts, retry_after_s=retry_after_s)


def _named(facts: BudgetFacts) -> str:
    words = f"{SCOPE_WORDS[facts.scope]} '{facts.scope_name}'"
    if facts.period in CREDIT_PERIODS:
        return f"{words} credit of {usd(facts.limit_nano_usd)}"
    if facts.end_user is not None:
        words += f", end user '{facts.end_user}'"
    if facts.model is not None:
        words += f", model '{facts.model}'"
    return f"{words} {PERIOD_WORDS[facts.period]} budget of {usd(facts.limit_nano_usd)}"


def _check(covers: Coverage, terms: Terms) -> None:
    if covers.period not in get_args(BudgetPeriod):
        raise BudgetInvalid(f"period is '{covers.period}'; it must be one of {', '.join(get_args(BudgetPeriod))}.")
    if terms.mode not in get_args(BudgetMode):
        raise BudgetInvalid(f"mode is '{terms.mode}'; it must be one of {', '.join(get_args(BudgetMode))}.")
    if not 0 <= terms.limit_nano_usd <= LIMIT_NANO_USD_MAX:
        raise BudgetInvalid(
            f"The limit is {usd(terms.limit_nano_usd)}; it must be from $0 to {usd(LIMIT_NANO_USD_MAX)}."
        )
    if covers.project_id is not None and covers.api_key_id is not None:
        raise BudgetInvalid("A budget covers a project or an API key, not both; set one of them.")
    if covers.model is not None and not 1 <= len(covers.model) <= MODEL_CHARS_MAX:
        raise BudgetInvalid(f"model has {len(covers.model)} characters; it must have from 1 to {MODEL_CHARS_MAX}.")
    if terms.cheaper_from_percent is not None and not 1 <= terms.cheaper_from_percent <= 100:
        raise BudgetInvalid(f"cheaper_from_percent is {terms.cheaper_from_percent}; it must be from 1 to 100.")
    if terms.cheaper_from_percent is not None and (covers.is_per_end_user or covers.model is not None):
        raise BudgetInvalid(
            "cheaper_from_percent guides the route, before a model is chosen; set it for a tenant, a project or a key."
        )
    if not 1 <= terms.end_users_max <= END_USERS_MAX_MAX:
        raise BudgetInvalid(f"end_users_max is {terms.end_users_max:,}; it must be from 1 to {END_USERS_MAX_MAX:,}.")


async def _list(session: AsyncSession, tenant_id: UUID, budget_id: UUID | None) -> tuple[Budget, ...]:
    rows = await budget_repository.budgets_of(session, tenant_id, budget_id)
    return tuple(Budget(**row._mapping) for row in rows)
