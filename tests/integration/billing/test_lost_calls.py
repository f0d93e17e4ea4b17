"""Calls whose process fell silent are recorded once, within their bound, and give way to the truth if it comes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy.engine import make_url
from uuid_utils.compat import uuid7

from app.embedded.postgres import SUPERUSER
from billing import CommitMeter, Outcome, RequestRecord, find_request, settle_lost
from billing.delivery import Delivery
from billing.heartbeat import Heartbeat
from tenants import Database
from tests.integration.billing.builders import Books, a_tenant, an_attempt, spend

# Nobody is heard for less than no time: every process counts as silent.
AT_ONCE = {"silent_s_max": 0}


@pytest.fixture
async def admin(database_url: Callable[[str], str]) -> AsyncIterator[asyncpg.Connection]:
    """Someone who may set clocks back."""
    url = make_url(database_url(SUPERUSER))
    connection = await asyncpg.connect(host=str(url.query["host"]), user=SUPERUSER, database=url.database)
    yield connection
    await connection.close()


@pytest.fixture
async def dying(database: Database) -> AsyncIterator[CommitMeter]:
    """A meter whose process is about to die."""
    meter = CommitMeter(database, uuid4())
    yield meter
    await meter.close()


async def hold(meter: CommitMeter, books: Books, amount: int, **fields: object) -> tuple[UUID, UUID]:
    """Reserve for a call that is sent; its request and its attempt."""
    request_id, attempt_id = uuid7(), uuid7()
    reservation = books.reservation(amount, request_id=request_id, attempt_id=attempt_id, **fields)
    await meter.reserve(reservation)
    return request_id, attempt_id


def the_truth(books: Books, request_id: UUID, attempt_id: UUID, *, billed: int = 60) -> RequestRecord:
    attempt = an_attempt(
        attempt_id=attempt_id, billed_nano_usd=billed, provider_cost_nano_usd=50, reserved_nano_usd=100
    )
    return books.record(attempt, request_id=request_id)


async def sums(books: Books) -> dict[str, int]:
    """What each of the books says that the tenant owes, and how many requests it made."""
    [row] = await books.rows("""
        SELECT (SELECT coalesce(sum(billed_nano_usd), 0) FROM request_record)
             + (SELECT coalesce(sum(billed_nano_usd), 0) FROM adjustment) AS records,
               (SELECT coalesce(sum(billed_nano_usd), 0) FROM usage_rollup) AS rollups,
               (SELECT coalesce(sum(amount_nano_usd), 0) FROM ledger_entry WHERE account = 'accrued_usage') AS ledger,
               (SELECT coalesce(sum(spent_nano_usd), 0) FROM budget_period) AS spent,
               (SELECT coalesce(sum(reserved_nano_usd), 0) FROM budget_period) AS reserved,
               (SELECT coalesce(sum(request_count), 0) FROM usage_rollup) AS requests""")
    return {name: int(value) for name, value in row._mapping.items()}


def owing(amount: int, *, requests: int = 1) -> dict[str, int]:
    return {
        "records": amount,
        "rollups": amount,
        "ledger": amount,
        "spent": amount,
        "reserved": 0,
        "requests": requests,
    }


async def test_a_lost_call_is_recorded_as_interrupted_at_what_was_held(
    dying: CommitMeter, books: Books, database: Database, admin: asyncpg.Connection
) -> None:
    await books.budget(1_000)
    request_id, attempt_id = await hold(dying, books, 100, provider_name="openai", model="gpt-4o-mini")
    assert await settle_lost(database, **AT_ONCE) == 1
    assert await sums(books) == owing(100)
    async with database.tenant(books.tenant_id) as session:
        found = await find_request(session, books.tenant_id, request_id)
    assert found is not None
    assert (found.outcome, found.error_type, found.is_usage_estimated) == (Outcome.INTERRUPTED, "GatewayLost", True)
    assert (found.project_id, found.api_key_id) == (books.project_id, books.api_key_id)
    [attempt] = found.attempts
    assert (attempt.attempt_id, attempt.provider_name, attempt.model) == (attempt_id, "openai", "gpt-4o-mini")
    assert (attempt.reserved_nano_usd, attempt.billed_nano_usd, attempt.provider_cost_nano_usd) == (100, 100, None)


async def test_a_lost_call_is_recorded_once_however_many_workers_look(
    dying: CommitMeter, books: Books, database: Database
) -> None:
    await books.budget(10_000)
    for _ in range(20):
        await hold(dying, books, 100)
    counts = await asyncio.gather(*(settle_lost(database, **AT_ONCE) for _ in range(4)))
    assert sum(counts) == 20
    assert await settle_lost(database, **AT_ONCE) == 0
    assert await sums(books) == owing(2_000, requests=20)


async def test_a_process_that_beats_keeps_what_it_holds(
    dying: CommitMeter, books: Books, database: Database, admin: asyncpg.Connection
) -> None:
    await books.budget(1_000)
    await hold(dying, books, 100)
    await admin.execute("UPDATE reservation SET created_at = now() - interval '1 hour'")
    assert await settle_lost(database, silent_s_max=1) == 0
    await admin.execute("UPDATE gateway_process SET beat_at = now() - interval '2 s'")
    assert await settle_lost(database, silent_s_max=1) == 1


async def test_the_truth_of_a_process_that_comes_back_replaces_the_guess_once(
    dying: CommitMeter, books: Books, database: Database
) -> None:
    await books.budget(1_000)
    request_id, attempt_id = await hold(dying, books, 100)
    await settle_lost(database, **AT_ONCE)
    record = the_truth(books, request_id, attempt_id)
    other = CommitMeter(database, uuid4())
    await asyncio.gather(*(meter.settle(record) for meter in (dying, other) for _ in range(3)))
    await dying.settle(record)
    assert await sums(books) == owing(60)
    assert await books.value("SELECT count(*) FROM reservation") == 0
    assert await books.value("SELECT sum(amount_nano_usd) FROM ledger_entry") == 0
    assert await books.value("SELECT sum(amount_nano_usd) FROM ledger_entry WHERE account = 'provider_payable'") == -50
    counted = await books.rows("""SELECT outcome, sum(request_count) AS requests, sum(input_tokens) AS tokens
                                  FROM usage_rollup GROUP BY 1 HAVING sum(request_count) <> 0""")
    assert [tuple(row) for row in counted] == [("ok", 1, 100)]
    async with database.tenant(books.tenant_id) as session:
        found = await find_request(session, books.tenant_id, request_id)
    assert found is not None
    assert (found.outcome, found.error_type, found.billed_nano_usd, found.latency_ms) == (Outcome.OK, None, 60, 120)
    assert [(tried.attempt_id, tried.billed_nano_usd) for tried in found.attempts] == [(attempt_id, 60)]
    posted = await books.value("SELECT source FROM ledger_posting WHERE posting_id = :id", id=found.posting_id)
    assert posted == "adjustment"


async def test_a_guess_that_was_right_is_adjusted_without_money(
    dying: CommitMeter, books: Books, database: Database
) -> None:
    request_id, attempt_id = await hold(dying, books, 100)
    await settle_lost(database, **AT_ONCE)
    attempt = an_attempt(attempt_id=attempt_id, billed_nano_usd=100, provider_cost_nano_usd=None)
    await dying.settle(books.record(attempt, request_id=request_id))
    assert await books.value("SELECT count(*) FROM adjustment") == 1
    assert await books.value("SELECT count(*) FROM ledger_posting") == 1


async def test_a_late_record_among_new_ones_harms_none(dying: CommitMeter, books: Books, database: Database) -> None:
    await books.budget(100_000)
    late = [await hold(dying, books, 100) for _ in range(3)]
    await settle_lost(database, **AT_ONCE)
    known = await spend(dying, books, 5)
    records = [the_truth(books, *ids) for ids in late] + [books.record(an_attempt(billed_nano_usd=7)) for _ in range(4)]
    await asyncio.gather(*(dying.settle(record) for record in (*records, known)))
    totals = await sums(books)
    assert totals["records"] == totals["rollups"] == totals["ledger"] == 3 * 60 + 4 * 7 + 5
    assert totals["requests"] == 8
    assert totals["spent"] == 3 * 60 + 5


async def test_what_is_left_of_a_request_that_has_a_record_is_released(
    dying: CommitMeter, books: Books, database: Database
) -> None:
    await books.budget(1_000)
    request_id, _ = await hold(dying, books, 100)
    await dying.settle(books.record(request_id=request_id, outcome=Outcome.BUDGET, http_status=402))
    assert await settle_lost(database, **AT_ONCE) == 1
    assert await sums(books) == owing(0)


async def test_simulated_calls_stay_out_of_the_dollar_books(
    dying: CommitMeter, books: Books, database: Database
) -> None:
    await hold(dying, books, 100, is_simulated=True)
    await settle_lost(database, **AT_ONCE)
    assert await books.value("SELECT currency FROM ledger_posting") == "XTS"


async def test_another_tenants_calls_are_its_own(dying: CommitMeter, books: Books, database: Database) -> None:
    other = await a_tenant(database, "globex")
    await hold(dying, books, 100)
    await hold(dying, other, 7)
    assert await settle_lost(database, **AT_ONCE) == 2
    assert ((await sums(books))["records"], (await sums(other))["records"]) == (100, 7)


async def test_a_living_process_releases_what_it_holds_for_nobody(
    database: Database, books: Books, dying: CommitMeter
) -> None:
    await books.budget(1_000)
    _, attempt_id = await hold(dying, books, 100)
    await hold(dying, books, 30)
    heartbeat = Heartbeat(
        Delivery(database, timeout_s=5),
        dying._process_id,
        is_open=lambda known: known != attempt_id,
        release=dying.release,
    )
    assert await heartbeat.release_strays() == 0, "its release may be on its way"
    assert await heartbeat.release_strays(age_s=0) == 1
    assert (await sums(books))["reserved"] == 30


async def test_a_meter_knows_what_its_calls_hold(dying: CommitMeter, books: Books) -> None:
    await books.budget(1_000)
    ids = [await hold(dying, books, 10) for _ in range(4)]
    assert await dying._heartbeat.release_strays(age_s=0) == 0
    await dying.settle(the_truth(books, *ids[0], billed=5))
    await dying.release(books.tenant_id, ids[1][1])
    caller = asyncio.create_task(dying.reserve(books.reservation(10)))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await dying.close()
    assert dying._open == {ids[2][1], ids[3][1]}


async def test_a_process_is_known_to_live_before_it_holds_anything(
    dying: CommitMeter, books: Books, admin: asyncpg.Connection
) -> None:
    await hold(dying, books, 10)
    assert await admin.fetchval("SELECT bool_and(p.beat_at <= r.created_at) FROM gateway_process p, reservation r")
