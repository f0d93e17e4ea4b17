"""Budgets: how much a tenant, a project or an API key may spend in a day, a week, a month or in all.

Set by the tenant's admin in the console, the API or the command line; every change stands in the audit
chain. Invariant: a budget counts what is reserved from when it was set, and lowering its limit below
what is spent refuses everything that costs until its period ends.
"""

from datetime import datetime
from typing import Final, Literal, get_args
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from billing import budget_repository
from billing.errors import BudgetContended, BudgetInvalid, BudgetUsedUp
from billing.meter import BudgetFacts
from billing.money import usd
from tenants import Actor, Database, NotFound, record_audit

BudgetPeriod = Literal["day", "week", "month", "total"]
LIMIT_NANO_USD_MAX: Final = 10**18  # a billion dollars
PERIOD_WORDS: Final = {"day": "daily", "week": "weekly", "month": "monthly", "total": "total"}
CREDIT_PERIODS: Final = frozenset({"credit", "credit_xts"})
SCOPE_WORDS: Final = {"tenant": "Tenant", "project": "Project", "api_key": "API key"}


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A limit with the state of its running period. Without project and key it covers the whole tenant."""

    budget_id: UUID
    project_id: UUID | None
    api_key_id: UUID | None
    scope: str
    scope_name: str
    period: str
    time_zone: str
    limit_nano_usd: int
    spent_nano_usd: int
    reserved_nano_usd: int
    period_start: datetime
    resets_at: datetime | None


async def set_budget(
    database: Database,
    actor: Actor,
    tenant_id: UUID,
    *,
    limit_nano_usd: int,
    period: BudgetPeriod,
    project_id: UUID | None = None,
    api_key_id: UUID | None = None,
) -> Budget:
    """Set the limit of a scope and period; a second call moves the same budget's limit.

    Days, weeks and months follow the tenant's time zone. Raises BudgetInvalid.
    """
    if period not in get_args(BudgetPeriod):
        raise BudgetInvalid(f"period is '{period}'; it must be one of {', '.join(get_args(BudgetPeriod))}.")
    if not 0 <= limit_nano_usd <= LIMIT_NANO_USD_MAX:
        raise BudgetInvalid(f"The limit is {usd(limit_nano_usd)}; it must be from $0 to {usd(LIMIT_NANO_USD_MAX)}.")
    if project_id is not None and api_key_id is not None:
        raise BudgetInvalid("A budget covers a project or an API key, not both; set one of them.")
    async with database.tenant(tenant_id) as session:
        if not await budget_repository.has_scope(session, tenant_id, project_id, api_key_id):
            raise BudgetInvalid(
                f"There is no {'project' if project_id else 'API key'} '{project_id or api_key_id}' here; check its id."
                if project_id or api_key_id
                else f"There is no tenant '{tenant_id}'; check its id."
            )
        before = await budget_repository.find_limit(session, tenant_id, period, project_id, api_key_id)
        budget_id = await budget_repository.put_budget(
            session, tenant_id, uuid7(), period, limit_nano_usd, project_id=project_id, api_key_id=api_key_id
        )
        [budget] = await _list(session, tenant_id, budget_id)
        await record_audit(
            session,
            tenant_id,
            actor,
            action="budget.set",
            target=f"budget:{budget_id}",
            before=None if before is None else {"limit_nano_usd": before},
            after={
                "scope": budget.scope,
                "scope_name": budget.scope_name,
                "period": period,
                "limit_nano_usd": limit_nano_usd,
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
    scope = f"{SCOPE_WORDS[facts.scope]} '{facts.scope_name}'"
    if facts.period in CREDIT_PERIODS:
        return f"{scope} credit of {usd(facts.limit_nano_usd)}"
    return f"{scope} {PERIOD_WORDS[facts.period]} budget of {usd(facts.limit_nano_usd)}"


async def _list(session: AsyncSession, tenant_id: UUID, budget_id: UUID | None) -> tuple[Budget, ...]:
    rows = await budget_repository.budgets_of(session, tenant_id, budget_id)
    return tuple(Budget(**row._mapping) for row in rows)
