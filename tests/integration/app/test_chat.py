"""The straight line over sockets: what a caller gets, and what is recorded of it."""

import asyncio
import json

import asyncpg
import pytest
from sqlalchemy import text

from app.embedded.postgres import SUPERUSER
from app.sandbox import FaultKind
from billing import change_plan, set_budget
from tenants import SYSTEM, connect_arguments, create_key, revoke_key
from tests.world import World

NANO_USD = 1_000_000_000


async def records(world: World, tenant_id: object) -> list[dict[str, object]]:
    """Every request record of a tenant, oldest first, with its attempts; after what runs has settled."""
    await world.gateway.settlement.drain()
    async with world.database.across_tenants() as session:
        rows = await session.execute(
            text("SELECT * FROM request_record WHERE tenant_id = :t ORDER BY request_id"), {"t": tenant_id}
        )
        return [dict(row) for row in rows.mappings()]


async def total(world: World, sql: str) -> int:
    async with world.database.across_tenants() as session:
        return int((await session.execute(text(sql))).scalar_one() or 0)


async def test_a_routed_answer_says_what_it_cost_and_why(world: World) -> None:
    response = await world.chat("Write a Python function that reverses a list")
    assert response.status == 200
    body = await response.json()
    assert body["choices"][0]["message"]["content"]
    headers = response.headers
    assert headers["x-signalbox-provider"] == "sandbox"
    assert "task=code_generation" in headers["x-signalbox-route"]
    assert headers["x-signalbox-attempts"] == "1"
    assert float(headers["x-signalbox-cost-usd"]) == body["usage"]["cost"] > 0
    [record] = await records(world, world.acme.tenant_id)
    assert str(record["request_id"]) == headers["x-signalbox-request-id"] == headers["x-request-id"]
    assert record["billed_nano_usd"] == round(body["usage"]["cost"] * NANO_USD)
    assert record["outcome"] == "ok"


async def test_the_clients_own_request_id_comes_back(world: World) -> None:
    response = await world.chat(headers={"x-request-id": "abc-1"})
    assert response.headers["x-request-id"] == "abc-1"
    [record] = await records(world, world.acme.tenant_id)
    assert record["client_request_id"] == "abc-1"


async def test_a_stream_ends_with_its_cost_and_is_settled_before_its_end(world: World) -> None:
    response = await world.chat(stream=True, stream_options={"include_usage": True})
    events = [line[6:] for line in (await response.text()).splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert "x-signalbox-cost-usd" not in response.headers
    usage = json.loads(events[-2])["usage"]
    # No drain: what the caller has read to its end is committed.
    billed = await total(world, "SELECT sum(billed_nano_usd) FROM request_record")
    assert billed == round(usage["cost"] * NANO_USD) > 0


async def test_the_usage_chunk_is_not_shown_to_who_did_not_ask(world: World) -> None:
    response = await world.chat(stream=True)
    assert '"usage":{' not in (await response.text()).replace(" ", "")


async def test_every_way_of_sending_the_key_works(world: World) -> None:
    for headers in ({"x-api-key": world.acme.key}, {"x-goog-api-key": world.acme.key}):
        response = await world.client.post(
            f"{world.base_url}/v1/chat/completions",
            json={"model": "auto", "messages": [{"role": "user", "content": "hi"}]},
            headers=headers,
        )
        assert "choices" in await response.json()


@pytest.mark.parametrize("key", ["sbx_live_nonsense", "", "sk-123"])
async def test_an_unknown_key_is_401(world: World, key: str) -> None:
    response = await world.client.post(
        f"{world.base_url}/v1/chat/completions", json={}, headers={"authorization": f"Bearer {key}"}
    )
    body = await response.json()
    assert response.status == 401
    assert body["error"]["type"] == "authentication_error"
    assert response.headers["x-should-retry"] == "false"


async def test_a_revoked_key_stops_within_a_second(world: World) -> None:
    created = await create_key(world.database, world.gateway.vault, SYSTEM, world.acme.tenant_id, name="short-lived")
    assert (await world.chat(key=created.secret)).status == 200
    await revoke_key(world.database, SYSTEM, world.acme.tenant_id, created.key.api_key_id)
    for _ in range(100):
        response = await world.chat(key=created.secret)
        if response.status == 401:
            break
        await asyncio.sleep(0.01)
    assert (await response.json())["error"]["code"] == "api_key_revoked"


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"{", 400, None),
        (b"", 400, None),
        (b"[]", 400, None),
        (b'{"model":"auto"}', 400, "messages"),
        (b'{"model":"auto","messages":[]}', 400, "messages"),
        (b'{"messages":[{"role":"user","content":"x"}]}', 400, "model"),
        (b'{"model":"auto","messages":[{"role":"user","content":"x"}],"n":0}', 400, "n"),
        (b'{"model":"openai/gpt-9","messages":[{"role":"user","content":"x"}]}', 404, None),
        (b'{"model":"auto/none","messages":[{"role":"user","content":"x"}]}', 404, None),
    ],
)
async def test_a_bad_body_is_refused_with_the_field_and_recorded(
    world: World, body: bytes, status: int, param: str | None
) -> None:
    response = await world.client.post(
        f"{world.base_url}/v1/chat/completions", data=body, headers={"authorization": f"Bearer {world.acme.key}"}
    )
    error = (await response.json())["error"]
    assert response.status == status, error
    assert error["param"] == param
    assert error["metadata"]["request_id"] == response.headers["x-signalbox-request-id"]
    [record] = await records(world, world.acme.tenant_id)
    assert record["http_status"] == status
    assert record["billed_nano_usd"] == 0


async def test_a_body_over_the_limit_is_413(world: World) -> None:
    response = await world.chat("x" * 1_000_001)
    assert response.status == 413
    assert (await response.json())["error"]["code"] == "request_too_large"


async def test_a_spent_budget_is_402_and_names_itself(world: World) -> None:
    await set_budget(world.database, SYSTEM, world.acme.tenant_id, period="month", limit_nano_usd=1000)
    response = await world.chat(max_tokens=1000)
    error = (await response.json())["error"]
    assert response.status == 402, error
    assert "budget" in error["message"]
    assert "$0.000001" in error["message"]
    [record] = await records(world, world.acme.tenant_id)
    assert record["outcome"] == "budget"
    assert not world.sandbox.calls


async def test_headroom_held_by_a_request_in_flight_is_429_and_not_402(world: World) -> None:
    bound = world.gateway.billing
    book = await bound.price_book()
    price = book.get("sandbox", "swift-mini")
    assert price is not None
    one_request = price.bound_nano_usd(input_tokens=1_000, output_tokens=1_000) * 3 // 2
    await set_budget(world.database, SYSTEM, world.acme.tenant_id, period="month", limit_nano_usd=one_request)
    world.sandbox.fail(FaultKind.DELAY, count=1)
    call = {"model": "sandbox/swift-mini", "max_tokens": 1_000}
    first = asyncio.create_task(world.chat(**call))
    while not await total(world, "SELECT count(*) FROM reservation WHERE state = 'held'"):
        await asyncio.sleep(0.01)
    second = await world.chat(**call)
    assert second.status == 429, await second.text()
    assert (await second.json())["error"]["code"] == "budget_contended"
    assert int(second.headers["retry-after"]) >= 1
    assert "x-should-retry" not in second.headers
    assert (await first).status == 200
    assert (await world.chat(**call)).status == 200


async def test_an_unset_output_limit_shrinks_to_fit_the_budget(world: World) -> None:
    await set_budget(world.database, SYSTEM, world.acme.tenant_id, period="month", limit_nano_usd=200_000)
    response = await world.chat()
    assert response.status == 200, await response.text()
    assert int(response.headers["x-signalbox-output-tokens-limit"]) > 0


async def test_a_failed_attempt_moves_on_and_is_kept(world: World) -> None:
    world.sandbox.fail(FaultKind.SERVER, count=1)
    response = await world.chat()
    assert response.status == 200
    assert response.headers["x-signalbox-attempts"] == "2"
    [record] = await records(world, world.acme.tenant_id)
    assert record["attempt_count"] == 2
    assert await total(world, "SELECT count(*) FROM attempt WHERE outcome = 'upstream_error'") == 1
    assert await total(world, "SELECT sum(reserved_nano_usd) FROM budget_period") == 0
    assert await total(world, "SELECT count(*) FROM reservation WHERE state = 'held'") == 0


async def test_no_fallback_means_one_attempt(world: World) -> None:
    world.sandbox.fail(FaultKind.RATE_LIMITED)
    response = await world.chat(headers={"x-signalbox-no-fallback": "true"})
    assert response.status == 429
    assert int(response.headers["retry-after"]) >= 1
    assert len(world.sandbox.calls) == 1


async def test_a_hang_is_left_within_its_time_out(world: World) -> None:
    world.sandbox.fail(FaultKind.HANG)
    response = await world.chat()
    assert response.status == 504
    [record] = await records(world, world.acme.tenant_id)
    assert record["outcome"] == "upstream_timeout"
    assert record["attempt_count"] == 3


async def test_what_the_caller_did_wrong_is_not_tried_elsewhere(world: World) -> None:
    world.sandbox.fail(FaultKind.BAD_REQUEST)
    response = await world.chat()
    assert response.status == 400
    assert len(world.sandbox.calls) == 1


async def test_a_stream_that_breaks_ends_with_an_error_and_bills_what_came(world: World) -> None:
    world.sandbox.fail(FaultKind.CUT)
    response = await world.chat(stream=True)
    events = [line[6:] for line in (await response.text()).splitlines() if line.startswith("data: ")]
    assert "[DONE]" not in events
    assert json.loads(events[-1])["error"]["code"] == "stream_broken"
    [record] = await records(world, world.acme.tenant_id)
    assert record["outcome"] == "interrupted"
    assert record["is_usage_estimated"]
    assert int(str(record["billed_nano_usd"])) > 0


async def test_an_error_in_a_stream_before_any_content_moves_on(world: World) -> None:
    world.sandbox.fail(FaultKind.ERROR_EVENT, count=1)
    response = await world.chat(stream=True)
    assert (await response.text()).rstrip().endswith("[DONE]")
    assert response.headers["x-signalbox-attempts"] == "2"


async def test_a_client_that_hangs_up_is_billed_for_what_was_generated(world: World) -> None:
    response = await world.client.post(
        f"{world.base_url}/v1/chat/completions",
        json={
            "model": "sandbox/deep-large",
            "stream": True,
            "messages": [{"role": "user", "content": "[[fault:stall]] tell me a story"}],
        },
        headers={"authorization": f"Bearer {world.acme.key}"},
    )
    await response.content.readany()
    response.close()
    for _ in range(200):
        if found := await records(world, world.acme.tenant_id):
            break
        await asyncio.sleep(0.01)
    assert found[0]["outcome"] == "interrupted"
    assert await total(world, "SELECT count(*) FROM reservation WHERE state = 'held'") == 0


async def test_a_client_that_hangs_up_before_the_providers_first_byte_is_billed_its_input(world: World) -> None:
    asking = asyncio.create_task(
        world.client.post(
            f"{world.base_url}/v1/chat/completions",
            json={
                "model": "sandbox/deep-large",
                "stream": True,
                "messages": [{"role": "user", "content": "[[fault:hang]] tell me a story"}],
            },
            headers={"authorization": f"Bearer {world.acme.key}"},
        )
    )
    while not world.sandbox._state.tasks:
        await asyncio.sleep(0.01)
    asking.cancel()
    for _ in range(200):
        if found := await records(world, world.acme.tenant_id):
            break
        await asyncio.sleep(0.01)
    assert found[0]["outcome"] == "cancelled"
    assert int(str(found[0]["billed_nano_usd"])) > 0
    assert await total(world, "SELECT count(*) FROM reservation WHERE state = 'held'") == 0


async def test_a_model_outside_the_plan_is_403(world: World) -> None:
    await change_plan(world.database, SYSTEM, world.acme.tenant_id, "free")
    for _ in range(100):
        response = await world.chat(model="sandbox/deep-large")
        if response.status == 403:
            break
        await asyncio.sleep(0.01)
    assert response.status == 403
    assert (await response.json())["error"]["code"] == "model_not_allowed"


async def test_route_explains_without_calling_or_recording(world: World) -> None:
    response = await world.client.post(
        f"{world.base_url}/v1/route",
        json={"model": "auto", "messages": [{"role": "user", "content": "Translate 'good morning' into French"}]},
        headers={"authorization": f"Bearer {world.acme.key}"},
    )
    decision = await response.json()
    assert response.status == 200
    assert decision["task"]["value"] == "translation"
    assert decision["candidates"]
    assert not world.sandbox.calls
    assert await records(world, world.acme.tenant_id) == []


async def test_route_explains_a_refusal_too(world: World) -> None:
    response = await world.client.post(
        f"{world.base_url}/v1/route",
        json={"model": "sandbox/swift-mini", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1_000_000},
        headers={"authorization": f"Bearer {world.acme.key}", "x-signalbox-max-cost": "0.000000001"},
    )
    decision = await response.json()
    assert response.status == 200
    assert decision["refusal"]
    assert {candidate["excluded"] for candidate in decision["candidates"]} <= {"over_max_cost", "context_too_small"}


async def test_more_than_the_plans_rate_is_429_and_says_when_to_come_back(world: World) -> None:
    await change_plan(world.database, SYSTEM, world.acme.tenant_id, "free")
    statuses = []
    for _ in range(60):
        response = await world.chat(model="sandbox/swift-mini")
        statuses.append(response.status)
        if response.status == 429:
            break
    assert response.status == 429
    assert statuses.count(200) >= 20
    assert int(response.headers["retry-after"]) >= 1
    assert response.headers["x-ratelimit-limit-requests"] == "60"
    assert response.headers["x-ratelimit-remaining-requests"] == "0"
    assert (await records(world, world.acme.tenant_id))[-1]["outcome"] == "rate_limited"


async def test_a_credential_that_cannot_be_opened_holds_no_money(world: World) -> None:
    await set_budget(world.database, SYSTEM, world.acme.tenant_id, period="month", limit_nano_usd=NANO_USD)
    superuser = await asyncpg.connect(**connect_arguments(world.database._url_of(SUPERUSER)))
    await superuser.execute("UPDATE provider_credential SET secret = secret || '\\x00'")
    await superuser.close()
    response = await world.chat()
    assert response.status == 500
    assert "report the request id" in (await response.json())["error"]["message"]
    [record] = await records(world, world.acme.tenant_id)
    assert record["outcome"] == "gateway_fault"
    assert await total(world, "SELECT sum(reserved_nano_usd) FROM budget_period") == 0


async def test_models_lists_what_the_key_can_call(world: World) -> None:
    response = await world.client.get(
        f"{world.base_url}/v1/models", headers={"authorization": f"Bearer {world.acme.key}"}
    )
    names = [model["id"] for model in (await response.json())["data"]]
    assert {"auto", "auto/default", "sandbox/swift-mini", "sandbox/deep-large"} <= set(names)


async def test_a_request_is_read_back_by_its_own_tenant_only(world: World) -> None:
    request_id = (await world.chat()).headers["x-signalbox-request-id"]
    url = f"{world.base_url}/v1/requests/{request_id}"
    mine = await world.client.get(url, headers={"authorization": f"Bearer {world.acme.key}"})
    theirs = await world.client.get(url, headers={"authorization": f"Bearer {world.umbrella.key}"})
    assert mine.status == 200
    assert (await mine.json())["request_id"] == request_id
    assert theirs.status == 404
    assert "Acme" not in await theirs.text()


async def test_the_sandboxs_log_equals_the_attempts_and_the_ledger_equals_the_records(world: World) -> None:
    world.sandbox.fail(FaultKind.SERVER, count=3)
    await asyncio.gather(*(world.chat(f"Question number {number}?", stream=number % 2 == 0) for number in range(30)))
    await records(world, world.acme.tenant_id)
    assert len(world.sandbox.calls) == await total(world, "SELECT count(*) FROM attempt")
    billed = await total(world, "SELECT sum(billed_nano_usd) FROM request_record")
    assert billed == await total(world, "SELECT sum(amount_nano_usd) FROM ledger_entry WHERE account = 'accrued_usage'")
    assert billed == await total(world, "SELECT sum(billed_nano_usd) FROM usage_rollup")
    assert billed == await total(world, "SELECT sum(billed_nano_usd) FROM attempt")
    assert await total(world, "SELECT sum(amount_nano_usd) FROM ledger_entry") == 0
