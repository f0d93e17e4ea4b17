"""What providers bill is what is recorded, once their statement was read, and what nobody pays is absorbed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from billing import (
    CommitMeter,
    Outcome,
    ReconcileReport,
    StatementLine,
    Usage,
    absorb_unresolved,
    change_plan,
    find_request,
    list_requests,
    reconcile,
    seed_plans,
    settle_lost,
)
from billing.stored import RequestFilters, StoredRequest
from tenants import PLATFORM_TENANT_ID, SYSTEM, Database
from tests.integration.billing.builders import Books, a_tenant, an_attempt
from tests.integration.billing.test_lost_calls import AT_ONCE, hold, owing, sums, the_truth


@pytest.fixture(autouse=True)
async def a_plan(database: Database, books: Books) -> None:
    """Plans, and the tenant on one whose markup is five per cent; the platform's tenant holds what is nobody's."""
    await seed_plans(database)
    await change_plan(database, SYSTEM, books.tenant_id, "pro")
    async with database.across_tenants() as session:
        await session.execute(
            text("INSERT INTO tenant (tenant_id, name) VALUES (:id, 'platform') ON CONFLICT DO NOTHING"),
            {"id": PLATFORM_TENANT_ID},
        )


@pytest.fixture
async def dying(database: Database) -> AsyncIterator[CommitMeter]:
    meter = CommitMeter(database, uuid4())
    yield meter
    await meter.close()


def a_line(attempt_id: UUID | None, cost_nano_usd: int, **fields: Any) -> StatementLine:
    defaults: dict[str, Any] = {"provider_name": "openai", "model": "gpt-4o-mini", "started_at": datetime.now(UTC)}
    return StatementLine(attempt_id=attempt_id, cost_nano_usd=cost_nano_usd, **(defaults | fields))


async def found(database: Database, books: Books, request_id: UUID) -> StoredRequest:
    async with database.tenant(books.tenant_id) as session:
        request = await find_request(session, books.tenant_id, request_id)
    assert request is not None
    return request


async def balance(books: Books, account: str) -> int:
    return int(
        await books.value(
            "SELECT coalesce(sum(amount_nano_usd), 0) FROM ledger_entry WHERE account = :account", account=account
        )
    )


async def lose(
    dying: CommitMeter, books: Books, database: Database, amount: int = 2_000, **fields: object
) -> tuple[UUID, UUID]:
    held = await hold(dying, books, amount, provider_name="openai", model="gpt-4o-mini", **fields)
    assert await settle_lost(database, **AT_ONCE) == 1
    return held


async def test_a_lost_call_is_billed_by_the_statement(dying: CommitMeter, books: Books, database: Database) -> None:
    await books.budget(10_000)
    request_id, attempt_id = await lose(dying, books, database)
    report = await reconcile(
        database, [a_line(attempt_id, 1_000, usage=Usage(input_tokens=40, output_tokens=2), response_id="r1")]
    )
    assert (report.matched_count, report.adjusted_count, report.resolved_count) == (1, 1, 1)
    assert report.billed_moved_nano_usd == 1_050 - 2_000
    assert await sums(books) == owing(1_050)
    assert await balance(books, "provider_payable") == -1_000
    assert await balance(books, "absorbed") == 0
    request = await found(database, books, request_id)
    assert (request.outcome, request.billed_nano_usd, request.provider_cost_nano_usd) == (
        Outcome.INTERRUPTED, 1_050, 1_000,
    )  # fmt: skip
    assert (request.input_tokens, request.is_usage_estimated, request.attempts[0].response_id) == (40, False, "r1")


async def test_a_statement_read_again_changes_nothing(dying: CommitMeter, books: Books, database: Database) -> None:
    _, attempt_id = await lose(dying, books, database)
    statement = [a_line(attempt_id, 1_000), a_line(uuid4(), 7), a_line(None, 3, response_id="r9")]
    first = await reconcile(database, statement)
    assert (first.line_count, first.unmatched_count, first.unmatched_nano_usd) == (3, 2, 10)
    before = await sums(books)
    again = await reconcile(database, [*statement, *statement])
    assert again == ReconcileReport(
        line_count=6, stated_nano_usd=2_020, matched_count=2, unmatched_count=4, unmatched_nano_usd=20
    )
    assert await sums(books) == before
    assert await books.value("SELECT count(*) FROM adjustment") == 1


async def test_what_a_provider_bills_above_the_bound_is_absorbed(
    dying: CommitMeter, books: Books, database: Database
) -> None:
    await books.budget(10_000)
    _, attempt_id = await lose(dying, books, database, 1_000)
    await reconcile(database, [a_line(attempt_id, 4_000)])
    assert await sums(books) == owing(1_000)
    assert await balance(books, "provider_payable") == -4_000
    assert await balance(books, "absorbed") == 3_200  # what 4,000 would have been billed, beyond the bound
    assert await balance(books, "provider_cost") == 800


async def test_a_failed_call_that_was_billed_after_all_costs_us_and_not_the_caller(
    meter: CommitMeter, books: Books, database: Database
) -> None:
    failed = an_attempt(
        billed_nano_usd=0, provider_cost_nano_usd=0, reserved_nano_usd=5_000, usage=Usage(),
        outcome=Outcome.UPSTREAM_TIMEOUT, error_type="timeout",
    )  # fmt: skip
    record = books.record(failed, outcome=Outcome.UPSTREAM_TIMEOUT, http_status=504)
    await meter.settle(record)
    report = await reconcile(database, [a_line(failed.attempt_id, 800)])
    assert (report.adjusted_count, report.resolved_count, report.billed_moved_nano_usd) == (1, 0, 0)
    assert (await sums(books))["ledger"] == 0
    assert await balance(books, "absorbed") == 800
    assert await balance(books, "provider_payable") == -800
    request = await found(database, books, record.request_id)
    assert (request.http_status, request.provider_cost_nano_usd, request.absorbed_nano_usd) == (504, 800, 840)


async def test_a_cost_that_the_statement_confirms_is_left_alone(
    meter: CommitMeter, books: Books, database: Database
) -> None:
    attempt = an_attempt(response_id="resp_7")
    await meter.settle(books.record(attempt))
    report = await reconcile(database, [a_line(None, 1_000, response_id="resp_7")])
    assert (report.matched_count, report.adjusted_count) == (1, 0)
    assert await books.value("SELECT count(*) FROM adjustment") == 0


async def test_a_statement_never_touches_what_another_provider_or_tenant_did(
    meter: CommitMeter, books: Books, database: Database
) -> None:
    other = await a_tenant(database, "other")
    await change_plan(database, SYSTEM, other.tenant_id, "free")
    mine, theirs = an_attempt(response_id="one"), an_attempt(response_id="one", provider_name="groq")
    await meter.settle(books.record(mine))
    await meter.settle(other.record(theirs))
    await reconcile(database, [a_line(None, 1_500, response_id="one", provider_name="groq")])
    assert await balance(books, "provider_payable") == -1_000
    assert await balance(other, "provider_payable") == -1_500


async def test_what_nobody_told_of_for_a_day_is_not_charged(
    dying: CommitMeter, books: Books, database: Database
) -> None:
    await books.budget(10_000)
    request_id, attempt_id = await lose(dying, books, database)
    assert await absorb_unresolved(database) == 0
    assert await absorb_unresolved(database, age_s=0) == 1
    assert await absorb_unresolved(database, age_s=0) == 0
    assert await sums(books) == owing(0)
    assert await balance(books, "absorbed") == 2_000
    request = await found(database, books, request_id)
    assert (request.billed_nano_usd, request.absorbed_nano_usd) == (0, 2_000)
    # The statement comes after all: what we bear becomes exact, and the caller still pays nothing.
    await reconcile(database, [a_line(attempt_id, 700)])
    assert await sums(books) == owing(0)
    assert await balance(books, "absorbed") == 700
    assert await balance(books, "provider_payable") == -700


async def test_the_tenants_own_credential_owes_us_the_fee_and_the_provider_itself(
    dying: CommitMeter, books: Books, database: Database
) -> None:
    await books.budget(10_000)
    _, attempt_id = await lose(dying, books, database, credential_owner="tenant")
    await reconcile(database, [a_line(attempt_id, 50_000)])
    assert await sums(books) == owing(500)
    assert await balance(books, "provider_payable") == 0


async def test_a_late_truth_after_the_statement_counts_nothing_twice(
    dying: CommitMeter, books: Books, database: Database
) -> None:
    await books.budget(10_000)
    request_id, attempt_id = await lose(dying, books, database)
    await reconcile(database, [a_line(attempt_id, 1_000)])
    await dying.settle(the_truth(books, request_id, attempt_id))
    assert await sums(books) == owing(1_050)


async def test_a_late_truth_is_corrected_by_the_statement(dying: CommitMeter, books: Books, database: Database) -> None:
    await books.budget(10_000)
    request_id, attempt_id = await lose(dying, books, database)
    await dying.settle(the_truth(books, request_id, attempt_id))
    await reconcile(database, [a_line(attempt_id, 75)])
    assert await sums(books) == owing(60)
    assert await balance(books, "provider_payable") == -75
    assert await books.value("SELECT count(*) FROM adjustment") == 2
    request = await found(database, books, request_id)
    assert (request.billed_nano_usd, request.provider_cost_nano_usd, request.outcome) == (60, 75, Outcome.OK)


async def test_a_list_shows_adjusted_requests_as_they_truly_were(
    dying: CommitMeter, meter: CommitMeter, books: Books, database: Database
) -> None:
    plain = books.record(an_attempt())
    await meter.settle(plain)
    request_id, attempt_id = await lose(dying, books, database)
    await dying.settle(the_truth(books, request_id, attempt_id))
    async with database.tenant(books.tenant_id) as session:
        everything = await list_requests(session, books.tenant_id, RequestFilters())
        fine = await list_requests(session, books.tenant_id, RequestFilters(outcome="ok"))
        broken = await list_requests(session, books.tenant_id, RequestFilters(outcome="interrupted"))
        first = await list_requests(session, books.tenant_id, RequestFilters(), limit=1)
        second = await list_requests(session, books.tenant_id, RequestFilters(), first.next_cursor, limit=1)
    assert [(each.request_id, each.billed_nano_usd) for each in everything.requests] == [
        (request_id, 60), (plain.request_id, 1_100),
    ]  # fmt: skip
    assert fine.requests == everything.requests
    assert broken.requests == ()
    assert (*first.requests, *second.requests) == everything.requests
