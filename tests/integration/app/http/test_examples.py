"""A tenant's labelled prompts over the API: they tell its own requests a task, and nobody else's."""

import asyncio
from typing import Any

from app.routing import EXAMPLES_MAX
from tests.integration.app.http.api import API
from tests.world import TestTenant, World

PARCEL = {"prompt": "Where is my parcel? I ordered it last week and it has not come.", "task": "order_status"}
POEM = {"prompt": "Write a limerick about the office coffee machine.", "task": "banter"}
LIKE_PARCEL = "where is my parcel I ordered last week, it has not come yet"


async def task_of(world: World, tenant: TestTenant, prompt: str) -> dict[str, Any]:
    body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
    headers = {"authorization": f"Bearer {tenant.key}"}
    async with world.client.post(f"{world.base_url}/v1/route", json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        task: dict[str, Any] = (await answer.json())["task"]
    return task


async def told(world: World, tenant: TestTenant, prompt: str, task: str) -> dict[str, Any]:
    """The task, once the change feed has brought it, or else as it was last."""
    for _ in range(60):
        found = await task_of(world, tenant, prompt)
        if found["value"] == task:
            break
        await asyncio.sleep(0.05)
    return found


async def test_examples_tell_a_tenants_own_requests_and_no_others(world: World) -> None:
    api = await API.of(world, world.acme)
    before = await task_of(world, world.acme, LIKE_PARCEL)
    added = await api("POST", "/examples", {"examples": [PARCEL, POEM]})
    assert (added.status, added.body) == (201, {"examples": 2, "examples_max": EXAMPLES_MAX})
    task = await told(world, world.acme, LIKE_PARCEL, "order_status")
    assert (task["value"], task["decided_by"]) == ("order_status", "example")
    assert 0.5 <= task["confidence"] < 1
    assert "parcel" not in task["because"]
    assert (await task_of(world, world.umbrella, LIKE_PARCEL)) == before
    assert (await (await API.of(world, world.umbrella))("GET", "/examples")).body["data"] == []


async def test_example_that_is_added_again_gets_the_new_task(world: World) -> None:
    api = await API.of(world, world.acme)
    await api("POST", "/examples", {"examples": [PARCEL]})
    again = await api("POST", "/examples", {"examples": [{**PARCEL, "task": "where_is_it"}]})
    assert again.body["examples"] == 1
    listed = (await api("GET", "/examples")).body["data"]
    assert [(each["prompt"], each["task"]) for each in listed] == [(PARCEL["prompt"], "where_is_it")]
    assert (await told(world, world.acme, LIKE_PARCEL, "where_is_it"))["value"] == "where_is_it"


async def test_removed_example_tells_no_more(world: World) -> None:
    api = await API.of(world, world.acme)
    await api("POST", "/examples", {"examples": [PARCEL, POEM]})
    assert (await told(world, world.acme, LIKE_PARCEL, "order_status"))["value"] == "order_status"
    listed = (await api("GET", "/examples")).body["data"]
    parcel = next(each["example_id"] for each in listed if each["task"] == "order_status")
    assert (await api("DELETE", f"/examples/{parcel}")).status == 204
    for _ in range(60):
        if (await task_of(world, world.acme, LIKE_PARCEL))["decided_by"] != "example":
            break
        await asyncio.sleep(0.05)
    assert (await task_of(world, world.acme, LIKE_PARCEL))["value"] != "order_status"
    assert (await api("DELETE", f"/examples/{parcel}")).code == "not_found"


async def test_a_page_ends_and_the_next_begins_behind_it(world: World) -> None:
    api = await API.of(world, world.acme)
    await api("POST", "/examples", {"examples": [{"prompt": f"prompt {each}", "task": "t"} for each in range(5)]})
    first = (await api("GET", "/examples?limit=3")).body
    rest = (await api("GET", f"/examples?limit=3&after={first['last_id']}")).body
    assert (len(first["data"]), first["has_more"], len(rest["data"]), rest["has_more"]) == (3, True, 2, False)
    assert len({each["prompt"] for each in first["data"] + rest["data"]}) == 5


async def test_examples_that_do_not_hold_add_none(world: World) -> None:
    api = await API.of(world, world.acme)
    for bad in ({**PARCEL, "task": "No Slug"}, {**PARCEL, "prompt": "  "}, {**PARCEL, "prompt": "x" * 4_001}):
        assert (await api("POST", "/examples", {"examples": [POEM, bad]})).status == 422
    many = [{"prompt": f"prompt {each}", "task": f"task{each}"} for each in range(101)]
    assert (await api("POST", "/examples", {"examples": many})).code == "limit_reached"
    assert (await api("GET", "/examples")).body["data"] == []
