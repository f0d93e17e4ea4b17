"""One tenant as the operator sees it: its sums and margin, its credit and trail, and what can be done about it.

Routed by `dashboard.routes` behind the staff's door. Invariant: each look stands in the platform's trail, each
change in the tenant's own, where its owner reads it.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, get_args
from uuid import UUID

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from billing import CreditInvalid, CreditKind, credit_states, grant_credit
from dashboard import formats, queries, staff_repository
from dashboard.access import checked_form, field
from dashboard.filters import UsageFilter
from dashboard.flash import leave_flash
from dashboard.formats import NANO_PER_USD
from dashboard.measures import p95_ms
from dashboard.pages.shell import staff_shell, uuid_or_none
from dashboard.pulse_tiles import PULSE
from dashboard.ranges import Grain, parse_range, zone_of
from dashboard.render import AnyRequest, go_to, page, url
from dashboard.services import ConsoleServices, Services, Session
from dashboard.staff_rows import TenantFilter
from dashboard.tiles import tiles
from dashboard.usage import by_group, by_slot, total
from tenants import (
    PLATFORM_TENANT_ID,
    ConsoleSession,
    FieldInvalid,
    NotFound,
    record_audit,
    resume_tenant,
    suspend_tenant,
)

EVENTS_SHOWN: Final = 12
CREDIT_FIELDS: Final = ("amount", "kind", "expires", "note")
KINDS: Final[tuple[CreditKind, ...]] = get_args(CreditKind)
AMOUNT_CHARACTERS_MAX: Final = 32


class _Refused(Exception):
    """A field of a form cannot be taken; the message says why."""


@get("/operator/tenants/{tenant_id:str}")
async def one_tenant(
    request: AnyRequest, services: Services, session: Session, tenant_id: FromPath[str]
) -> Response[str]:
    """Everything about one tenant."""
    return await _tenant(request, services, session, _customer(tenant_id))


@post("/operator/tenants/{tenant_id:str}/status")
async def set_status(
    request: AnyRequest, services: Services, session: Session, tenant_id: FromPath[str]
) -> Response[Any]:
    """Suspend or resume a tenant, with the reason that it reads in its trail."""
    form = await checked_form(request, session.csrf_token)
    wanted, reason = _customer(tenant_id), field(form, "reason")
    changes = {
        "suspend": (suspend_tenant, "The tenant is suspended: its keys are refused from now on."),
        "resume": (resume_tenant, "The tenant is resumed: its keys work again."),
    }
    change, message = changes.get(field(form, "do"), (None, ""))
    if change is None:
        raise NotFoundException
    try:
        await change(services.database, session.actor, wanted, reason=reason)
    except FieldInvalid as error:
        return await _tenant(request, services, session, wanted, problem=str(error), status=422)
    except NotFound as error:
        raise NotFoundException from error
    return _back(request, services, session, wanted, message)


@post("/operator/tenants/{tenant_id:str}/credit")
async def give_credit(
    request: AnyRequest, services: Services, session: Session, tenant_id: FromPath[str]
) -> Response[Any]:
    """Give a tenant credit."""
    form = await checked_form(request, session.csrf_token)
    wanted = _customer(tenant_id)
    typed = {name: field(form, name) for name in CREDIT_FIELDS}
    try:
        grant = await grant_credit(
            services.database,
            session.actor,
            wanted,
            amount_nano_usd=_amount(typed["amount"]),
            kind=_kind(typed["kind"]),
            expires_at=_end_of(typed["expires"]),
            note=typed["note"],
        )
    except (_Refused, CreditInvalid) as error:
        return await _tenant(request, services, session, wanted, problem=str(error), typed=typed, status=422)
    except NotFound as error:
        raise NotFoundException from error
    return _back(request, services, session, wanted, f"{formats.money(grant.amount_nano_usd)} of credit was given.")


async def _tenant(
    request: AnyRequest,
    services: ConsoleServices,
    session: ConsoleSession,
    tenant_id: UUID,
    *,
    problem: str = "",
    typed: dict[str, str] | None = None,
    status: int = 200,
) -> Response[str]:
    shell = staff_shell(request, services, session)
    within, wanted = shell.within, UsageFilter()
    starts, shift = within.buckets(), within.shift
    if within.grain is Grain.FIVE_MINUTES:  # hours are the grain of rollups
        starts = starts[:: Grain.HOUR.value // Grain.FIVE_MINUTES.value]
    async with services.database.across_tenants() as database_session:
        lines = await staff_repository.tenant_lines(
            database_session, within.since, within.until, TenantFilter(tenant_ids=(tenant_id,))
        )
        if not lines:
            raise NotFoundException
        rows = await queries.usage_rows(database_session, tenant_id, starts, within.until, wanted)
        before = (
            await queries.usage_rows(
                database_session, tenant_id, tuple(start - shift for start in starts), within.until - shift, wanted
            )
            if shift
            else ()
        )
        credits_held = await credit_states(database_session, tenant_id)
        events = await staff_repository.tenant_events(database_session, tenant_id, limit=EVENTS_SHOWN)
        plans = await staff_repository.plan_choices(database_session)
        await record_audit(database_session, PLATFORM_TENANT_ID, session.actor, "tenant.viewed", f"tenant:{tenant_id}")
    return page(
        request,
        "tenant.html",
        status=status,
        shell=shell,
        line=lines[0][0],
        tiles=tiles(total(rows), total(before), by_slot(rows, len(starts)), PULSE),
        models=by_group(rows),
        p95_ms=p95_ms,
        credits_held=credits_held,
        events=events,
        plans=plans,
        kinds=KINDS,
        problem=problem,
        typed=typed or dict.fromkeys(CREDIT_FIELDS, ""),
        now=services.now(),
    )


def _customer(tenant_id: str) -> UUID:
    wanted = uuid_or_none(tenant_id)
    if wanted is None or wanted == PLATFORM_TENANT_ID:
        raise NotFoundException
    return wanted


def _back(
    request: AnyRequest, services: ConsoleServices, session: ConsoleSession, tenant_id: UUID, message: str
) -> Response[Any]:
    within = parse_range(request.query_params, now=services.now(), zone=zone_of("UTC"))
    response = go_to(request, url(f"/operator/tenants/{tenant_id}", within.query))
    leave_flash(response, services, session, message)
    return response


def _amount(text: str) -> int:
    """Dollars as typed, in nano-USD; the ledger says what is too much."""
    wanted = text.strip().removeprefix("$").replace(",", "")
    try:
        amount = Decimal(wanted) * NANO_PER_USD if len(wanted) <= AMOUNT_CHARACTERS_MAX else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or abs(amount) > 2**62 or amount != int(amount):
        raise _Refused(f"The amount is '{text[:40]}'; give dollars, as 25 or 12.50, to at most nine decimals.")
    return int(amount)


def _kind(text: str) -> CreditKind:
    for kind in KINDS:
        if kind == text:
            return kind
    raise _Refused(f"The kind is '{text[:40]}'; choose {' or '.join(KINDS)}.")


def _end_of(text: str) -> datetime | None:
    """The end of the last day that credit may be used on, UTC; None: it does not expire."""
    if not text:
        return None
    try:
        return datetime.combine(date.fromisoformat(text) + timedelta(days=1), datetime.min.time(), UTC)
    except (ValueError, OverflowError) as error:
        raise _Refused(f"The last day is '{text[:40]}'; give a date, as 2027-01-31, or leave it empty.") from error
