"""Usage and requests over the management API: the same numbers, summed, listed and one by one."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from billing import set_budget
from tenants import SYSTEM, Scope, create_key, create_project
from tests.integration.app.http.api import API
from tests.world import World

NANO = Decimal(1_000_000_000)
DIMENSIONS = ("model", "provider", "task", "project", "api_key", "outcome", "hour", "day")


async def test_usage_list_and_each_request_agree_to_the_nano_dollar(world: World) -> None:
    for text in ("Write a Python function that adds", "Translate 'good morning' to French", "hi"):
        assert (await world.chat(text)).status == 200
    assert (await world.chat(model="openai/gpt-9")).status == 404
    assert (await world.chat("hello", key=world.umbrella.key)).status == 200
    await world.gateway.settlement.drain()
    api = await API.of(world, world.acme)

    listed = await api("GET", "/requests")
    assert listed.status == 200, listed.text
    assert listed.body["object"] == "list"
    lines = listed.body["data"]
    assert len(lines) == 4
    billed = sum(line["billed_nano_usd"] for line in lines)
    assert billed > 0
    assert all(Decimal(line["billed_usd"]) == line["billed_nano_usd"] / NANO for line in lines)
    assert all(line["started_at"].endswith("Z") for line in lines)

    for line in lines:
        shown = await api("GET", f"/requests/{line['request_id']}")
        assert shown.status == 200
        assert {name: shown.body[name] for name in line} == line
        assert sum(attempt["billed_nano_usd"] for attempt in shown.body["attempts"]) == line["billed_nano_usd"]
        if line["outcome"] == "ok":
            assert shown.body["decision"]["candidates"]

    for dimension in DIMENSIONS:
        report = await api("GET", "/usage", query=[("group_by", dimension)])
        assert report.status == 200, report.text
        assert report.body["total"]["billed_nano_usd"] == billed
        assert sum(row["billed_nano_usd"] for row in report.body["data"]) == billed
        assert report.body["total"]["request_count"] == 4
        assert Decimal(report.body["total"]["billed_usd"]) == billed / NANO
        assert all(list(row["group"]) == [dimension] for row in report.body["data"])
    both = await api("GET", "/usage", query=[("group_by", "task"), ("group_by", "outcome")])
    assert all(list(row["group"]) == ["task", "outcome"] for row in both.body["data"])
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    empty = await api("GET", "/usage", query=[("since", later), ("until", "2099-01-01T00:00:00Z")])
    assert empty.code == "field_invalid"
    empty = await api("GET", "/usage", query=[("since", "2025-01-01T00:00:00Z"), ("until", "2025-02-01T00:00:00Z")])
    assert empty.body["data"] == []
    assert empty.body["total"]["billed_nano_usd"] == 0


async def test_pages_hold_every_request_once_and_filters_narrow(world: World) -> None:
    for number in range(5):
        await world.chat(f"hello {number}", headers={"x-signalbox-metadata": '{"task": "planning"}'} if number else {})
    await world.chat(model="openai/gpt-9")
    await world.gateway.settlement.drain()
    api = await API.of(world, world.acme)

    whole = [line["request_id"] for line in (await api("GET", "/requests")).body["data"]]
    assert len(whole) == 6
    assert whole == sorted(whole, reverse=True)
    paged, after = [], None
    for _ in range(10):
        page = (await api("GET", "/requests", query=[("limit", "4"), *([("after", after)] if after else [])])).body
        paged += [line["request_id"] for line in page["data"]]
        after = page["last_id"]
        if not page["has_more"]:
            break
    assert paged == whole
    past_the_end = (await api("GET", "/requests", query=[("after", whole[-1])])).body
    assert past_the_end == {"object": "list", "data": [], "has_more": False, "last_id": None}

    async def found(**filters: str) -> int:
        return len((await api("GET", "/requests", query=list(filters.items()))).body["data"])

    assert await found(task="planning") == 4
    assert await found(outcome="ok") == 5
    assert await found(http_status="404") == 1
    assert await found(provider_name="sandbox") == 5
    assert await found(api_key_id=str(world.acme.api_key_id)) == 6
    assert await found(api_key_id=str(world.umbrella.api_key_id)) == 0
    assert await found(since="2099-01-01T00:00:00+01:00") == 0


async def test_a_model_key_reaches_its_own_project_and_no_other(world: World) -> None:
    other = await create_project(world.database, SYSTEM, world.acme.tenant_id, "other project")
    made = await create_key(
        world.database, world.gateway.vault, SYSTEM, world.acme.tenant_id, name="other", project_id=other.project_id
    )
    ours = (await world.chat("ours")).headers["x-signalbox-request-id"]
    theirs = (await world.chat("theirs", key=made.secret)).headers["x-signalbox-request-id"]
    await world.gateway.settlement.drain()
    for project_id in (None, world.acme.project_id, other.project_id):
        await set_budget(
            world.database, SYSTEM, world.acme.tenant_id, period="month", limit_nano_usd=10**12, project_id=project_id
        )
    api = API(world, made.secret)

    assert (await api("GET", "/whoami")).body["project_name"] == "other project"
    assert [line["request_id"] for line in (await api("GET", "/requests")).body["data"]] == [theirs]
    assert (await api("GET", f"/requests/{theirs}")).status == 200
    assert (await api("GET", f"/requests/{ours}")).code == "request_not_found"
    assert (await api("GET", "/requests", query=[("project_id", str(world.acme.project_id))])).code == "not_found"
    assert (await api("GET", "/usage")).body["total"]["request_count"] == 1
    assert [each["name"] for each in (await api("GET", "/projects")).body["data"]] == ["other project"]
    assert [each["scope"] for each in (await api("GET", "/budgets")).body["data"]] == ["project"]
    for verb, path in (("GET", "/keys"), ("GET", "/credentials"), ("GET", "/policies"), ("GET", "/audit/export")):
        assert (await api(verb, path)).code == "scope_missing"

    everything = await API.of(world, world.acme, Scope.USAGE_READ)
    assert (await everything("GET", "/usage")).body["total"]["request_count"] == 2
    assert len((await everything("GET", "/budgets")).body["data"]) == 3
