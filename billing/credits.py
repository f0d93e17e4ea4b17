"""Giving tenants credit, and drawing their usage from it.

Given by the operator; drawn by the worker, and whenever somebody looks at it. A tenant with credit spends no more
than its credit: the reservation of a call holds its bound there as in any budget. Invariant: Σ granted = Σ drawn +
Σ expired + Σ left, per tenant and currency, and each of them stands in the ledger.
"""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from billing.credit import CreditGrant, CreditKind, draw, expire, moved
from billing.credit_repository import (
    add_grant,
    credit_budgets_of,
    credits_due,
    grants_of,
    lock_credit,
    write_draws,
    write_expiries,
)
from billing.errors import CreditInvalid
from billing.ledger import REAL_CURRENCY, Currency
from billing.money import usd
from billing.plan_repository import has_tenant
from tenants import Actor, Database, NotFound, record_audit

GRANT_NANO_USD_MAX: Final = 10**16  # ten million dollars
NOTE_CHARACTERS_MAX: Final = 200
TENANTS_AT_ONCE: Final = 200


class CreditState(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's credit in one currency: granted = spent + reserved + left, what expired counted as spent."""

    currency: Currency
    granted_nano_usd: int
    spent_nano_usd: int
    reserved_nano_usd: int
    grants: tuple[CreditGrant, ...]

    @property
    def left_nano_usd(self) -> int:
        """What a call may still reserve."""
        return self.granted_nano_usd - self.spent_nano_usd - self.reserved_nano_usd


async def grant_credit(
    database: Database,
    actor: Actor,
    tenant_id: UUID,
    *,
    amount_nano_usd: int,
    kind: CreditKind,
    currency: Currency = REAL_CURRENCY,
    expires_at: datetime | None = None,
    note: str = "",
) -> CreditGrant:
    """Give a tenant credit; from its first grant on it spends no more than it has. Raises CreditInvalid or NotFound.

    The event stands in the tenant's audit chain.
    """
    now = datetime.now(UTC)
    _check(amount_nano_usd, expires_at, note, now)
    grant = CreditGrant(
        tenant_id=tenant_id,
        grant_id=uuid7(),
        kind=kind,
        currency=currency,
        amount_nano_usd=amount_nano_usd,
        expires_at=expires_at,
        note=note,
        granted_by=f"{actor.kind}:{actor.id}",
        created_at=now,
    )
    async with database.across_tenants() as session:
        if not await has_tenant(session, tenant_id):
            raise NotFound("tenant", tenant_id)
        await add_grant(session, grant)
        await record_audit(
            session,
            tenant_id,
            actor,
            action="credit.granted",
            target=f"credit_grant:{grant.grant_id}",
            before=None,
            after={
                "kind": kind,
                "currency": currency,
                "amount_nano_usd": amount_nano_usd,
                "expires_at": expires_at.isoformat() if expires_at else None,
                "note": note,
            },
        )
    return grant


async def credit_states(session: AsyncSession, tenant_id: UUID) -> tuple[CreditState, ...]:
    """What a tenant has of credit, by currency; none: it is billed for what it used."""
    grants, budgets = await grants_of(session, tenant_id), await credit_budgets_of(session, tenant_id)
    return tuple(
        CreditState(
            currency=currency,
            granted_nano_usd=budget.limit_nano_usd,
            spent_nano_usd=budget.spent_nano_usd,
            reserved_nano_usd=budget.reserved_nano_usd,
            grants=tuple(grant for grant in grants if grant.currency == currency),
        )
        for currency, budget in budgets.items()
    )


async def draw_credit(database: Database, *, now: datetime | None = None) -> int:
    """Draw what was used since from the grants, and let expire what is over; return how many credits moved."""
    at = now or datetime.now(UTC)
    pool = await database.meter_pool()
    async with pool.acquire() as connection:
        due = await credits_due(connection, at, tenants_max=TENANTS_AT_ONCE)
        for tenant_id, currency in due:
            async with connection.transaction():
                budget, grants = await lock_credit(connection, tenant_id, currency)
                counted = sum(grant.drawn_nano_usd + grant.expired_nano_usd for grant in grants)
                drawn = draw(grants, budget.spent_nano_usd - counted)
                if drawn:
                    await write_draws(connection, tenant_id, currency, drawn)
                free = budget.limit_nano_usd - budget.spent_nano_usd - budget.reserved_nano_usd
                expired = expire(moved(grants, drawn), at, free_nano_usd=free)
                if expired:
                    await write_expiries(connection, tenant_id, currency, budget.budget_id, expired)
    return len(due)


def _check(amount_nano_usd: int, expires_at: datetime | None, note: str, now: datetime) -> None:
    if not 0 < amount_nano_usd <= GRANT_NANO_USD_MAX:
        raise CreditInvalid(
            f"The amount is {usd(amount_nano_usd)}; it must be above $0 and at most {usd(GRANT_NANO_USD_MAX)}."
        )
    if expires_at is not None and expires_at <= now:
        raise CreditInvalid(f"The credit would have expired at {expires_at:%Y-%m-%dT%H:%MZ}; give a moment to come.")
    if len(note) > NOTE_CHARACTERS_MAX:
        raise CreditInvalid(f"The note has {len(note)} characters; it may have {NOTE_CHARACTERS_MAX}.")
