"""A tenant with credit spends no more than its credit, and the ledger tells where each nano-dollar of it went."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from billing import (
    BudgetContended,
    BudgetUsedUp,
    CommitMeter,
    CreditInvalid,
    credit_states,
    draw_credit,
    grant_credit,
    list_budgets,
    remove_budget,
)
from tenants import SYSTEM, Database, NotFound
from tests.integration.billing.builders import Books, a_tenant, an_attempt, spend

NOW = datetime.now(UTC)


async def give(database: Database, books: Books, amount: int, **fields: Any) -> None:
    given = {"kind": "prepaid"} | fields
    await grant_credit(database, SYSTEM, books.tenant_id, amount_nano_usd=amount, **given)


async def balances(books: Books, currency: str = "USD") -> dict[str, int]:
    rows = await books.rows(
        """SELECT account, sum(amount_nano_usd)::bigint AS amount FROM ledger_entry
           JOIN ledger_posting USING (tenant_id, posting_id) WHERE currency = :currency
           GROUP BY account HAVING sum(amount_nano_usd) <> 0""",
        currency=currency,
    )
    found = {row.account: row.amount for row in rows}
    assert sum(found.values()) == 0
    return {
        account: amount for account, amount in found.items() if account not in {"provider_cost", "provider_payable"}
    }


async def left(database: Database, books: Books) -> dict[str, int]:
    async with database.tenant(books.tenant_id) as session:
        return {state.currency: state.left_nano_usd for state in await credit_states(session, books.tenant_id)}


async def test_a_call_that_the_credit_does_not_hold_is_refused_and_a_top_up_lets_it_pass(
    meter: CommitMeter, books: Books, database: Database
) -> None:
    await give(database, books, 1_000)
    await spend(meter, books, 900)
    with pytest.raises(BudgetUsedUp, match=r"credit of \$0\.000001 has \$0\.0000001 left.*Add credit") as refused:
        await meter.reserve(books.reservation(101))
    assert refused.value.facts.period == "credit"
    assert refused.value.facts.resets_at is None
    await give(database, books, 1)
    await spend(meter, books, 101)
    with pytest.raises(BudgetUsedUp, match="is used"):
        await meter.reserve(books.reservation(1))
    await meter.reserve(books.reservation(0))  # what costs nothing needs no credit


async def test_many_meters_at_once_never_spend_more_than_the_credit(books: Books, database: Database) -> None:
    await give(database, books, 1_000)
    meters = [CommitMeter(database, uuid4()) for _ in range(3)]

    async def call(number: int) -> bool:
        try:
            await spend(meters[number % 3], books, 70)
        except (BudgetContended, BudgetUsedUp):
            return False
        return True

    passed = await asyncio.gather(*(call(number) for number in range(60)))
    assert 0 < sum(passed) <= 14
    await draw_credit(database)
    assert (await left(database, books))["USD"] == 1_000 - 70 * sum(passed)
    for meter in meters:
        await meter.close()


async def test_gifts_are_used_first_and_every_amount_stands_in_the_ledger(
    meter: CommitMeter, books: Books, database: Database
) -> None:
    await give(database, books, 1_000)
    await give(database, books, 300, kind="promotional", note="welcome")
    assert await balances(books) == {
        "receivable": 1_000, "prepaid_credit": -1_000, "promotion": 300, "promotional_credit": -300,
    }  # fmt: skip
    await spend(meter, books, 500)
    assert await draw_credit(database) == 1
    assert await draw_credit(database) == 0
    assert await balances(books) == {
        "receivable": 1_000, "prepaid_credit": -800, "promotion": 300, "revenue": -500,
    }  # fmt: skip
    assert await left(database, books) == {"USD": 800}


async def test_what_expires_is_gone_and_what_a_call_holds_is_not(
    meter: CommitMeter, books: Books, database: Database
) -> None:
    await give(database, books, 300, kind="promotional", expires_at=NOW + timedelta(days=2))
    attempt = an_attempt(billed_nano_usd=50)
    record = books.record(attempt)
    await meter.reserve(books.reservation(100, request_id=record.request_id, attempt_id=attempt.attempt_id))
    assert await draw_credit(database, now=NOW + timedelta(days=1)) == 0
    await draw_credit(database, now=NOW + timedelta(days=3))
    assert await left(database, books) == {"USD": 0}
    with pytest.raises(BudgetContended):  # what the running call holds is all that there is
        await meter.reserve(books.reservation(1))
    await meter.settle(record)
    await draw_credit(database, now=NOW + timedelta(days=3))
    await draw_credit(database, now=NOW + timedelta(days=3))
    assert await balances(books) == {"promotion": 50, "revenue": -50}
    with pytest.raises(BudgetUsedUp):
        await meter.reserve(books.reservation(1))
    assert await left(database, books) == {"USD": 0}


async def test_simulated_calls_use_simulated_credit_and_no_other(
    meter: CommitMeter, books: Books, database: Database
) -> None:
    await give(database, books, 100)
    await meter.reserve(books.reservation(5_000, is_simulated=True))
    await give(database, books, 200, currency="XTS")
    attempt = an_attempt(billed_nano_usd=150, is_simulated=True)
    record = books.record(attempt)
    await meter.reserve(
        books.reservation(150, request_id=record.request_id, attempt_id=attempt.attempt_id, is_simulated=True)
    )
    await meter.settle(record)
    with pytest.raises(BudgetUsedUp):
        await meter.reserve(books.reservation(51, is_simulated=True))
    await draw_credit(database)
    assert await left(database, books) == {"USD": 100, "XTS": 50}
    assert await balances(books, "XTS") == {"receivable": 200, "prepaid_credit": -50, "revenue": -150}


async def test_credit_is_no_budget_that_a_tenant_could_lift(books: Books, database: Database) -> None:
    await give(database, books, 100)
    async with database.tenant(books.tenant_id) as session:
        assert await list_budgets(session, books.tenant_id) == ()
    budget_id = await books.value("SELECT budget_id FROM budget")
    with pytest.raises(NotFound):
        await remove_budget(database, SYSTEM, books.tenant_id, budget_id)


async def test_another_tenants_credit_is_neither_seen_nor_used(
    meter: CommitMeter, books: Books, database: Database
) -> None:
    other = await a_tenant(database, "other")
    await give(database, books, 100)
    await meter.reserve(other.reservation(5_000))
    assert await left(database, other) == {}
    assert await other.rows("SELECT * FROM credit_grant") == []


@pytest.mark.parametrize(
    ("amount", "fields"),
    [(0, {}), (-5, {}), (5, {"expires_at": NOW - timedelta(days=1)}), (5, {"note": "x" * 201})],
)
async def test_a_grant_that_makes_no_sense_is_refused(
    books: Books, database: Database, amount: int, fields: dict[str, Any]
) -> None:
    with pytest.raises(CreditInvalid):
        await give(database, books, amount, **fields)
    assert await books.rows("SELECT * FROM ledger_posting") == []


async def test_nobody_is_granted_nothing(database: Database) -> None:
    with pytest.raises(NotFound):
        await grant_credit(database, SYSTEM, uuid4(), amount_nano_usd=1, kind="prepaid")
