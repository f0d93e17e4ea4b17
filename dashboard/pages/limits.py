"""Limits and budgets: what may be spent and how fast, what of it is used, held and left, and when it resets.

Routed by `dashboard.routes`. Invariants: numbers are those of `billing`, which refuses by them; a scope that was
not understood is refused, and never taken for the whole tenant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Response, get, post
from litestar.datastructures import FormMultiDict
from litestar.exceptions import NotFoundException
from sqlalchemy.ext.asyncio import AsyncSession

from billing import (
    LIMIT_NANO_USD_MAX,
    Budget,
    BudgetInvalid,
    BudgetMode,
    BudgetPeriod,
    LimitInvalid,
    LimitKind,
    credit_states,
    list_budget_events,
    list_budgets,
    list_traffic_limits,
    remove_budget,
    remove_traffic_limit,
    set_budget,
    set_traffic_limit,
    traffic_states,
)
from dashboard import queries
from dashboard.access import checked_form, field
from dashboard.burn_down import burn_down, forecast_of, has_figure, steps_of
from dashboard.figures import Figure
from dashboard.filters import UsageFilter
from dashboard.flash import leave_flash
from dashboard.formats import NANO_PER_USD, count, money
from dashboard.pages.shell import tenant_shell, uuid_or_none
from dashboard.render import AnyRequest, go_to, page
from dashboard.rows import Named
from dashboard.services import ConsoleServices, Services, Session
from dashboard.usage import by_slot
from tenants import ROLE_SCOPES, ConsoleSession, FieldInvalid, NotFound, Scope

PATH: Final = "/console/limits"
EVENTS_SHOWN: Final = 10
TENANT_SCOPE: Final = "tenant"
USD_MAX: Final = LIMIT_NANO_USD_MAX // NANO_PER_USD
COUNT_DIGITS_MAX: Final = 12
MODES: Final = {
    "hard": "hard: cannot be overspent",
    "soft": "soft: calls pass while anything is left",
    "alert": "alert: refuses nothing",
}


@dataclass(frozen=True, slots=True)
class Typed:
    """A form as it was sent, with what was wrong with it."""

    form: str
    fields: dict[str, str]
    problem: str


@get(PATH)
async def limits(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """Credit, budgets and traffic limits as they stand."""
    return await _page(request, services, session)


@post("/console/limits/budgets")
async def set_budget_form(request: AnyRequest, services: Services, session: Session) -> Response[Any]:
    """Set a budget, or move the one that covers the same."""
    form = await checked_form(request, session.csrf_token)
    session.require(Scope.BUDGETS_WRITE)
    try:
        project_id, api_key_id = _scope(form)
        budget = await set_budget(
            services.database,
            session.actor,
            session.tenant_id,
            limit_nano_usd=_nano_usd(form, "limit_usd"),
            # Checked there against the closed sets.
            period=cast(BudgetPeriod, field(form, "period")),
            mode=cast(BudgetMode, field(form, "mode")),
            project_id=project_id,
            api_key_id=api_key_id,
            is_per_end_user=bool(field(form, "is_per_end_user")),
            model=field(form, "model").strip() or None,
            cheaper_from_percent=_number(form, "cheaper_from_percent"),
        )
    except (BudgetInvalid, FieldInvalid) as error:
        return await _page(request, services, session, typed=_typed("budget", form, error), status=422)
    told = f"The {budget.period} budget of '{budget.scope_name}' is {money(budget.limit_nano_usd)} now."
    return _done(request, services, session, told)


@post("/console/limits/budgets/remove")
async def remove_budget_form(request: AnyRequest, services: Services, session: Session) -> Response[Any]:
    """Lift a budget."""
    form = await checked_form(request, session.csrf_token)
    session.require(Scope.BUDGETS_WRITE)
    try:
        await remove_budget(services.database, session.actor, session.tenant_id, _id_of(form, "budget_id"))
    except NotFound as error:
        raise NotFoundException from error
    return _done(request, services, session, "The budget is lifted; what was spent under it stays known.")


@post("/console/limits/traffic")
async def set_limit_form(request: AnyRequest, services: Services, session: Session) -> Response[Any]:
    """Set a traffic limit, or move the one that covers the same."""
    form = await checked_form(request, session.csrf_token)
    session.require(Scope.BUDGETS_WRITE)
    try:
        project_id, api_key_id = _scope(form)
        limit_count = _number(form, "limit_count")
        if limit_count is None or field(form, "kind") not in set(LimitKind):
            raise FieldInvalid("limit_count", "Choose what is counted, and give a whole number of at least 1.")
        limit = await set_traffic_limit(
            services.database,
            session.actor,
            session.tenant_id,
            kind=LimitKind(field(form, "kind")),
            limit_count=limit_count,
            burst_count=_number(form, "burst_count"),
            project_id=project_id,
            api_key_id=api_key_id,
            is_per_end_user=bool(field(form, "is_per_end_user")),
            model=field(form, "model").strip() or None,
        )
    except (FieldInvalid, LimitInvalid) as error:
        return await _page(request, services, session, typed=_typed("limit", form, error), status=422)
    told = f"{limit.words}: {count(limit.limit_count)} {limit.kind.words} from now on."
    return _done(request, services, session, told)


@post("/console/limits/traffic/remove")
async def remove_limit_form(request: AnyRequest, services: Services, session: Session) -> Response[Any]:
    """Lift a traffic limit."""
    form = await checked_form(request, session.csrf_token)
    session.require(Scope.BUDGETS_WRITE)
    try:
        await remove_traffic_limit(services.database, session.actor, session.tenant_id, _id_of(form, "limit_id"))
    except NotFound as error:
        raise NotFoundException from error
    return _done(request, services, session, "The limit is lifted.")


async def _page(
    request: AnyRequest,
    services: ConsoleServices,
    session: ConsoleSession,
    *,
    typed: Typed | None = None,
    status: int = 200,
) -> Response[str]:
    tenant_id, now = session.tenant_id, services.now()
    async with services.database.tenant(tenant_id) as database_session:
        shell = await tenant_shell(request, services, session, database_session)
        budgets = await list_budgets(database_session, tenant_id)
        events = await list_budget_events(database_session, tenant_id)
        traffic = await list_traffic_limits(database_session, tenant_id)
        states = await traffic_states(database_session, tenant_id)
        credit = await credit_states(database_session, tenant_id)
        keys = await queries.api_keys(database_session, tenant_id)
        shown = _shown(budgets, request.query_params.get("budget"))
        zone = shell.within.zone
        figure = None if shown is None else await _figure(database_session, tenant_id, shown, now, zone)
    return page(
        request,
        "limits.html",
        status=status,
        shell=shell,
        budgets=[(budget, forecast_of(budget, now), has_figure(budget)) for budget in budgets],
        shown=shown,
        figure=figure,
        events=events[:EVENTS_SHOWN],
        traffic=[(limit, states.get(limit.limit_id)) for limit in traffic],
        credit=credit,
        scopes=_scopes(shell.projects, keys),
        periods=get_args(BudgetPeriod),
        modes=MODES,
        kinds=tuple(LimitKind),
        typed=typed,
        may_write=Scope.BUDGETS_WRITE in ROLE_SCOPES[session.role],
        zone=zone,
    )


async def _figure(
    database_session: AsyncSession, tenant_id: UUID, budget: Budget, now: datetime, zone: ZoneInfo
) -> Figure:
    starts = steps_of(budget, now)
    covered = UsageFilter(project_id=budget.project_id, api_key_id=budget.api_key_id)
    usage = await queries.usage_rows(database_session, tenant_id, starts, now, covered)
    return burn_down(budget, [sums.billed_nano_usd for sums in by_slot(usage, len(starts))], now, zone)


def _shown(budgets: Sequence[Budget], wanted: str | None) -> Budget | None:
    """The budget to draw: the one that was asked for, else the first that can be drawn."""
    drawn = [budget for budget in budgets if has_figure(budget)]
    return next((each for each in drawn if str(each.budget_id) == wanted), drawn[0] if drawn else None)


def _scopes(projects: Sequence[Named], keys: Sequence[Named]) -> tuple[tuple[str, str], ...]:
    """What a limit can cover, as the form sends it and as it reads."""
    return (
        (TENANT_SCOPE, "the whole tenant"),
        *((f"project:{each.id}", f"project {each.name}") for each in projects),
        *((f"key:{each.id}", f"key {each.name}") for each in keys),
    )


def _scope(form: FormMultiDict) -> tuple[UUID | None, UUID | None]:
    """The project or the key that a form names; neither: the whole tenant."""
    kind, _, text = field(form, "scope").partition(":")
    if kind == TENANT_SCOPE and not text:
        return None, None
    named = uuid_or_none(text)
    if kind not in ("project", "key") or named is None:
        raise FieldInvalid("scope", "Choose what it covers: the whole tenant, a project or a key.")
    return (named, None) if kind == "project" else (None, named)


def _nano_usd(form: FormMultiDict, name: str) -> int:
    text = field(form, name).strip().removeprefix("$").replace(",", "")
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount <= USD_MAX) or (amount * NANO_PER_USD) % 1:
        raise FieldInvalid(
            name, f"The limit is '{text[:40]}'; give dollars from 0 to {USD_MAX:,}, such as 250 or 0.50."
        )
    return int(amount * NANO_PER_USD)


def _number(form: FormMultiDict, name: str) -> int | None:
    text = field(form, name).strip().replace(",", "")
    if text and not (text.isascii() and text.isdigit() and len(text) <= COUNT_DIGITS_MAX):
        raise FieldInvalid(name, f"{name.replace('_', ' ')} is '{text[:40]}'; give a whole number, or leave it out.")
    return int(text) if text else None


def _id_of(form: FormMultiDict, name: str) -> UUID:
    found = uuid_or_none(field(form, name))
    if found is None:
        raise NotFoundException
    return found


def _typed(name: str, form: FormMultiDict, error: Exception) -> Typed:
    return Typed(name, {key: value for key, value in form.items() if isinstance(value, str)}, str(error))


def _done(request: AnyRequest, services: ConsoleServices, session: ConsoleSession, told: str) -> Response[Any]:
    response = go_to(request, PATH)
    leave_flash(response, services, session, told)
    return response
