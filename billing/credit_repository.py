"""Rows of `credit_grant`, and the postings of credit: given in the operator's session, drawn by the meter's role.

Invariant: what is drawn and expired of grants, the entries that say so, and what expires of the budget's room are
written in one transaction, under the lock of the budget's period.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from billing.connection import Connection
from billing.credit import CreditGrant, CreditMove
from billing.ledger import Currency

PERIOD_BY_CURRENCY: Final = {"USD": "credit", "XTS": "credit_xts"}
LIABILITY: Final = {"prepaid": "prepaid_credit", "promotional": "promotional_credit"}
# Who bears the amount that is given, and who keeps what nobody used.
GIVEN_BY: Final = {"prepaid": "receivable", "promotional": "promotion"}
KEPT_BY: Final = {"prepaid": "breakage", "promotional": "promotion"}
GRANT_COLUMNS: Final = ", ".join(CreditGrant.__struct_fields__)
POST: Final = """
WITH posted AS (INSERT INTO ledger_posting (tenant_id, posting_id, currency, source) VALUES ($1, $2, $3, $4))
INSERT INTO ledger_entry (tenant_id, posting_id, account, amount_nano_usd)
SELECT $1, $2, account, amount FROM unnest($5::text[], $6::bigint[]) AS e(account, amount)"""


class CreditBudget(msgspec.Struct, frozen=True, kw_only=True):
    """The budget that holds a tenant's credit."""

    budget_id: UUID
    limit_nano_usd: int
    spent_nano_usd: int
    reserved_nano_usd: int


async def add_grant(session: AsyncSession, grant: CreditGrant) -> None:
    """Store a grant with its posting and the room that it gives, in the operator's session."""
    await session.execute(
        text(f"""
            INSERT INTO credit_grant ({GRANT_COLUMNS})
            VALUES ({", ".join(f":{name}" for name in CreditGrant.__struct_fields__)})"""),  # noqa: S608 - constants
        msgspec.structs.asdict(grant),
    )
    posting_id = uuid7()
    await session.execute(
        text("""
            INSERT INTO ledger_posting (tenant_id, posting_id, currency, source)
            VALUES (:tenant_id, :posting_id, :currency, 'credit_granted')"""),
        {"tenant_id": grant.tenant_id, "posting_id": posting_id, "currency": grant.currency},
    )
    await session.execute(
        text("""
            INSERT INTO ledger_entry (tenant_id, posting_id, account, amount_nano_usd)
            VALUES (:tenant_id, :posting_id, :given_by, :amount), (:tenant_id, :posting_id, :liability, -:amount)"""),
        {
            "tenant_id": grant.tenant_id,
            "posting_id": posting_id,
            "given_by": GIVEN_BY[grant.kind],
            "liability": LIABILITY[grant.kind],
            "amount": grant.amount_nano_usd,
        },
    )
    await session.execute(
        text("SELECT raise_credit(:tenant_id, :period, :budget_id, :amount)"),
        {
            "tenant_id": grant.tenant_id,
            "period": PERIOD_BY_CURRENCY[grant.currency],
            "budget_id": uuid7(),
            "amount": grant.amount_nano_usd,
        },
    )


async def grants_of(session: AsyncSession, tenant_id: UUID) -> tuple[CreditGrant, ...]:
    """A tenant's grants, oldest first."""
    rows = await session.execute(
        text(f"SELECT {GRANT_COLUMNS} FROM credit_grant WHERE tenant_id = :tenant_id ORDER BY created_at, grant_id"),  # noqa: S608 - a constant
        {"tenant_id": tenant_id},
    )
    return tuple(CreditGrant(**row._mapping) for row in rows)


async def credit_budgets_of(session: AsyncSession, tenant_id: UUID) -> dict[Currency, CreditBudget]:
    """The budgets that hold a tenant's credit, by currency."""
    rows = await session.execute(
        text("""
            SELECT b.period, b.budget_id, b.limit_nano_usd, coalesce(p.spent_nano_usd, 0) AS spent_nano_usd,
                   coalesce(p.reserved_nano_usd, 0) AS reserved_nano_usd
            FROM budget b LEFT JOIN budget_period p ON p.tenant_id = b.tenant_id AND p.budget_id = b.budget_id
            WHERE b.tenant_id = :tenant_id AND b.period IN ('credit', 'credit_xts') AND b.removed_at IS NULL"""),
        {"tenant_id": tenant_id},
    )
    by_period = {row.period: _budget(row._mapping) for row in rows}
    currencies: tuple[Currency, ...] = ("USD", "XTS")
    return {
        currency: by_period[PERIOD_BY_CURRENCY[currency]]
        for currency in currencies
        if PERIOD_BY_CURRENCY[currency] in by_period
    }


async def credits_due(connection: Connection, now: datetime, *, tenants_max: int) -> list[tuple[UUID, Currency]]:
    """Whose credit was used, given back or has expired since it was last looked at."""
    rows = await connection.fetch("SELECT * FROM credits_due($1, $2)", now, tenants_max)
    return [(row["tenant_id"], row["currency"]) for row in rows]


async def lock_credit(
    connection: Connection, tenant_id: UUID, currency: Currency
) -> tuple[CreditBudget, list[CreditGrant]]:
    """A tenant's credit and its grants, locked for this transaction: no call is reserved from it meanwhile."""
    budget = await connection.fetchrow("SELECT * FROM lock_credit($1, $2)", tenant_id, PERIOD_BY_CURRENCY[currency])
    rows = await connection.fetch(
        f"SELECT {GRANT_COLUMNS} FROM credit_grant WHERE tenant_id = $1 AND currency = $2",  # noqa: S608 - a constant
        tenant_id,
        currency,
    )
    return _budget(budget), [CreditGrant(**dict(row)) for row in rows]


async def write_draws(connection: Connection, tenant_id: UUID, currency: Currency, moves: Sequence[CreditMove]) -> None:
    """Draw usage from grants: what was accrued is paid by what we owed the tenant."""
    amounts: dict[str, int] = {}
    for move in moves:
        account = LIABILITY[move.grant.kind]
        amounts[account] = amounts.get(account, 0) + move.drawn_nano_usd
        amounts["accrued_usage"] = amounts.get("accrued_usage", 0) - move.drawn_nano_usd
    await _write(connection, tenant_id, currency, "credit_drawn", moves, amounts)


async def write_expiries(
    connection: Connection, tenant_id: UUID, currency: Currency, budget_id: UUID, moves: Sequence[CreditMove]
) -> None:
    """Let credit expire: what we owed the tenant is nobody's debt any more, and its room is spent."""
    amounts: dict[str, int] = {}
    for move in moves:
        for account, sign in ((LIABILITY[move.grant.kind], 1), (KEPT_BY[move.grant.kind], -1)):
            amounts[account] = amounts.get(account, 0) + sign * move.expired_nano_usd
    await _write(connection, tenant_id, currency, "credit_expired", moves, amounts)
    await connection.execute(
        "SELECT spend_expired_credit($1, $2, $3)",
        tenant_id,
        budget_id,
        sum(move.expired_nano_usd for move in moves),
    )


async def _write(
    connection: Connection,
    tenant_id: UUID,
    currency: Currency,
    source: str,
    moves: Sequence[CreditMove],
    amounts: dict[str, int],
) -> None:
    await connection.execute(
        """UPDATE credit_grant g SET drawn_nano_usd = g.drawn_nano_usd + m.drawn,
                  expired_nano_usd = g.expired_nano_usd + m.expired
           FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS m(grant_id, drawn, expired)
           WHERE g.tenant_id = $1 AND g.grant_id = m.grant_id""",
        tenant_id,
        [move.grant.grant_id for move in moves],
        [move.drawn_nano_usd for move in moves],
        [move.expired_nano_usd for move in moves],
    )
    posted = {account: amount for account, amount in amounts.items() if amount}
    if posted:
        await connection.execute(POST, tenant_id, uuid7(), currency, source, list(posted), list(posted.values()))


def _budget(row: Any) -> CreditBudget:
    return CreditBudget(**{name: row[name] for name in CreditBudget.__struct_fields__})
