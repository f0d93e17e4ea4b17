"""A tenant's own limits over HTTP: set by the management API, held within a second, told in headers and errors."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from app.sandbox import FaultKind, FaultRule
from tests.integration.app.http.api import API
from tests.world import World

DAY = {"kind": "requests_per_day"}


class Answer(NamedTuple):
    """One answer of a surface."""

    status: int
    headers: Mapping[str, str]
    body: Any


async def chat(world: World, **body: Any) -> Answer:
    response = await world.chat(**body)
    return Answer(response.status, response.headers, json.loads(await response.read()))


def served_by(answer: Answer) -> str:
    return f"{answer.headers['x-signalbox-provider']}/{answer.headers['x-signalbox-model']}"


async def set_limit(world: World, **fields: Any) -> dict[str, Any]:
    """Set a limit of Acme's, and wait until the request path knows it."""
    answered = await (await API.of(world, world.acme))("POST", "/limits", fields)
    assert answered.status == 200, answered.text
    for _ in range(200):
        limits = (await world.gateway.views.of(world.acme.tenant_id)).limits
        if any(str(limit.limit_id) == answered.body["limit_id"] for limit in limits._limits):
            break
        await asyncio.sleep(0.01)
    return dict(answered.body)


async def test_a_limit_holds_at_once_and_tells_what_is_left(world: World) -> None:
    await set_limit(world, **DAY, limit_count=2)
    first, second, third = [await chat(world) for _ in range(3)]
    assert (first.status, second.status) == (200, 200)
    assert [each.headers["x-ratelimit-remaining-requests"] for each in (first, second)] == ["1", "0"]
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert third.status == 429
    assert third.body["error"]["code"] == "rate_limit_exceeded"
    assert "Tenant 'Acme' allows 2 requests per day" in third.body["error"]["message"]
    assert int(third.headers["retry-after"]) > 40_000
    assert third.headers["x-ratelimit-remaining-requests"] == "0"
    assert (await chat(world, key=world.umbrella.key)).status == 200


async def test_tokens_are_taken_by_estimate_and_told_beside_the_requests(world: World) -> None:
    await set_limit(world, kind="tokens_per_day", limit_count=100_000)
    answered = await chat(world, max_tokens=50)
    assert answered.headers["x-ratelimit-limit-tokens"] == "100000"
    assert 99_000 < int(answered.headers["x-ratelimit-remaining-tokens"]) < 100_000
    assert answered.headers["x-ratelimit-reset-tokens"].endswith("ms")
    api = await API.of(world, world.acme)
    await asyncio.sleep(0.05)
    [listed] = (await api("GET", "/limits")).body["data"]
    usage = answered.body["usage"]
    assert 0 < listed["used_count"] <= usage["prompt_tokens"] + usage["completion_tokens"]


async def test_a_request_larger_than_the_bucket_is_refused_for_good(world: World) -> None:
    await set_limit(world, kind="tokens_per_minute", limit_count=100)
    refused = await chat(world, max_tokens=500)
    assert refused.status == 429
    assert refused.body["error"]["code"] == "request_above_rate"
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    assert (await chat(world, max_tokens=20)).status == 200


async def test_each_end_user_is_held_to_its_own(world: World) -> None:
    await set_limit(world, **DAY, limit_count=1, is_per_end_user=True)
    statuses = [(await chat(world, user=user)).status for user in ("ann", "ann", "bob")]
    assert statuses == [200, 429, 200]
    assert [(await chat(world)).status for _ in range(2)] == [200, 200]


async def test_a_model_whose_rate_is_used_makes_way_for_another(world: World) -> None:
    taken = served_by(await chat(world))
    await set_limit(world, **DAY, limit_count=1, model=taken)
    served = [await chat(world) for _ in range(2)]
    assert [each.status for each in served] == [200, 200]
    assert served_by(served[0]) == taken
    assert served_by(served[1]) != taken
    named = await chat(world, model=taken)
    assert named.status == 429
    assert f"for model '{taken}'" in named.body["error"]["message"]


async def test_no_more_run_at_once_than_a_key_may(world: World) -> None:
    world.sandbox.faults.add(FaultRule(kinds=[FaultKind.DELAY], value=3_000))
    await set_limit(world, kind="concurrent_requests", limit_count=2, api_key_id=str(world.acme.api_key_id))
    outcomes = await asyncio.gather(*(chat(world) for _ in range(5)))
    refused = [each for each in outcomes if each.status == 429]
    assert len(refused) == 3
    assert {each.body["error"]["code"] for each in refused} == {"concurrency_limit_exceeded"}
    assert {each.headers["retry-after"] for each in refused} == {"1"}
    assert (await chat(world)).status != 429


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "requests_per_day", "limit_count": 0},
        {"kind": "requests_per_year", "limit_count": 1},
        {"kind": "concurrent_requests", "limit_count": 1, "model": "openai/*"},
        {"kind": "requests_per_day", "limit_count": 10**14},
        {"kind": "requests_per_day", "limit_count": 1, "project_id": "00000000-0000-0000-0000-000000000009"},
    ],
)
async def test_what_makes_no_sense_is_refused(world: World, body: dict[str, Any]) -> None:
    answered = await (await API.of(world, world.acme))("POST", "/limits", body)
    assert answered.status in (400, 422), json.dumps(answered.body)


async def test_a_limit_is_moved_removed_and_audited(world: World) -> None:
    api = await API.of(world, world.acme)
    made = (await api("POST", "/limits", {**DAY, "limit_count": 5})).body
    moved = (await api("POST", "/limits", {**DAY, "limit_count": 9, "burst_count": 3})).body
    assert (moved["limit_id"], moved["limit_count"], moved["burst_count"]) == (made["limit_id"], 9, 3)
    assert (await api("DELETE", f"/limits/{made['limit_id']}")).status == 204
    assert (await api("GET", "/limits")).body["data"] == []
    assert (await api("DELETE", f"/limits/{made['limit_id']}")).code == "not_found"
    assert [action for action in await api.audited() if action.startswith("limit")] == [
        "limit.set", "limit.set", "limit.removed",
    ]  # fmt: skip
