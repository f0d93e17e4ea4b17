"""Plans as stored versions, and the operator's change of a tenant's plan."""

import json
from uuid import uuid4

import msgspec
import pytest

from billing import PLANS, BillingSnapshot, PlanUnknown, change_plan, seed_plans
from tenants import SYSTEM, Database, NotFound
from tests.integration.billing.builders import Books, a_tenant


async def test_seeding_again_stores_nothing(database: Database) -> None:
    assert await seed_plans(database) == PLANS
    assert await seed_plans(database) == ()


async def test_a_changed_row_becomes_a_new_version(database: Database) -> None:
    await seed_plans(database)
    changed = msgspec.structs.replace(PLANS[1], markup_ppm=70_000)
    [stored] = await seed_plans(database, (PLANS[0], changed, PLANS[2]))
    assert (stored.plan_id, stored.version, stored.markup_ppm) == ("pro", 2, 70_000)


async def test_a_subscriber_stays_on_its_version(database: Database, books: Books) -> None:
    await seed_plans(database)
    await change_plan(database, SYSTEM, books.tenant_id, "pro")
    await seed_plans(database, (msgspec.structs.replace(PLANS[1], markup_ppm=70_000),))
    snapshot = BillingSnapshot(database)
    assert (await snapshot.plan(books.tenant_id)).version == 1
    await change_plan(database, SYSTEM, books.tenant_id, "pro")
    snapshot.drop(books.tenant_id)
    assert (await snapshot.plan(books.tenant_id)).version == 2


async def test_a_tenant_without_a_subscription_is_on_the_newest_free_plan(database: Database, books: Books) -> None:
    await seed_plans(database)
    await seed_plans(database, (msgspec.structs.replace(PLANS[0], request_burst=21),))
    plan = await BillingSnapshot(database).plan(books.tenant_id)
    assert (plan.plan_id, plan.version, plan.request_burst) == ("free", 2, 21)


async def test_a_change_stands_in_the_tenants_own_audit_trail(database: Database, books: Books) -> None:
    await seed_plans(database)
    other = await a_tenant(database, "globex")
    await change_plan(database, SYSTEM, books.tenant_id, "pro")
    await change_plan(database, SYSTEM, books.tenant_id, "enterprise")
    events = [
        json.loads(bytes(row.payload))
        for row in await books.rows("SELECT payload FROM audit_event ORDER BY audit_event_id")
    ]
    assert [event["action"] for event in events] == ["plan.changed", "plan.changed"]
    assert events[1]["before"]["plan_id"] == "pro"
    assert events[1]["after"]["plan_id"] == "enterprise"
    assert await other.value("SELECT count(*) FROM audit_event") == 0
    assert await other.value("SELECT count(*) FROM subscription") == 0


async def test_an_unknown_plan_or_tenant_changes_nothing(database: Database, books: Books) -> None:
    await seed_plans(database)
    with pytest.raises(PlanUnknown, match="enterprise, free, pro"):
        await change_plan(database, SYSTEM, books.tenant_id, "gold")
    with pytest.raises(NotFound):
        await change_plan(database, SYSTEM, uuid4(), "pro")
    assert await books.value("SELECT count(*) FROM subscription") == 0


async def test_without_plans_the_snapshot_says_what_to_do(database: Database, books: Books) -> None:
    with pytest.raises(PlanUnknown, match="signalbox migrate"):
        await BillingSnapshot(database).plan(books.tenant_id)
