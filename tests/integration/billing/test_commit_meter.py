"""The meter in commit mode over a real database: reservations, settlement, refusals."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from sqlalchemy.engine import make_url

from billing import (
    BudgetContended,
    BudgetUsedUp,
    CommitMeter,
    MeterUnavailable,
    Outcome,
)
from tenants import Database, DatabaseRole
from tests.integration.billing.builders import USD, Books, a_tenant, an_attempt, spend


async def test_reserve_rejects_when_a_budget_is_spent_and_names_it(meter: CommitMeter, books: Books) -> None:
    await books.budget(50 * USD, project=True)
    await spend(meter, books, 50 * USD)
    with pytest.raises(BudgetUsedUp) as refused:
        await meter.reserve(books.reservation(1))
    assert re.fullmatch(
        r"Project 'search' monthly budget of \$50\.00 is used \(\$50\.00\); it resets \d{4}-\d\d-01T00:00Z\. "
        r"Raise it under Budgets or wait\.",
        str(refused.value),
    )
    facts = refused.value.facts
    assert (facts.scope, facts.limit_nano_usd, facts.spent_nano_usd) == ("project", 50 * USD, 50 * USD)


async def test_reserve_says_what_is_left_when_the_bound_does_not_fit(meter: CommitMeter, books: Books) -> None:
    await books.budget(1 * USD, period="total")
    await spend(meter, books, USD // 2)
    with pytest.raises(BudgetUsedUp, match=r"Tenant 'acme' total budget of \$1\.00 has \$0\.50 left, .* \$0\.60"):
        await meter.reserve(books.reservation(600_000_000))


async def test_reserve_is_contended_while_requests_in_flight_hold_the_room(meter: CommitMeter, books: Books) -> None:
    await books.budget(100, key=True)
    held = books.reservation(80)
    await meter.reserve(held)
    with pytest.raises(BudgetContended, match="API key 'server'") as refused:
        await meter.reserve(books.reservation(30))
    assert refused.value.retry_after_s in (1, 2)
    await meter.release(held.tenant_id, held.attempt_id)
    await meter.reserve(books.reservation(30))


async def test_a_free_attempt_passes_a_spent_budget(meter: CommitMeter, books: Books) -> None:
    await books.budget(0)
    await meter.reserve(books.reservation(0))


async def test_reserve_holds_in_all_budgets_or_in_none(meter: CommitMeter, books: Books) -> None:
    await books.budget(1_000)
    await books.budget(10, key=True)
    with pytest.raises(BudgetUsedUp):
        await meter.reserve(books.reservation(11))
    assert await books.value("SELECT sum(reserved_nano_usd) FROM budget_period") == 0
    assert await books.value("SELECT count(*) FROM reservation") == 0


async def test_a_repeated_reservation_holds_once(meter: CommitMeter, books: Books) -> None:
    await books.budget(100)
    reservation = books.reservation(80)
    await asyncio.gather(*(meter.reserve(reservation) for _ in range(5)))
    assert await books.value("SELECT reserved_nano_usd FROM budget_period") == 80


async def test_a_cancelled_reservation_is_returned(meter: CommitMeter, books: Books) -> None:
    await books.budget(100)
    caller = asyncio.create_task(meter.reserve(books.reservation(80)))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await meter.close()
    assert await books.value("SELECT coalesce(sum(reserved_nano_usd), 0) FROM budget_period") == 0


async def test_settle_moves_the_reservation_to_spent(meter: CommitMeter, books: Books) -> None:
    await books.budget(100)
    attempt = an_attempt(billed_nano_usd=60)
    record = books.record(attempt)
    await meter.reserve(books.reservation(100, attempt_id=attempt.attempt_id))
    await meter.settle(record)
    [period] = await books.rows("SELECT spent_nano_usd, reserved_nano_usd FROM budget_period")
    assert tuple(period) == (60, 0)


async def test_settle_counts_a_record_once_however_often_it_comes(meter: CommitMeter, database: Database) -> None:
    books = await a_tenant(database)
    await books.budget(10_000)
    attempt = an_attempt(billed_nano_usd=1_100)
    record = books.record(attempt)
    await meter.reserve(books.reservation(2_000, attempt_id=attempt.attempt_id))
    other = CommitMeter(database, uuid4())
    await asyncio.gather(*(each.settle(record) for each in (meter, other) for _ in range(4)))
    await meter.settle(record)
    assert await books.value("SELECT sum(request_count) FROM usage_rollup") == 1
    assert await books.value("SELECT spent_nano_usd FROM budget_period") == 1_100
    assert await books.value("SELECT sum(amount_nano_usd) FROM ledger_entry WHERE account = 'accrued_usage'") == 1_100
    assert await books.value("SELECT count(*) FROM attempt") == 1


async def test_settle_posts_platform_cost_and_what_was_absorbed(meter: CommitMeter, books: Books) -> None:
    await meter.settle(
        books.record(an_attempt(billed_nano_usd=900, provider_cost_nano_usd=1_000, absorbed_nano_usd=200))
    )
    entries = {row.account: row.amount_nano_usd for row in await books.rows("SELECT * FROM ledger_entry")}
    assert entries == {
        "accrued_usage": 900,
        "revenue": -900,
        "provider_cost": 800,
        "absorbed": 200,
        "provider_payable": -1_000,
    }


async def test_settle_posts_our_fee_alone_for_the_tenants_own_credential(meter: CommitMeter, books: Books) -> None:
    await meter.settle(books.record(an_attempt(billed_nano_usd=10, credential_owner="tenant")))
    entries = {row.account: row.amount_nano_usd for row in await books.rows("SELECT * FROM ledger_entry")}
    assert entries == {"accrued_usage": 10, "revenue": -10}
    [rollup] = await books.rows("SELECT provider_cost_nano_usd, own_credential_cost_nano_usd FROM usage_rollup")
    assert tuple(rollup) == (1_000, 1_000)


async def test_simulated_usage_stands_in_books_of_its_own(meter: CommitMeter, books: Books) -> None:
    await meter.settle(books.record(an_attempt(is_simulated=True)))
    assert await books.value("SELECT currency FROM ledger_posting") == "XTS"


async def test_records_of_a_batch_share_one_posting(meter: CommitMeter, books: Books) -> None:
    await asyncio.gather(*(meter.settle(books.record(an_attempt())) for _ in range(10)))
    assert await books.value("SELECT count(DISTINCT posting_id) FROM request_record") == await books.value(
        "SELECT count(*) FROM ledger_posting"
    )
    assert await books.value("SELECT count(*) FROM request_record WHERE posting_id IS NULL") == 0


async def test_a_refused_request_is_recorded_without_money(meter: CommitMeter, books: Books) -> None:
    await meter.settle(books.record(outcome=Outcome.BUDGET, http_status=402))
    [rollup] = await books.rows("SELECT provider_name, model, task, outcome FROM usage_rollup")
    assert tuple(rollup) == ("", "", "", "budget")
    assert await books.value("SELECT count(*) FROM ledger_posting") == 0
    assert await books.value("SELECT provider_cost_nano_usd FROM request_record") == 0


async def test_an_unknown_cost_stays_unknown(meter: CommitMeter, books: Books) -> None:
    await meter.settle(books.record(an_attempt(provider_cost_nano_usd=None)))
    assert await books.value("SELECT provider_cost_nano_usd FROM request_record") is None
    assert await books.value("SELECT unpriced_count FROM usage_rollup") == 1


async def test_a_charge_that_arrives_after_a_release_is_spent(meter: CommitMeter, books: Books) -> None:
    await books.budget(1_000)
    attempt = an_attempt(billed_nano_usd=70)
    await meter.reserve(books.reservation(100, attempt_id=attempt.attempt_id))
    await meter.release(books.tenant_id, attempt.attempt_id)
    record = books.record(attempt)
    await meter.settle(record)
    await meter.settle(record)
    [period] = await books.rows("SELECT spent_nano_usd, reserved_nano_usd FROM budget_period")
    assert tuple(period) == (70, 0)


async def test_a_poisoned_record_sinks_alone_and_stays_held(database: Database, books: Books) -> None:
    alerts: list[tuple[UUID, UUID]] = []
    meter = CommitMeter(
        database, uuid4(), on_dead_letter=lambda tenant_id, request_id, reason: alerts.append((tenant_id, request_id))
    )
    await books.budget(1_000)
    attempt = an_attempt(billed_nano_usd=10)
    await meter.reserve(books.reservation(10, attempt_id=attempt.attempt_id))
    poisoned = books.record(attempt, latency_ms=2**40)
    good = [books.record(an_attempt()) for _ in range(6)]
    await asyncio.gather(*(meter.settle(record) for record in (*good[:3], poisoned, *good[3:])))
    await meter.settle(poisoned)
    assert alerts[0] == (books.tenant_id, poisoned.request_id)
    assert await books.value("SELECT count(*) FROM request_record") == 6
    [letter] = await books.rows("SELECT payload ->> 'request_id' AS request_id, error FROM dead_letter")
    assert letter.request_id == str(poisoned.request_id)
    assert str(2**40) not in letter.error
    assert await books.value("SELECT reserved_nano_usd FROM budget_period") == 10


async def test_a_callers_nul_does_not_keep_a_request_from_being_billed(meter: CommitMeter, books: Books) -> None:
    await meter.settle(books.record(an_attempt(), end_user="a\x00b", metadata={"k": "\x00"}, tags=("\x00",)))
    assert await books.value("SELECT count(*) FROM request_record") == 1
    assert await books.value("SELECT end_user FROM request_record") == "a�b"


async def test_words_that_cannot_be_written_become_a_dead_letter(meter: CommitMeter, books: Books) -> None:
    await meter.settle(books.record(an_attempt(), end_user="\ud800"))
    assert await books.value("SELECT count(*) FROM dead_letter") == 1


async def test_settle_keeps_every_field(meter: CommitMeter, books: Books) -> None:
    record = books.record(
        an_attempt(first_token_ms=30),
        task="summarization",
        decision=msgspec.Raw(b'{"rule":"r"}'),
        tags=("a", "b"),
        metadata={"team": "x"},
        overhead_ms=1.5,
        baseline_nano_usd=5_000,
        started_at=datetime(2026, 11, 24, 10, 59, tzinfo=UTC),
    )
    await meter.settle(record)
    [row] = await books.rows("SELECT * FROM request_record")
    assert (row.task, row.decision, row.tags, row.metadata) == (
        "summarization",
        {"rule": "r"},
        ["a", "b"],
        {"team": "x"},
    )
    assert (row.overhead_ms, row.started_at, row.input_tokens, row.attempt_count) == (1.5, record.started_at, 100, 1)
    [rollup] = await books.rows("SELECT * FROM usage_rollup")
    assert rollup.hour == datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert (rollup.baseline_nano_usd, rollup.baselined_billed_nano_usd) == (5_000, 1_100)


async def test_nothing_is_admitted_when_the_database_is_away(books: Books) -> None:
    away = Database(lambda role: "postgresql+asyncpg://x@/x?host=/nowhere")
    meter = CommitMeter(away, uuid4())
    with pytest.raises(MeterUnavailable):
        await meter.admit(books.admission())
    with pytest.raises(MeterUnavailable):
        await meter.reserve(books.reservation(1))
    with pytest.raises(MeterUnavailable):
        await meter.settle(books.record(an_attempt()))
    await meter.close()


async def test_a_full_queue_refuses_at_once(database: Database, books: Books) -> None:
    meter = CommitMeter(database, uuid4(), queue_max=2)
    results = await asyncio.gather(*(meter.admit(books.admission()) for _ in range(3)), return_exceptions=True)
    assert isinstance(results[2], MeterUnavailable)
    assert not isinstance(results[0], Exception)


async def test_another_tenant_sees_none_of_it(meter: CommitMeter, books: Books, database: Database) -> None:
    await books.budget(10_000)
    await spend(meter, books, 100)
    other = await a_tenant(database, "globex")
    for table in ("request_record", "attempt", "usage_rollup", "ledger_entry", "reservation", "budget_period"):
        assert await other.value(f"SELECT count(*) FROM {table}") == 0


async def test_200_reservations_over_two_meters_never_exceed_a_dollar(database: Database, books: Books) -> None:
    await books.budget(1 * USD)
    meters = [CommitMeter(database, uuid4(), batch_max=16) for _ in range(2)]
    amount = 7_000_000
    outcomes = await asyncio.gather(
        *(meters[n % 2].reserve(books.reservation(amount)) for n in range(200)), return_exceptions=True
    )
    held = [outcome for outcome in outcomes if outcome is None]
    assert len(held) == USD // amount
    assert all(isinstance(outcome, BudgetContended) for outcome in outcomes if outcome is not None)
    assert await books.value("SELECT reserved_nano_usd FROM budget_period") == len(held) * amount


async def test_64_tasks_over_overlapping_scopes_neither_deadlock_nor_admit_in_part(
    database_url: Callable[[str], str], books: Books
) -> None:
    database = Database(database_url, connections_max=12)
    meters = [CommitMeter(database, uuid4(), batch_max=4) for _ in range(4)]
    other = await a_tenant(books.database, "globex")
    for tenant in (books, other):
        await tenant.budget(40_000)
        await tenant.budget(30_000, project=True)
        await tenant.budget(25_000, key=True)
        await tenant.budget(35_000, period="day")

    async def run(number: int) -> None:
        tenant, meter = (books, other)[number % 2], meters[number % 4]
        for _ in range(4):
            attempt = an_attempt(billed_nano_usd=700)
            try:
                await meter.reserve(tenant.reservation(1_000, attempt_id=attempt.attempt_id))
            except (BudgetContended, BudgetUsedUp):
                continue
            await meters[(number + 1) % 4].settle(tenant.record(attempt))

    await asyncio.gather(*(run(number) for number in range(64)))
    for tenant in (books, other):
        billed = await tenant.value("SELECT sum(billed_nano_usd) FROM request_record")
        periods = await tenant.rows("""SELECT p.spent_nano_usd, p.reserved_nano_usd, b.limit_nano_usd
                                       FROM budget_period p JOIN budget b USING (tenant_id, budget_id)""")
        assert {(row.spent_nano_usd, row.reserved_nano_usd) for row in periods} == {(billed, 0)}
        assert billed <= min(row.limit_nano_usd for row in periods)
    await database.close()


async def test_the_meters_role_reaches_the_counters_through_functions_alone(
    database_url: Callable[[str], str], books: Books
) -> None:
    url = make_url(database_url(DatabaseRole.METER))
    connection = await asyncpg.connect(host=url.query["host"], user=url.username, database=url.database)
    for table in ("budget", "budget_period", "reservation", "rate_bucket"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"SELECT * FROM {table}")
    await connection.close()
