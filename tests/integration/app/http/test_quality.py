"""Feedback, evaluations and the table of expected quality, as programs of two tenants use them."""

from typing import Any
from uuid import uuid4

import pytest

from tenants import SYSTEM, create_key, create_project, fold_quality, publish_policy
from tests.integration.app.http.api import API
from tests.world import TestTenant, World

CODE = "Write a Python function that reverses a linked list."
BEST = b'{"name": "best", "default": {"candidates": ["sandbox/*"], "strategy": "best"}}'


async def asked(world: World, *, key: str | None = None, **body: object) -> str:
    answered = await world.chat(CODE, key=key, **body)
    assert answered.status == 200
    await world.gateway.settlement.drain()
    return answered.headers["x-signalbox-request-id"]


async def say(world: World, key: str, body: object) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {key}"}
    async with world.client.post(f"{world.base_url}/v1/feedback", json=body, headers=headers) as answer:
        assert answer.headers["x-signalbox-request-id"]
        return answer.status, await answer.json()


def evaluation(model: str, reached: float, *, task: str = "code_generation", prompts: int = 200) -> dict[str, Any]:
    return {
        "name": "nightly", "prompts_sha256": "a" * 64, "prompt_count": prompts, "started_at": "2026-11-24T00:00:00Z",
        "evaluation_id": str(uuid4()),
        "results": [
            {"subject": model, "subject_kind": "model", "model": model, "task": task, "prompt_count": prompts,
             "reached": reached, "cost_nano_usd": 1_500_000, "latency_ms_p50": 10}
        ],
    }  # fmt: skip


async def folded(world: World, tenant: TestTenant) -> None:
    """What the worker's job and the change feed do, at once."""
    assert await fold_quality(world.database) > 0
    world.gateway.snapshot._on_change(tenant.tenant_id)
    for _ in range(2):  # subscribers are called by the loop
        async with world.client.get(f"{world.base_url}/livez") as answer:
            assert answer.status == 200


async def routed_to(world: World, key: str, policy: str) -> str:
    body = {"model": f"auto/{policy}", "messages": [{"role": "user", "content": CODE}]}
    headers = {"authorization": f"Bearer {key}", "x-signalbox-metadata": '{"task": "code_generation"}'}
    async with world.client.post(f"{world.base_url}/v1/route", json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        candidates = (await answer.json())["candidates"]
    return str(next(each["name"] for each in candidates if each["rank"] == 1))


async def test_feedback_names_the_model_that_served_and_bills_nothing(world: World) -> None:
    request_id = await asked(world, model="sandbox/steady-base")
    api = await API.of(world, world.acme)
    usage = (await api("GET", "/usage")).body["total"]
    status, kept = await say(world, world.acme.key, {"request_id": request_id, "thumb": "down", "comment": "too long"})
    assert (status, kept["model"], kept["score"], kept["comment"]) == (200, "sandbox/steady-base", 0.0, "too long")
    assert kept["task"] == "code_generation"
    _, again = await say(world, world.acme.key, {"request_id": request_id, "score": 0.75})
    (listed,) = (await api("GET", "/feedback")).body["data"]
    assert (listed["score"], listed["comment"]) == (0.75, None)
    assert listed == again
    assert (await api("GET", "/usage")).body["total"] == usage


async def test_a_corrected_task_becomes_a_suggestion_with_its_example(world: World) -> None:
    first, second = await asked(world), await asked(world)
    await say(world, world.acme.key, {"request_id": first, "thumb": "up"})
    await say(world, world.acme.key, {"request_id": second, "task": "triage", "example": "My order is late"})
    api = await API.of(world, world.acme)
    (suggested,) = (await api("GET", "/feedback?corrections=true")).body["data"]
    assert (suggested["task_correction"], suggested["example"]) == ("triage", "My order is late")
    assert len((await api("GET", "/feedback")).body["data"]) == 2


async def test_nobody_speaks_of_another_projects_or_another_tenants_request(world: World) -> None:
    request_id = await asked(world)
    project = await create_project(world.database, SYSTEM, world.acme.tenant_id, name="other")
    sibling = await create_key(
        world.database, world.gateway.vault, SYSTEM, world.acme.tenant_id, name="s", project_id=project.project_id
    )
    for key in (sibling.secret, world.umbrella.key):
        status, error = await say(world, key, {"request_id": request_id, "thumb": "up"})
        assert (status, error["error"]["code"]) == (404, "request_not_found")
    assert (await (await API.of(world, world.acme))("GET", "/feedback")).body["data"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400), ([], 400), ({"request_id": "no id", "thumb": "up"}, 400), ({"request_id": "{id}"}, 422),
        ({"request_id": "{id}", "thumb": "sideways"}, 400), ({"request_id": "{id}", "score": 2}, 400),
        ({"request_id": "{id}", "score": 1, "thumb": "up"}, 400), ({"request_id": "{id}", "sc0re": 1}, 400),
        ({"request_id": "{id}", "comment": "x" * 2_001}, 400), ({"request_id": "{id}", "task": "Not a task!"}, 422),
        ({"request_id": "{id}", "comment": "x" * 70_000}, 413),
    ],
)  # fmt: skip
async def test_feedback_that_does_not_hold_is_refused_in_words(world: World, body: Any, status: int) -> None:
    if isinstance(body, dict) and body.get("request_id") == "{id}":
        body = {**body, "request_id": await asked(world)}
    found, error = await say(world, world.acme.key, body)
    assert found == status, error
    assert error["error"]["message"]


async def test_an_evaluation_moves_the_route_of_its_tenant_and_of_no_other(world: World) -> None:
    for tenant in (world.acme, world.umbrella):
        await publish_policy(world.database, SYSTEM, tenant.tenant_id, "best", BEST)
        world.gateway.snapshot._on_change(tenant.tenant_id)
    assert await routed_to(world, world.acme.key, "best") == "sandbox/coder-pro"
    api = await API.of(world, world.acme)
    stored = await api("POST", "/evaluations", evaluation("sandbox/coder-pro", 20))
    assert (stored.status, stored.body["results"][0]["cost_usd"]) == (200, "0.0015")
    await folded(world, world.acme)
    assert await routed_to(world, world.acme.key, "best") == "sandbox/deep-large"
    assert await routed_to(world, world.umbrella.key, "best") == "sandbox/coder-pro"

    (row,) = (await api("GET", "/quality?task=code_generation&model=sandbox/coder-pro")).body["data"]
    assert (row["source"], row["evaluation_prompts"]) == ("evaluation", pytest.approx(200, rel=0.01))
    assert row["low"] < row["value"] < row["high"] < 0.3

    assert (await api("DELETE", f"/evaluations/{stored.body['evaluation_id']}")).status == 204
    await folded(world, world.acme)
    assert await routed_to(world, world.acme.key, "best") == "sandbox/coder-pro"


async def test_storing_an_evaluation_twice_stores_one(world: World) -> None:
    api, sent = await API.of(world, world.acme), evaluation("sandbox/coder-pro", 20)
    first, again = [await api("POST", "/evaluations", sent) for _ in range(2)]
    assert first.body == again.body
    assert [each["name"] for each in (await api("GET", "/evaluations")).body["data"]] == ["nightly"]
    assert (await api.audited()).count("evaluation.added") == 1
    shown = await api("GET", f"/evaluations/{sent['evaluation_id']}")
    assert shown.body == first.body


@pytest.mark.parametrize(
    "change",
    [
        {"prompts_sha256": "short"}, {"results": []}, {"prompt_count": 0}, {"started_at": "2026-11-24T00:00:00"},
        {"started_at": "1969-11-24T00:00:00Z"}, {"name": ""},
        {"results": [{**evaluation("m", 1)["results"][0], "reached": 201}]},
        {"results": [{**evaluation("m", 1)["results"][0], "subject_kind": "rumour"}]},
    ],
)  # fmt: skip
async def test_an_evaluation_that_cannot_be_is_refused(world: World, change: dict[str, Any]) -> None:
    api = await API.of(world, world.acme)
    refused = await api("POST", "/evaluations", {**evaluation("m", 1), **change})
    assert refused.status in {400, 422}, refused.text
    assert refused.code
    assert (await api("GET", "/evaluations")).body["data"] == []


async def test_the_table_pages_and_says_where_each_value_comes_from(world: World) -> None:
    api = await API.of(world, world.acme)
    rows: list[dict[str, Any]] = []
    after = ""
    while True:
        page = (await api("GET", f"/quality?limit=7{after}")).body
        rows += page["data"]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert len({(row["model"], row["task"]) for row in rows}) == len(rows) > 30
    assert {row["source"] for row in rows} == {"declared"}
    assert (await api("GET", "/quality?after=nothing")).status == 422
