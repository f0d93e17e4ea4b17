"""Budgets for end users and models, hard, soft and alerting, and the events of their thresholds."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from billing import (
    BillingError,
    Budget,
    BudgetContended,
    BudgetInvalid,
    BudgetUsedUp,
    CommitMeter,
    Reservation,
    list_budget_events,
    list_budgets,
    list_end_users,
    set_budget,
)
from tenants import SYSTEM, Database
from tests.integration.billing.builders import Books, an_attempt, spend

GPT: dict[str, Any] = {"provider_name": "openai", "model": "gpt-4o"}


async def a_budget(books: Books, limit_nano_usd: int, **fields: Any) -> Budget:
    given = {"limit_nano_usd": limit_nano_usd, "period": "month", **fields}
    return await set_budget(books.database, SYSTEM, books.tenant_id, **given)


async def held(meter: CommitMeter, reservation: Reservation) -> bool:
    try:
        await meter.reserve(reservation)
    except (BudgetUsedUp, BudgetContended):
        return False
    return True


async def events(books: Books) -> list[tuple[str | None, int]]:
    """Whom the events are about and their thresholds, the oldest first."""
    async with books.database.tenant(books.tenant_id) as session:
        told = await list_budget_events(session, books.tenant_id)
    return sorted(((each.end_user, each.threshold_percent) for each in told), key=lambda pair: (pair[0] or "", pair[1]))


async def test_each_end_user_has_the_limit_for_itself(books: Books, meter: CommitMeter) -> None:
    await a_budget(books, 10, is_per_end_user=True)
    for end_user in ("ann", "bob"):
        assert await held(meter, books.reservation(10, end_user=end_user))
        assert not await held(meter, books.reservation(1, end_user=end_user))
    assert await held(meter, books.reservation(1_000))  # who names no end user is not covered


async def test_end_users_beyond_the_bound_share_one_limit(books: Books, meter: CommitMeter) -> None:
    budget = await a_budget(books, 10, is_per_end_user=True, end_users_max=3)
    outcomes = [await held(meter, books.reservation(10, end_user=f"user {number}")) for number in range(6)]
    assert outcomes == [True, True, True, True, False, False]
    async with books.database.tenant(books.tenant_id) as session:
        spent = await list_end_users(session, books.tenant_id, budget.budget_id)
        [listed] = await list_budgets(session, books.tenant_id)
    assert {each.end_user for each in spent} == {"user 0", "user 1", "user 2", "(others)"}
    assert (listed.end_user_count, listed.reserved_nano_usd) == (3, 40)


async def test_the_bound_holds_over_processes_and_nothing_is_counted_twice(database: Database, books: Books) -> None:
    await a_budget(books, 10, is_per_end_user=True, end_users_max=8)
    meters = [CommitMeter(database, uuid4()) for _ in range(3)]
    reservations = [books.reservation(1, end_user=f"user {number % 20}") for number in range(120)]
    outcomes = await asyncio.gather(*(held(meters[n % 3], each) for n, each in enumerate(reservations)))
    rows = await books.rows("SELECT end_user, end_user_count, reserved_nano_usd FROM budget_period")
    assert len(rows) == 1 + 8 + 1
    assert sum(row.end_user_count for row in rows) == 8
    assert sum(row.reserved_nano_usd for row in rows) == sum(outcomes)
    assert all(row.reserved_nano_usd <= 10 for row in rows)
    for meter in meters:
        await meter.close()


async def test_what_was_shared_is_settled_where_it_was_held(books: Books, meter: CommitMeter) -> None:
    await a_budget(books, 10, is_per_end_user=True, end_users_max=1)
    await held(meter, books.reservation(1, end_user="first"))
    attempt = an_attempt(billed_nano_usd=4)
    await meter.reserve(books.reservation(9, attempt_id=attempt.attempt_id, end_user="late"))
    await meter.settle(books.record(attempt))
    rows = {row.end_user: row for row in await books.rows("SELECT * FROM budget_period")}
    assert (rows["(others)"].spent_nano_usd, rows["(others)"].reserved_nano_usd) == (4, 0)
    assert rows["first"].reserved_nano_usd == 1


async def test_a_models_budget_covers_what_its_pattern_names(books: Books, meter: CommitMeter) -> None:
    await a_budget(books, 10, model="openai/gpt-4*")
    assert await held(meter, books.reservation(10, **GPT))
    assert not await held(meter, books.reservation(1, **GPT))
    assert await held(meter, books.reservation(99, provider_name="openai", model="o3"))


async def test_only_the_star_stands_for_anything(books: Books, meter: CommitMeter) -> None:
    await a_budget(books, 0, model="a_b/50%\\*")
    assert await held(meter, books.reservation(1, provider_name="axb", model="50%\\x"))
    assert await held(meter, books.reservation(1, provider_name="a_b", model="50x\\x"))
    assert not await held(meter, books.reservation(1, provider_name="a_b", model="50%\\x"))


async def test_all_that_cover_a_call_hold_it_or_none_does(books: Books, meter: CommitMeter) -> None:
    await a_budget(books, 100)
    await a_budget(books, 100, is_per_end_user=True)
    await a_budget(books, 5, model="openai/*", project_id=books.project_id)
    assert not await held(meter, books.reservation(6, end_user="ann", **GPT))
    assert await books.value("SELECT coalesce(sum(reserved_nano_usd), 0) FROM budget_period") == 0
    assert await held(meter, books.reservation(5, end_user="ann", **GPT))
    assert await books.value("SELECT sum(reserved_nano_usd) FROM budget_period") == 15


async def test_the_error_names_the_model_and_the_end_user(books: Books, meter: CommitMeter) -> None:
    await a_budget(books, 5, model="openai/*", is_per_end_user=True)
    with pytest.raises(
        BudgetUsedUp, match=r"Tenant 'acme', end user 'ann', model 'openai/\*' monthly budget of"
    ) as caught:
        await meter.reserve(books.reservation(6, end_user="ann", **GPT))
    assert (caught.value.facts.end_user, caught.value.facts.model) == ("ann", "openai/*")


async def test_a_soft_budget_lets_calls_pass_while_anything_is_left(books: Books, meter: CommitMeter) -> None:
    await a_budget(books, 10, mode="soft")
    await spend(meter, books, 9)
    assert (await meter.admit(books.admission())).headroom_nano_usd is None
    await spend(meter, books, 50)
    with pytest.raises(BudgetUsedUp):
        await meter.reserve(books.reservation(1))
    meter.drop(books.tenant_id)
    admitted = await meter.admit(books.admission())
    assert (admitted.headroom_nano_usd, admitted.unspent_nano_usd) == (-49, -49)


async def test_an_alert_refuses_nothing_and_bars_no_route(books: Books, meter: CommitMeter) -> None:
    await a_budget(books, 10, mode="alert")
    await spend(meter, books, 500)
    await spend(meter, books, 500)
    assert (await meter.admit(books.admission())).headroom_nano_usd is None
    assert await events(books) == [(None, 50), (None, 80), (None, 95), (None, 100)]


async def test_a_hard_budget_beside_an_alert_still_tells_its_room(books: Books, meter: CommitMeter) -> None:
    await a_budget(books, 10, mode="alert", period="day")
    await a_budget(books, 100)
    await spend(meter, books, 30)
    assert (await meter.admit(books.admission())).headroom_nano_usd == 70


@pytest.mark.parametrize(("spent", "prefers"), [(79, False), (80, True)])
async def test_from_a_share_on_cheaper_is_preferred(
    books: Books, meter: CommitMeter, spent: int, prefers: bool
) -> None:
    await a_budget(books, 100, mode="alert", cheaper_from_percent=80)
    await a_budget(books, 1_000, period="day")
    await spend(meter, books, spent)
    assert (await meter.admit(books.admission())).prefers_cheaper is prefers


async def test_each_threshold_is_told_once_in_a_period(books: Books, meter: CommitMeter) -> None:
    await a_budget(books, 1_000)
    for amount, told in (
        (499, []),
        (1, [50]),
        (100, [50]),
        (250, [50, 80]),
        (140, [50, 80, 95]),
        (10, [50, 80, 95, 100]),
    ):
        await spend(meter, books, amount)
        assert await events(books) == [(None, threshold) for threshold in told]


async def test_a_budget_that_refuses_near_its_end_is_told_as_used_up(books: Books, meter: CommitMeter) -> None:
    await a_budget(books, 1_000)
    await spend(meter, books, 940)
    assert not await held(meter, books.reservation(500))
    assert (None, 100) not in await events(books)
    await spend(meter, books, 30)
    assert not await held(meter, books.reservation(500))
    assert not await held(meter, books.reservation(500))
    assert await events(books) == [(None, 50), (None, 80), (None, 95), (None, 100)]


async def test_lowering_a_limit_tells_what_is_passed_at_once_and_raising_tells_later(
    books: Books, meter: CommitMeter
) -> None:
    await a_budget(books, 1_000)
    await spend(meter, books, 100)
    await a_budget(books, 120)
    assert await events(books) == [(None, 50), (None, 80)]
    await a_budget(books, 10_000)
    await spend(meter, books, 9_400)
    assert await events(books) == [(None, 50), (None, 80), (None, 95)]


async def test_each_end_user_has_events_of_its_own(books: Books, meter: CommitMeter) -> None:
    await a_budget(books, 10, is_per_end_user=True)
    for end_user in ("ann", "bob"):
        attempt = an_attempt(billed_nano_usd=6)
        await meter.reserve(books.reservation(6, attempt_id=attempt.attempt_id, end_user=end_user))
        await meter.settle(books.record(attempt))
    assert await events(books) == [("ann", 50), ("bob", 50)]


async def test_setting_again_moves_the_terms_of_the_same_budget(books: Books) -> None:
    first = await a_budget(books, 10, model="openai/*")
    other = await a_budget(books, 10)
    moved = await a_budget(books, 20, model="openai/*", mode="soft")
    assert moved.budget_id == first.budget_id != other.budget_id
    assert (moved.limit_nano_usd, moved.mode) == (20, "soft")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"mode": "firm"}, "mode is 'firm'"),
        ({"cheaper_from_percent": 101}, "must be from 1 to 100"),
        ({"cheaper_from_percent": 80, "model": "openai/*"}, "before a model is chosen"),
        ({"end_users_max": 0}, "end_users_max is 0"),
        ({"model": ""}, "model has 0 characters"),
    ],
)
async def test_terms_that_make_no_sense_are_refused(books: Books, fields: dict[str, Any], word: str) -> None:
    with pytest.raises(BudgetInvalid, match=word):
        await a_budget(books, 10, **fields)


def test_a_forecast_goes_on_as_the_period_began() -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    budget = Budget(
        budget_id=uuid4(), project_id=None, api_key_id=None, scope="tenant", scope_name="acme", is_per_end_user=False,
        end_users_max=1, model=None, mode="hard", cheaper_from_percent=None, period="month", time_zone="UTC",
        limit_nano_usd=100, spent_nano_usd=30, reserved_nano_usd=0, end_user_count=0, period_start=start,
        resets_at=start + timedelta(days=30),
    )  # fmt: skip
    assert budget.forecast_nano_usd(start + timedelta(days=10)) == 90
    assert budget.forecast_nano_usd(start) == 30 * 30 * 86_400
    assert msgspec.structs.replace(budget, resets_at=None).forecast_nano_usd(start) is None


@pytest.mark.parametrize("seed", range(2))
async def test_overlapping_budgets_over_processes_are_never_passed(database: Database, books: Books, seed: int) -> None:
    chance = random.Random(seed)
    await a_budget(books, 300)
    await a_budget(books, 200, project_id=books.project_id)
    await a_budget(books, 90, model="openai/*")
    await a_budget(books, 60, is_per_end_user=True, api_key_id=books.api_key_id, end_users_max=3)
    meters = [CommitMeter(database, uuid4()) for _ in range(3)]

    async def one() -> int:
        meter, amount = chance.choice(meters), chance.randint(1, 9)
        attempt = an_attempt(billed_nano_usd=chance.randint(0, amount))
        model = chance.choice(("openai", "mistral"))
        reservation = books.reservation(
            amount,
            attempt_id=attempt.attempt_id,
            end_user=f"user {chance.randrange(6)}",
            provider_name=model,
            model="m",
        )
        for _ in range(3):
            try:
                await meter.reserve(reservation)
                break
            except BudgetContended:
                await asyncio.sleep(0.01)
            except BillingError:
                return 0
        else:
            return 0
        await asyncio.sleep(chance.random() * 0.02)
        await meter.settle(books.record(attempt))
        return attempt.billed_nano_usd

    billed = sum(await asyncio.gather(*(one() for _ in range(200))))
    rows = await books.rows(
        "SELECT b.limit_nano_usd, p.* FROM budget_period p JOIN budget b USING (tenant_id, budget_id)"
    )
    assert all(row.spent_nano_usd <= row.limit_nano_usd for row in rows)
    assert all(row.reserved_nano_usd == 0 for row in rows)
    assert max(row.spent_nano_usd for row in rows if row.limit_nano_usd == 300) == billed
    assert sum(row.spent_nano_usd for row in rows if row.limit_nano_usd == 60) == billed
    for meter in meters:
        await meter.close()
