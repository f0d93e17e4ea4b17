"""Budgets of end users and models over HTTP: held, shrunk to, told of, and heeded by the route."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.integration.app.http.api import API
from tests.world import World

MONTH = {"period": "month"}


class Answer(NamedTuple):
    """One answer of a surface."""

    status: int
    headers: Mapping[str, str]
    body: Any


async def chat(world: World, **body: Any) -> Answer:
    response = await world.chat(**body)
    return Answer(response.status, response.headers, json.loads(await response.read()))


async def a_budget(world: World, **fields: Any) -> dict[str, Any]:
    answered = await (await API.of(world, world.acme))("POST", "/budgets", {**MONTH, **fields})
    assert answered.status == 200, answered.text
    return dict(answered.body)


async def test_an_end_users_budget_is_held_and_named(world: World) -> None:
    await a_budget(world, limit_nano_usd=1_000, is_per_end_user=True)
    refused = await chat(world, user="ann", max_tokens=4_000)
    assert refused.status == 402
    assert "end user 'ann' monthly budget" in refused.body["error"]["message"]
    assert (await chat(world, max_tokens=4_000)).status == 200


async def test_an_output_limit_shrinks_to_what_an_end_user_has_left(world: World) -> None:
    whole = await chat(world, user="bob")
    assert whole.status == 200
    budget = await a_budget(world, limit_nano_usd=200_000, is_per_end_user=True)
    answered = await chat(world, user="ann")
    assert answered.status == 200, answered.body
    assert int(answered.headers["x-signalbox-output-tokens-limit"]) > 0
    await world.gateway.settlement.drain()
    api = await API.of(world, world.acme)
    [spent] = (await api("GET", f"/budgets/{budget['budget_id']}/end-users")).body["data"]
    assert spent["end_user"] == "ann"
    assert 0 < spent["spent_nano_usd"] <= 200_000
    assert spent["reserved_nano_usd"] == 0


async def test_a_models_budget_makes_way_for_another_model(world: World) -> None:
    first = await chat(world, max_tokens=50)
    name = f"{first.headers['x-signalbox-provider']}/{first.headers['x-signalbox-model']}"
    await a_budget(world, limit_nano_usd=0, model=name)
    second = await chat(world, max_tokens=50)
    assert second.status == 200
    assert f"{second.headers['x-signalbox-provider']}/{second.headers['x-signalbox-model']}" != name
    named = await chat(world, model=name, max_tokens=50)
    assert named.status == 402
    assert f"model '{name}'" in named.body["error"]["message"]


async def test_from_a_share_on_the_route_says_that_it_saves(world: World) -> None:
    await a_budget(world, limit_nano_usd=1, mode="alert", cheaper_from_percent=1)
    for _ in range(2):
        answered = await chat(world, max_tokens=50)
        assert answered.status == 200
        await world.gateway.settlement.drain()
        await asyncio.sleep(0.05)
        world.gateway.meter.drop(world.acme.tenant_id)
    assert "wants the cheapest" in answered.headers["x-signalbox-route"]


async def test_events_are_read_over_the_api(world: World) -> None:
    await a_budget(world, limit_nano_usd=1, mode="alert")
    assert (await chat(world, max_tokens=50)).status == 200
    await world.gateway.settlement.drain()
    api = await API.of(world, world.acme)
    told = (await api("GET", "/budgets/events")).body["data"]
    assert sorted(each["threshold_percent"] for each in told) == [50, 80, 95, 100]
    assert {each["scope_name"] for each in told} == {"Acme"}
    latest = max(each["raised_at"] for each in told)
    assert (await api("GET", "/budgets/events", query=[("since", latest)])).body["data"] == []
    assert (await (await API.of(world, world.umbrella))("GET", "/budgets/events")).body["data"] == []
