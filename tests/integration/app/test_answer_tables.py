"""Answers by rule, over the running program: in the caller's dialect, whole and streamed, at no cost, recorded."""

import asyncio
import json
from typing import Any

from app.sandbox import FaultKind
from tenants import SYSTEM, publish_policy
from tests.integration.app.test_chat import records, total
from tests.world import World

HOURS = "We are open from 9 to 17 h, Monday to Friday."
POLICY: dict[str, Any] = {
    "answers": {
        "desk": [
            {"name": "hours", "when": {"instruction": {"contains": "opening hours"}}, "say": HOURS},
            {"name": "thanks", "when": {"task": "small_talk", "tags": "thanks"}, "say": "You are welcome. \U0001f642"},
        ],
        "sorry": [{"name": "later", "say": "We cannot answer just now. Please try again later."}],
    },
    "default": {"candidates": ["answers/desk", "sandbox/swift-mini", "answers/sorry"], "strategy": "ordered"},
}


async def publish(world: World, document: dict[str, Any]) -> None:
    await publish_policy(world.database, SYSTEM, world.acme.tenant_id, "default", json.dumps(document).encode())
    for _ in range(200):
        view = await world.gateway.pipeline.view(world.acme.tenant_id)
        if view.policy("default").answers:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the policy did not come into force")


async def test_an_answer_by_rule_calls_nobody_and_costs_nothing(world: World) -> None:
    await publish(world, POLICY)
    response = await world.chat("What are your opening hours?")
    body = await response.json()
    assert response.status == 200
    assert body["choices"][0]["message"]["content"] == HOURS
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == 0
    assert body["usage"]["cost"] == 0
    assert (response.headers["x-signalbox-provider"], response.headers["x-signalbox-model"]) == ("answers", "desk")
    assert response.headers["x-signalbox-cost-usd"] == "0"
    assert not world.sandbox.calls
    [record] = await records(world, world.acme.tenant_id)
    assert (record["outcome"], record["provider_name"], record["response_model"]) == ("ok", "answers", "desk")
    assert record["billed_nano_usd"] == 0
    assert await total(world, "SELECT count(*) FROM reservation") == 0
    assert await total(world, "SELECT count(*) FROM attempt WHERE response_id = 'hours'") == 1


async def test_a_request_without_an_answer_goes_to_the_next_candidate_and_says_why(world: World) -> None:
    await publish(world, POLICY)
    response = await world.chat("How tall is the Eiffel tower?")
    assert response.headers["x-signalbox-model"] == "swift-mini"
    await world.gateway.settlement.drain()
    read = await world.client.get(
        f"{world.base_url}/v1/requests/{response.headers['x-signalbox-request-id']}",
        headers={"authorization": f"Bearer {world.acme.key}"},
    )
    fates = {each["name"]: each["excluded"] for each in (await read.json())["decision"]["candidates"]}
    assert fates == {"answers/desk": "no_answer", "sandbox/swift-mini": None, "answers/sorry": None}


async def test_a_table_is_the_last_resort_when_every_model_fails(world: World) -> None:
    await publish(world, POLICY)
    world.sandbox.fail(FaultKind.SERVER)
    response = await world.chat("How tall is the Eiffel tower?")
    assert response.status == 200
    assert (await response.json())["choices"][0]["message"]["content"].startswith("We cannot answer just now")
    assert response.headers["x-signalbox-provider"] == "answers"


async def test_a_streamed_answer_ends_like_any_stream(world: World) -> None:
    await publish(world, POLICY)
    response = await world.chat("Opening hours?", stream=True, stream_options={"include_usage": True})
    events = [line[6:] for line in (await response.text()).splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    said = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
    assert said == HOURS
    assert chunks[-1]["usage"]["total_tokens"] == 0
    [record] = await records(world, world.acme.tenant_id)
    assert (record["outcome"], record["billed_nano_usd"], record["is_usage_estimated"]) == ("ok", 0, False)


async def test_anthropics_dialect_is_answered_in_its_own_words(world: World) -> None:
    await publish(world, POLICY)
    for is_streamed in (False, True):
        response = await world.client.post(
            f"{world.base_url}/v1/messages",
            json={
                "model": "auto",
                "max_tokens": 50,
                "stream": is_streamed,
                "messages": [{"role": "user", "content": "opening hours"}],
            },
            headers={"x-api-key": world.acme.key},
        )
        text = await response.text()
        assert response.status == 200, text
        if is_streamed:
            deltas = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
            assert deltas[-1] == {"type": "message_stop"}
            assert "".join(d["delta"].get("text", "") for d in deltas if d["type"] == "content_block_delta") == HOURS
        else:
            body = json.loads(text)
            assert [part["text"] for part in body["content"]] == [HOURS]
            assert (body["stop_reason"], body["usage"]["output_tokens"]) == ("end_turn", 0)


async def test_tables_are_their_own_tenants(world: World) -> None:
    await publish(world, POLICY)
    mine = await world.chat(model="answers/sorry")
    theirs = await world.chat(model="answers/sorry", key=world.umbrella.key)
    assert (mine.status, theirs.status) == (200, 404)


async def test_what_text_cannot_be_is_no_answer(world: World) -> None:
    await publish(world, POLICY)
    response = await world.chat("opening hours", response_format={"type": "json_object"})
    assert response.headers["x-signalbox-model"] == "swift-mini"
