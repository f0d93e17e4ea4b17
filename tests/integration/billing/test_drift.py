"""The books of honest work agree; an error planted in any of them is found, with its tenant and its day."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from app.embedded.postgres import SUPERUSER
from billing import (
    CommitMeter,
    Drift,
    Outcome,
    Usage,
    absorb_unresolved,
    draw_credit,
    find_drift,
    fold_rollups,
    grant_credit,
    reconcile,
    watch_drift,
)
from tenants import SYSTEM, Database
from tests.integration.billing.builders import Books, an_attempt, spend
from tests.integration.billing.test_reconciliation import a_line, a_plan, dying, lose, the_truth

__all__ = ["a_plan", "dying"]
NOW = datetime.now(UTC)


@pytest.fixture
async def vandal(database_url: Callable[[str], str]) -> AsyncIterator[asyncpg.Connection]:
    """Someone who may change what nobody may, without a trigger."""
    url = make_url(database_url(SUPERUSER))
    connection = await asyncpg.connect(host=str(url.query["host"]), user=SUPERUSER, database=url.database)
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


@pytest.fixture
async def worked(meter: CommitMeter, dying: CommitMeter, books: Books, database: Database) -> Books:
    """A tenant whose books have seen everything: plain, failed, lost, late, absorbed, stated, drawn from credit."""
    await grant_credit(database, SYSTEM, books.tenant_id, amount_nano_usd=10**9, kind="prepaid")
    stated = [await spend(meter, books, 2_000) for _ in range(3)]
    failed = an_attempt(
        billed_nano_usd=0, provider_cost_nano_usd=0, usage=Usage(), outcome=Outcome.UPSTREAM_ERROR, model="gpt-4o"
    )
    await meter.settle(books.record(failed, outcome=Outcome.UPSTREAM_ERROR, http_status=502, provider_name=None))
    await meter.settle(books.record())
    _, first = await lose(dying, books, database)
    request_id, second = await lose(dying, books, database)
    await dying.settle(the_truth(books, request_id, second))
    await lose(dying, books, database)
    await absorb_unresolved(database, age_s=0)
    await reconcile(
        database,
        [
            a_line(first, 900),
            a_line(second, 50),
            a_line(failed.attempt_id, 7, model="gpt-4o"),
            *(a_line(record.attempts[0].attempt_id, 1_000) for record in stated),
        ],
    )
    await draw_credit(database)
    await fold_rollups(database, now=NOW + timedelta(days=1))
    return books


async def drifts(database: Database) -> list[Drift]:
    return list(await find_drift(database, NOW - timedelta(days=1), NOW + timedelta(days=1)))


async def test_books_of_honest_work_agree(worked: Books, database: Database) -> None:
    # The call that was absorbed is in no statement, though its provider sent one: that is a difference to ask about.
    found = await drifts(database)
    assert [(drift.comparison, drift.tenant_id) for drift in found] == [("statements and records", worked.tenant_id)]
    assert found[0].found - found[0].expected == 2_000


PLANTED = {
    "a rollup that counts twice": (
        "UPDATE usage_rollup SET request_count = request_count + 1", "records and rollups", "request_count",
    ),
    "a rollup that lost money": (
        "UPDATE usage_rollup SET billed_nano_usd = billed_nano_usd - 5 WHERE billed_nano_usd > 0",
        "records and rollups", "billed_nano_usd",
    ),
    "a rollup that is gone": ("DELETE FROM usage_rollup", "records and rollups", "attempt_count"),
    "a record that was edited": (
        "UPDATE request_record SET billed_nano_usd = billed_nano_usd + 1 WHERE billed_nano_usd = 2000",
        "records and ledger", "billed_nano_usd",
    ),
    "a record that is gone": (
        "DELETE FROM request_record WHERE billed_nano_usd = 2000", "records and rollups", "billed_nano_usd",
    ),
    "an attempt that is gone": (
        "DELETE FROM attempt WHERE billed_nano_usd = 2000 AND outcome = 'ok'", "records and attempts", "attempt_count",
    ),
    "an entry that was edited": (
        "UPDATE ledger_entry SET amount_nano_usd = amount_nano_usd + 1 WHERE account = 'revenue'",
        "ledger entries and zero", "unbalanced_postings",
    ),
    "a posting that is gone": (
        "DELETE FROM ledger_entry WHERE posting_id IN (SELECT posting_id FROM ledger_posting WHERE source = 'usage')",
        "records and ledger", "billed_nano_usd",
    ),
    "an adjustment that is gone": ("DELETE FROM adjustment", "records and rollups", "billed_nano_usd"),
    "a cost that the statement does not know": (
        "UPDATE attempt SET provider_cost_nano_usd = 1500 WHERE provider_cost_nano_usd = 1000",
        "statements and records", "provider_cost_nano_usd",
    ),
    "a call on the statement that is nobody's": (
        """INSERT INTO statement_line (tenant_id, provider_name, call_id, model, started_at, cost_nano_usd)
           VALUES ('00000000-0000-0000-0000-000000000000', 'openai', 'x', 'gpt-9', now(), 3)""",
        "statements and records", "provider_cost_nano_usd",
    ),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
async def test_an_error_that_was_planted_is_found(
    worked: Books, database: Database, vandal: asyncpg.Connection, planted: str
) -> None:
    sql, books, quantity = PLANTED[planted]
    before = set(await drifts(database))
    assert await vandal.execute(sql) not in {"UPDATE 0", "DELETE 0"}
    found = set(await drifts(database)) - before
    assert (books, quantity) in {(drift.comparison, drift.quantity) for drift in found}
    assert {drift.day for drift in found} <= {NOW.date(), NOW.date() + timedelta(days=1)}
    assert await watch_drift(database) > 0


async def test_an_empty_database_has_nothing_to_disagree_about(database: Database) -> None:
    assert await watch_drift(database) == 0
    assert await find_drift(database, NOW, NOW) == ()
