"""Callers whose budgets overlap, over several processes' meters on one database: no deadlock, all or nothing.

Bounded by RUN_S. The meters are the real ones; there is no HTTP between, so that they collide as often as can be.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy import text
from uuid_utils.compat import uuid7

from app.embedded.postgres import SUPERUSER
from billing import BudgetContended, BudgetUsedUp, CommitMeter
from tenants import Database, connect_arguments
from tests.integration.billing.builders import Books, a_tenant, an_attempt

RUN_S = 60.0
CALLERS, PROCESSES = 64, 3
PROJECTS, KEYS_PER_PROJECT = 3, 3
# Less than the callers want at once, on every level.
TENANT_NANO_USD, PROJECT_NANO_USD, KEY_NANO_USD = 30_000, 14_000, 6_000
DEAREST_NANO_USD = 2_000
# Of each budget: what its reservations hold, and what it says that they do.
HELD = """
SELECT p.budget_id, p.reserved_nano_usd, p.spent_nano_usd, b.limit_nano_usd,
       coalesce((SELECT sum(r.amount_nano_usd) FROM reservation r
                 WHERE r.tenant_id = p.tenant_id AND r.state = 'held' AND p.budget_id = ANY (r.budget_ids)), 0) AS held
FROM budget_period p JOIN budget b USING (tenant_id, budget_id)
"""


async def test_overlapping_scopes_never_deadlock_nor_admit_in_part(
    database: Database, database_url: Callable[[str], str]
) -> None:
    dice, outcomes = random.Random(64), Counter[str]()
    scopes = await _scopes(await a_tenant(database))
    meters = [CommitMeter(Database(database_url, connections_max=4), uuid4()) for _ in range(PROCESSES)]
    admin = await asyncpg.connect(**connect_arguments(database_url(SUPERUSER)))
    ends = time.monotonic() + RUN_S

    async def keep_calling(number: int) -> None:
        meter = meters[number % PROCESSES]
        while time.monotonic() < ends:
            await _call(meter, dice.choice(scopes), dice, outcomes)

    async def watch() -> None:
        while time.monotonic() < ends:
            for row in await admin.fetch(HELD):
                assert row["reserved_nano_usd"] == row["held"], row
                assert row["spent_nano_usd"] + row["reserved_nano_usd"] <= row["limit_nano_usd"], row
            await asyncio.sleep(0.05)

    await asyncio.gather(watch(), *(keep_calling(number) for number in range(CALLERS)))
    for meter in meters:
        await meter.close()
        await meter._database.close()
    assert min(outcomes["settled"], outcomes["released"], outcomes["refused"]) > 100, outcomes
    assert await admin.fetchval("SELECT sum(deadlocks) FROM pg_stat_database WHERE datname = current_database()") == 0
    assert {row["reserved_nano_usd"] for row in await admin.fetch(HELD)} == {0}
    await admin.close()


async def _call(meter: CommitMeter, books: Books, dice: random.Random, outcomes: Counter[str]) -> None:
    amount = dice.randrange(1, DEAREST_NANO_USD)
    reservation = books.reservation(amount)
    try:
        await meter.reserve(reservation)
    except (BudgetContended, BudgetUsedUp):
        outcomes["refused"] += 1
        await asyncio.sleep(0.001)
        return
    await asyncio.sleep(dice.random() / 100)
    if dice.random() < 0.5:
        await meter.release(books.tenant_id, reservation.attempt_id)
        outcomes["released"] += 1
    else:
        # Next to nothing is spent, so that there is room until the end.
        attempt = an_attempt(attempt_id=reservation.attempt_id, billed_nano_usd=0, provider_cost_nano_usd=0)
        await meter.settle(books.record(attempt, request_id=reservation.request_id))
        outcomes["settled"] += 1


async def _scopes(first: Books) -> list[Books]:
    """Keys of several projects of one tenant, with budgets for the tenant, each project and each key."""
    await first.budget(TENANT_NANO_USD)
    found = []
    for _ in range(PROJECTS):
        project_id = uuid7()
        async with first.database.tenant(first.tenant_id) as session:
            await session.execute(
                text("INSERT INTO project (tenant_id, project_id, name) VALUES (:t, :p, :name)"),
                {"t": first.tenant_id, "p": project_id, "name": str(project_id)},
            )
        for number in range(KEYS_PER_PROJECT):
            books = await _with_key(first, project_id)
            if number == 0:
                await books.budget(PROJECT_NANO_USD, project=True)
            await books.budget(KEY_NANO_USD, key=True)
            found.append(books)
    return found


async def _with_key(books: Books, project_id: UUID) -> Books:
    api_key_id = uuid7()
    async with books.database.tenant(books.tenant_id) as session:
        await session.execute(
            text("""INSERT INTO api_key (tenant_id, api_key_id, project_id, name, kind, prefix, last_four, key_hash,
                                         scopes, created_by)
                    VALUES (:t, :k, :p, 'server', 'model', 'sbx_live_', 'abcd', :hash, '{}', 'test')"""),
            {"t": books.tenant_id, "k": api_key_id, "p": project_id, "hash": api_key_id.bytes},
        )
    return Books(database=books.database, tenant_id=books.tenant_id, project_id=project_id, api_key_id=api_key_id)
