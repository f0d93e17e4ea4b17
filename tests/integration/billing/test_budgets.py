"""Budgets as an admin sets them: scopes, periods in the tenant's time zone, the audit trail."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from billing import Budget, BudgetInvalid, BudgetUsedUp, CommitMeter, list_budgets, remove_budget, set_budget
from tenants import SYSTEM, Database, NotFound
from tests.integration.billing.builders import USD, Books, a_tenant, spend


async def test_a_budget_is_set_moved_and_removed_under_audit(database: Database, books: Books) -> None:
    first = await set_budget(database, SYSTEM, books.tenant_id, limit_nano_usd=5 * USD, period="month")
    moved = await set_budget(database, SYSTEM, books.tenant_id, limit_nano_usd=9 * USD, period="month")
    assert moved.budget_id == first.budget_id
    await remove_budget(database, SYSTEM, books.tenant_id, first.budget_id)
    assert await _list(books) == ()
    events = [json.loads(bytes(row.payload)) for row in await books.rows("SELECT payload FROM audit_event ORDER BY 1")]
    assert sorted(event["action"] for event in events) == ["budget.removed", "budget.set", "budget.set"]
    assert [event["before"] for event in events if event["action"] == "budget.removed"] == [{"limit_nano_usd": 9 * USD}]


async def test_budgets_are_listed_with_what_is_spent_and_reserved(
    database: Database, books: Books, meter: CommitMeter
) -> None:
    await set_budget(database, SYSTEM, books.tenant_id, limit_nano_usd=100, period="total")
    await set_budget(database, SYSTEM, books.tenant_id, limit_nano_usd=50, period="day", project_id=books.project_id)
    await set_budget(database, SYSTEM, books.tenant_id, limit_nano_usd=60, period="week", api_key_id=books.api_key_id)
    await spend(meter, books, 30)
    await meter.reserve(books.reservation(5))
    budgets = await _list(books)
    assert [(budget.scope, budget.scope_name, budget.period) for budget in budgets] == [
        ("tenant", "acme", "total"),
        ("project", "search", "day"),
        ("api_key", "server", "week"),
    ]
    assert {(budget.spent_nano_usd, budget.reserved_nano_usd) for budget in budgets} == {(30, 5)}
    assert budgets[0].resets_at is None
    assert all(budget.resets_at is not None for budget in budgets[1:])


async def test_a_limit_may_be_lowered_below_what_is_spent(database: Database, books: Books, meter: CommitMeter) -> None:
    await set_budget(database, SYSTEM, books.tenant_id, limit_nano_usd=100, period="month")
    await spend(meter, books, 60)
    await set_budget(database, SYSTEM, books.tenant_id, limit_nano_usd=10, period="month")
    with pytest.raises(BudgetUsedUp):
        await meter.reserve(books.reservation(1))
    assert (await meter.admit(books.admission())).headroom_nano_usd == -50


async def test_a_removed_budget_stops_refusing_and_still_settles(
    database: Database, books: Books, meter: CommitMeter
) -> None:
    budget = await set_budget(database, SYSTEM, books.tenant_id, limit_nano_usd=10, period="month")
    held = books.reservation(10)
    await meter.reserve(held)
    await remove_budget(database, SYSTEM, books.tenant_id, budget.budget_id)
    await meter.reserve(books.reservation(1_000))
    await meter.release(held.tenant_id, held.attempt_id)
    assert await books.value("SELECT reserved_nano_usd FROM budget_period") == 0


async def test_a_budget_made_while_an_attempt_runs_does_not_count_it(
    database: Database, books: Books, meter: CommitMeter
) -> None:
    held = books.reservation(10)
    await meter.reserve(held)
    await set_budget(database, SYSTEM, books.tenant_id, limit_nano_usd=10, period="month")
    await meter.reserve(books.reservation(10))
    await meter.release(held.tenant_id, held.attempt_id)
    assert await books.value("SELECT reserved_nano_usd FROM budget_period") == 10


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"limit_nano_usd": -1}, r"-\$0\.000000001"),
        ({"limit_nano_usd": 10**19}, "must be from"),
        ({"period": "year"}, "'year'"),
        ({"project_id": uuid4(), "api_key_id": uuid4()}, "not both"),
        ({"project_id": uuid4()}, "no project"),
        ({"api_key_id": uuid4()}, "no API key"),
    ],
)
async def test_a_budget_that_makes_no_sense_is_refused(
    database: Database, books: Books, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(BudgetInvalid, match=said):
        await set_budget(database, SYSTEM, books.tenant_id, **({"limit_nano_usd": 1, "period": "day"} | fields))
    assert await _list(books) == ()


async def test_another_tenants_project_key_and_budget_are_out_of_reach(database: Database, books: Books) -> None:
    other = await a_tenant(database, "globex")
    budget = await set_budget(database, SYSTEM, books.tenant_id, limit_nano_usd=1, period="day")
    for scope in ({"project_id": books.project_id}, {"api_key_id": books.api_key_id}):
        with pytest.raises(BudgetInvalid):
            await set_budget(database, SYSTEM, other.tenant_id, limit_nano_usd=1, period="day", **scope)
    with pytest.raises(NotFound):
        await remove_budget(database, SYSTEM, other.tenant_id, budget.budget_id)
    async with database.tenant(other.tenant_id) as session:
        assert await list_budgets(session, books.tenant_id) == ()


async def test_a_budget_takes_the_tenants_time_zone(database: Database) -> None:
    books = await a_tenant(database, time_zone="Europe/Berlin")
    budget = await set_budget(database, SYSTEM, books.tenant_id, limit_nano_usd=1, period="day")
    assert budget.time_zone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("period", "zone", "at", "starts", "ends"),
    [
        # Berlin: clocks go forward on 2026-03-29 and back on 2026-10-25; those days have 23 and 25 hours.
        ("day", "Europe/Berlin", "2026-03-29T12:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
        ("day", "Europe/Berlin", "2026-10-25T12:00Z", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),
        ("week", "Europe/Berlin", "2026-03-29T12:00Z", "2026-03-22T23:00Z", "2026-03-29T22:00Z"),
        ("month", "America/New_York", "2026-11-15T12:00Z", "2026-11-01T04:00Z", "2026-12-01T05:00Z"),
        ("month", "Pacific/Auckland", "2026-11-30T12:00Z", "2026-11-30T11:00Z", "2026-12-31T11:00Z"),
        ("day", "Asia/Kolkata", "2026-11-24T20:00Z", "2026-11-24T18:30Z", "2026-11-25T18:30Z"),
        # Havana's clocks go back from 1:00 to midnight, which comes twice; Cairo's go forward at midnight.
        ("day", "America/Havana", "2026-11-01T04:30Z", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),
        ("day", "America/Havana", "2026-11-01T05:30Z", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),
        ("day", "America/Havana", "2026-11-01T03:59Z", "2026-10-31T04:00Z", "2026-11-01T04:00Z"),
        ("day", "Africa/Cairo", "2026-04-24T10:00Z", "2026-04-23T22:00Z", "2026-04-24T21:00Z"),
        ("month", "UTC", "2028-02-29T23:59Z", "2028-02-01T00:00Z", "2028-03-01T00:00Z"),
    ],
)
async def test_periods_follow_the_time_zone_over_its_changes(
    database: Database, period: str, zone: str, at: str, starts: str, ends: str
) -> None:
    async with database.nobody() as session:
        row = (
            await session.execute(
                text("""SELECT s, budget_period_end(:period, :zone, s) FROM
                        (SELECT budget_period_start(:period, :zone, :at) AS s) AS start"""),
                {"period": period, "zone": zone, "at": _time(at)},
            )
        ).one()
    assert tuple(row) == (_time(starts), _time(ends))


def _time(written: str) -> datetime:
    return datetime.fromisoformat(written).astimezone(UTC)


async def _list(books: Books) -> tuple[Budget, ...]:
    async with books.database.tenant(books.tenant_id) as session:
        return await list_budgets(session, books.tenant_id)
