"""Calls under an `idempotency-key` over sockets: answered once, billed once, by whichever process."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from app.main import Gateway, GatewayOptions
from app.sandbox import FaultKind
from billing import set_budget
from tenants import SYSTEM, Database, create_key
from tests.integration.app.test_chat import records, total
from tests.world import FAST, World, serve

ONCE = {"idempotency-key": "order-7"}
MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest.fixture
async def elsewhere(world: World) -> AsyncIterator[str]:
    """The address of another process of the same gateway, with connections and memory of its own."""
    gateway = Gateway(
        Database(world.database._url_of, connections_max=4),
        world.gateway.vault,
        options=GatewayOptions(attempts=FAST),
    )
    async with serve(gateway) as base_url:
        # What it reads once, it has read when a test begins.
        await (await world.client.get(f"{base_url}/v1/models", headers=bearer(world))).read()
        yield base_url


def bearer(world: World) -> dict[str, str]:
    return {"authorization": f"Bearer {world.acme.key}"}


async def chat_at(world: World, base_url: str, **body: Any) -> aiohttp.ClientResponse:
    response = await world.client.post(
        f"{base_url}/v1/chat/completions",
        json={"model": "auto", "messages": MESSAGES, **body},
        headers=bearer(world) | ONCE,
    )
    await response.read()
    return response


async def held(world: World) -> None:
    """Wait until a call is under way."""
    while not await total(world, "SELECT count(*) FROM reservation WHERE state = 'held'"):
        await asyncio.sleep(0.01)


async def test_a_call_without_a_key_writes_nothing_about_keys(world: World) -> None:
    assert (await world.chat()).status == 200
    assert await keys(world) == 0


async def test_what_was_answered_is_not_called_again_and_the_error_names_the_request(world: World) -> None:
    first = await world.chat(headers=ONCE)
    again = await world.chat(headers=ONCE)
    assert (first.status, again.status) == (200, 409)
    error = (await again.json())["error"]
    assert error["code"] == "already_completed"
    assert first.headers["x-signalbox-request-id"] in error["message"]
    assert again.headers["x-should-retry"] == "false"
    assert len(world.sandbox.calls) == 1
    assert [record["outcome"] for record in await records(world, world.acme.tenant_id)] == ["ok", "invalid"]


async def test_a_twin_joins_and_both_are_one_request(world: World) -> None:
    world.sandbox.fail(FaultKind.HANG, count=1)  # a second, then the next candidate answers
    first, twin = await asyncio.gather(world.chat(headers=ONCE), world.chat(headers=ONCE))
    assert (first.status, twin.status) == (200, 200)
    assert await first.read() == await twin.read()
    assert first.headers["x-signalbox-request-id"] == twin.headers["x-signalbox-request-id"]
    assert sorted(each.headers.get("idempotent-replayed", "") for each in (first, twin)) == ["", "true"]
    assert len(world.sandbox.calls) == 2
    assert len(await records(world, world.acme.tenant_id)) == 1


async def test_a_twin_elsewhere_is_told_to_come_back(world: World, elsewhere: str) -> None:
    world.sandbox.fail(FaultKind.HANG, count=1)  # a second, then the next candidate answers
    first = asyncio.create_task(world.chat(headers=ONCE))
    await held(world)
    twin = await chat_at(world, elsewhere)
    assert twin.status == 409
    assert (await twin.json())["error"]["code"] == "request_running"
    assert int(twin.headers["retry-after"]) >= 1
    assert "x-should-retry" not in twin.headers
    assert (await first).status == 200
    assert (await (await chat_at(world, elsewhere)).json())["error"]["code"] == "already_completed"
    assert len(world.sandbox.calls) == 2


async def test_of_twins_in_two_processes_at_once_one_is_sent(world: World, elsewhere: str) -> None:
    answers = await asyncio.gather(*(chat_at(world, at) for at in (world.base_url, elsewhere) * 5))
    assert len(world.sandbox.calls) == 1
    assert {answer.status for answer in answers} == {200, 409}
    assert await total(world, "SELECT count(*) FROM request_record WHERE billed_nano_usd > 0") == 1


async def test_another_body_under_the_key_is_a_conflict(world: World) -> None:
    world.sandbox.fail(FaultKind.HANG, count=1)  # a second, then the next candidate answers
    first = asyncio.create_task(world.chat("One", headers=ONCE))
    await held(world)
    joined = await world.chat("Two", headers=ONCE)
    assert (await first).status == 200
    later = await world.chat("Two", headers=ONCE)
    for answer in (joined, later):
        assert answer.status == 409
        assert (await answer.json())["error"]["code"] == "idempotency_conflict"
        assert answer.headers["x-should-retry"] == "false"
    assert len(world.sandbox.calls) == 2


async def test_a_twin_of_a_stream_is_told_to_come_back(world: World) -> None:
    body = {"model": "sandbox/deep-large", "stream": True, "messages": [{"role": "user", "content": "[[words:200]]"}]}
    headers = bearer(world) | ONCE
    url = f"{world.base_url}/v1/chat/completions"
    first = await world.client.post(url, json=body, headers=headers)
    await first.content.readany()
    twin = await world.client.post(url, json=body, headers=headers)
    assert (await twin.json())["error"]["code"] == "request_running"
    first.close()
    for _ in range(200):
        later = await world.client.post(url, json=body, headers=headers)
        if (await later.json())["error"]["code"] == "already_completed":
            break
        await asyncio.sleep(0.02)
    assert (await later.json())["error"]["code"] == "already_completed"
    assert len(world.sandbox.calls) == 1


async def test_what_failed_without_cost_may_be_sent_again_by_whichever_process(world: World, elsewhere: str) -> None:
    world.sandbox.fail(FaultKind.SERVER, count=3)
    assert (await world.chat(headers=ONCE)).status >= 500
    await world.gateway.settlement.drain()
    assert (await chat_at(world, elsewhere)).status == 200
    assert await total(world, "SELECT count(*) FROM request_record WHERE outcome = 'ok'") == 1


async def test_what_the_budget_refused_may_be_sent_again_with_another_body(world: World) -> None:
    await set_budget(world.database, SYSTEM, world.acme.tenant_id, period="month", limit_nano_usd=1_000)
    assert (await world.chat(headers=ONCE, max_tokens=1_000)).status == 402
    await set_budget(world.database, SYSTEM, world.acme.tenant_id, period="month", limit_nano_usd=10**12)
    await world.gateway.settlement.drain()
    await asyncio.sleep(1.1)  # the headroom that came with the admission guides the route for a second
    assert (await world.chat(headers=ONCE, max_tokens=500)).status == 200


async def test_twins_of_a_call_that_fails_are_told_why(world: World) -> None:
    world.sandbox.fail(FaultKind.HANG)
    answers = await asyncio.gather(*(world.chat(headers={**ONCE, "x-signalbox-no-fallback": "1"}) for _ in range(3)))
    assert [answer.status for answer in answers] == [504] * 3
    assert len(world.sandbox.calls) == 1


async def test_a_key_belongs_to_its_api_key_and_route(world: World) -> None:
    other = await create_key(world.database, world.gateway.vault, SYSTEM, world.acme.tenant_id, name="other")
    message = {"model": "auto", "max_tokens": 20, "messages": MESSAGES}
    by_route = await world.client.post(
        f"{world.base_url}/v1/messages", json=message, headers={"x-api-key": world.acme.key, **ONCE}
    )
    await by_route.read()
    statuses = [
        (await world.chat(headers=ONCE)).status,
        (await world.chat(headers=ONCE, key=other.secret)).status,
        (await world.chat(headers=ONCE, key=world.umbrella.key)).status,
        by_route.status,
    ]
    assert statuses == [200] * 4
    assert len(world.sandbox.calls) == 4


async def test_a_key_is_free_again_after_a_day(world: World) -> None:
    assert (await world.chat(headers=ONCE)).status == 200
    await age(world, "25 hours")
    assert (await world.chat(headers=ONCE)).status == 200
    assert (await world.chat(headers=ONCE)).status == 409


async def test_a_key_whose_process_died_before_it_held_anything_is_free_when_it_can_run_no_longer(world: World) -> None:
    assert (await world.chat(headers=ONCE)).status == 200
    pool = await world.database.meter_pool()
    await pool.execute("UPDATE idempotency_key SET request_id = gen_random_uuid()")  # it left no record
    assert (await (await world.chat(headers=ONCE)).json())["error"]["code"] == "request_running"
    await age(world, "1 hour")
    assert (await world.chat(headers=ONCE)).status == 200


async def test_a_key_whose_call_still_holds_money_is_not_free(world: World, elsewhere: str) -> None:
    world.sandbox.fail(FaultKind.HANG, count=1)  # a second, then the next candidate answers
    first = asyncio.create_task(world.chat(headers=ONCE))
    await held(world)
    await age(world, "1 hour")
    assert (await (await chat_at(world, elsewhere)).json())["error"]["code"] == "request_running"
    assert (await first).status == 200
    assert len(world.sandbox.calls) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9"])
async def test_a_key_that_cannot_be_one_is_refused(world: World, key: str) -> None:
    response = await world.chat(headers={"idempotency-key": key})
    assert response.status == 400
    assert "idempotency-key" in (await response.json())["error"]["message"]
    assert not world.sandbox.calls


async def test_neither_key_nor_body_is_kept_in_clear(world: World) -> None:
    await world.chat("a secret plan", headers={"idempotency-key": "customer-4711"})
    pool = await world.database.meter_pool()
    row = json.dumps(dict(await pool.fetchrow("SELECT * FROM idempotency_key")), default=repr)
    assert "4711" not in row
    assert "plan" not in row


async def keys(world: World) -> int:
    pool = await world.database.meter_pool()
    return int(await pool.fetchval("SELECT count(*) FROM idempotency_key"))


async def age(world: World, interval: str) -> None:
    """Let every key be that much older."""
    pool = await world.database.meter_pool()
    await pool.execute(f"UPDATE idempotency_key SET created_at = created_at - interval '{interval}'")
