"""A thousand decisions, each computed again from what `GET /v1/requests/{id}` tells of it and from nothing else.

The order is computed here in other words than in `app.routing`, so that a fault there does not hide itself.
"""

import asyncio
import json
import math
import random
from hashlib import blake2b
from typing import Any

from tenants import SYSTEM, create_key, publish_policy
from tests.world import World

REQUESTS = 1_000
AT_ONCE = 64
SEED = 20_261_124
ALL = ["sandbox/coder-pro", "sandbox/*", "answers/desk", "sandbox-anthropic/*"]
CHOICES: tuple[dict[str, Any], ...] = (
    {"candidates": ALL, "strategy": "ordered"},
    {"candidates": ALL, "strategy": "ordered", "quality_at_least": 0.75},
    {"candidates": ["*"], "strategy": "cheapest"},
    {"candidates": ["*"], "strategy": "cheapest", "quality_at_least": 0.8},
    {"candidates": ["sandbox*"], "strategy": "best", "cost_usd_max": 0.05},
    {
        "candidates": ["sandbox/swift-mini", "sandbox/deep-large", "sandbox-anthropic/*"],
        "strategy": "weighted",
        "weights": {"sandbox/swift-mini": 60, "sandbox-anthropic/*": 40},
    },
    {"candidates": ["sandbox*"], "strategy": "fastest"},
    {"candidates": ["sandbox*"], "strategy": "fastest", "latency_ms_max": 30},
    {"candidates": ["sandbox*"], "strategy": "balanced", "quality_per_usd": 40},
    {"candidates": ["sandbox*"], "strategy": "balanced", "quality_per_usd": 5, "quality_per_second": 3},
)
PROMPTS = (
    "Write a Python function that reverses a list",
    "Translate 'good morning' into French",
    "What is 17 * 23? Explain each step.",
    "Summarize: the cat sat on the mat, and nobody came to take it away.",
    "hello",
    "What are your opening hours?",
)
POLICY = {
    "answers": {"desk": [{"name": "hours", "when": {"instruction": "opening hours"}, "say": "From 9 to 17 h."}]},
    "guards": [{"name": "strong", "when": {"tags": "strong"}, "candidates": ["*/deep-large", "*/coder-pro"]}],
    "rules": [
        {"name": f"rule {number}", "when": {"tags": f"r{number}"}, "then": choice}
        for number, choice in enumerate(CHOICES)
    ],
    "default": {"candidates": ["*"], "strategy": "cheapest"},
}


def recomputed(decision: dict[str, Any]) -> list[str]:
    """The order of the candidates, by what the record tells."""
    choice = decision["choice"]
    left = [each for each in decision["candidates"] if fate(each, choice, decision["request"]) is None]
    # Ties go to the cheaper, then to the tenant's own, then by name.
    left.sort(key=lambda each: (each["estimate_nano_usd"], each["credential_owner"] == "platform", each["name"]))
    match choice["strategy"]:
        case "ordered":
            left.sort(key=lambda each: each["place"])
        case "weighted":
            left.sort(key=lambda each: (clock(choice["weights"][each["place"]], decision["draw"]), each["place"]))
        case "best":
            left.sort(key=lambda each: -math.inf if each["score"] is None else each["score"], reverse=True)
        case "fastest":
            explores = int(decision["draw"], 16) % 16 == 0
            left.sort(key=lambda each: ((each["latency_ms"] is None) != explores, each["latency_ms"] or 0))
        case "balanced":
            left.sort(key=lambda each: -utility(each, decision))
    return [each["name"] for each in left]


def fate(each: dict[str, Any], choice: dict[str, Any], request: dict[str, Any]) -> str | None:
    """Why a candidate fell: computed where numbers tell it, else taken as told with its reason."""
    if each["excluded"] in {"not_approved", "not_assured", "not_capable", "no_answer", "not_in_plan", "over_max_cost"}:
        assert each["detail"]
        return str(each["excluded"])
    assert each["excluded"] in {None, "below_quality", "too_slow"}
    least = choice.get("quality_at_least")
    if least is not None and (each["score"] is None or each["score"] < least):
        return "below_quality"
    if each["latency_ms"] is not None and each["latency_ms"] > choice.get("latency_ms_max", math.inf):
        return "too_slow"
    assert each["bound_nano_usd"] is None or each["bound_nano_usd"] <= choice.get("cost_nano_usd_max", math.inf)
    assert request["choices"] == 1
    return None


def clock(entry: list[Any], draw: str) -> float:
    text, weight = entry
    drawn = int.from_bytes(blake2b(text.encode(), digest_size=8, key=draw.encode()).digest(), "big")
    return -math.log((drawn + 1) / 2**64) / weight if weight else math.inf


def utility(each: dict[str, Any], decision: dict[str, Any]) -> float:
    if each["score"] is None:
        return -math.inf
    choice = decision["choice"]
    known = [other["latency_ms"] for other in decision["candidates"] if other["latency_ms"] is not None]
    usual = sum(known) / len(known) if known else 0.0
    waited = usual if each["latency_ms"] is None else each["latency_ms"]
    cost_usd = each["estimate_nano_usd"] / 1_000_000_000
    worth: float = each["score"] - choice.get("quality_per_usd", 0) * cost_usd
    worth = round(worth - choice.get("quality_per_second", 0) * waited / 1_000, 6)
    assert math.isclose(worth, each["utility"], abs_tol=2e-6)
    return float(each["utility"])


async def test_a_thousand_decisions_are_computed_again_from_their_records(world: World) -> None:
    tenant = world.acme
    await publish_policy(world.database, SYSTEM, tenant.tenant_id, "default", json.dumps(POLICY).encode())
    reader = (await create_key(world.database, world.gateway.vault, SYSTEM, tenant.tenant_id, name="reader")).secret
    while not (await world.gateway.pipeline.view(tenant.tenant_id)).policy("default").answers:
        await asyncio.sleep(0.01)
    chance, turns = random.Random(SEED), asyncio.Semaphore(AT_ONCE)

    async def checked(number: int) -> str:
        tags = f"r{number % (len(CHOICES) + 1)}" + (",strong" if chance.random() < 0.15 else "")
        session = f"chat {chance.randrange(40)}" if chance.random() < 0.5 else ""
        headers = {"x-signalbox-tags": tags, "x-signalbox-session": session}
        prompt, is_streamed = chance.choice(PROMPTS), chance.random() < 0.3
        async with turns:
            response = await world.chat(
                prompt, headers=headers, stream=is_streamed, max_tokens=chance.choice([16, 400])
            )
            url = f"{world.base_url}/v1/requests/{response.headers['x-signalbox-request-id']}"
            read = await world.client.get(url, headers={"authorization": f"Bearer {reader}"})
            stored = await read.json()
        assert response.status in (200, 422), await response.text()
        decision = stored["decision"]
        ranked = [each["name"] for each in decision["candidates"] if each["rank"] is not None]
        assert recomputed(decision) == ranked, json.dumps(decision)
        if response.status == 200:
            assert f"{stored['provider_name']}/{stored['response_model']}" == ranked[0]
        else:
            assert not ranked
            assert decision["refusal"]
        assert session == "" or session not in json.dumps(decision)
        return str(decision["choice"]["strategy"])

    strategies = await asyncio.gather(*(checked(number) for number in range(REQUESTS)))
    assert len(strategies) == REQUESTS
    assert set(strategies) == {"ordered", "weighted", "cheapest", "best", "fastest", "balanced"}
