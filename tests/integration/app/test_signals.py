"""What a request is, as its caller and its record read it: over the running program."""

import asyncio
import io
import json
from typing import Any

from tests.world import World

CARD = "4111 1111 1111 1111"


async def explained(world: World, headers: dict[str, str] | None = None, **body: Any) -> tuple[int, dict[str, Any]]:
    given = {"authorization": f"Bearer {world.acme.key}", **(headers or {})}
    content = io.BytesIO(json.dumps({"model": "auto", **body}).encode())
    async with world.client.post(f"{world.base_url}/v1/route", data=content, headers=given) as answer:
        return answer.status, await answer.json()


def flags_of(decision: dict[str, Any]) -> set[str]:
    return {flag["value"] for flag in decision["sensitivity"]}


async def test_sensitivity_is_told_of_all_text_and_quotes_none(world: World) -> None:
    messages = [
        {"role": "system", "content": f"The customer's card is {CARD}."},
        {"role": "user", "content": "Write a friendly reply."},
    ]
    status, decision = await explained(world, messages=messages)
    assert (status, flags_of(decision)) == (200, {"personal_data"})
    assert "4111" not in json.dumps(decision)


async def test_headers_add_a_sensitivity_and_a_wrong_one_is_refused(world: World) -> None:
    messages = [{"role": "user", "content": "Write a friendly reply."}]
    _, decision = await explained(world, {"x-signalbox-tags": "sensitivity:minors"}, messages=messages)
    assert flags_of(decision) == {"minors"}
    status, refused = await explained(world, {"x-signalbox-metadata": '{"sensitivity": "minor"}'}, messages=messages)
    assert (status, refused["error"]["code"]) == (400, "sensitivity_not_found")


async def test_a_follow_up_keeps_its_conversations_task(world: World) -> None:
    messages = [
        {"role": "user", "content": "Write a Python function that merges two sorted lists."},
        {"role": "assistant", "content": "def merge(a, b): ..."},
        {"role": "user", "content": "and in Rust?"},
    ]
    _, decision = await explained(world, messages=messages)
    assert decision["task"]["value"] == "code_generation"


async def test_a_record_tells_signals_and_no_text(world: World) -> None:
    answered = await world.chat(f"Prove step by step why {CARD} checks, and mail jane@mail.example.")
    await world.gateway.settlement.drain()
    request_id = answered.headers["x-signalbox-request-id"]
    headers = {"authorization": f"Bearer {world.acme.key}"}
    async with world.client.get(f"{world.base_url}/v1/requests/{request_id}", headers=headers) as answer:
        stored = await answer.json()
    flag = stored["decision"]["sensitivity"][0]
    assert (flag["value"], flag["decided_by"]) == ("personal_data", "structure")
    assert "1 × e-mail address" in flag["because"]
    assert stored["decision"]["complexity"]["reasoning"] > 0
    assert not any(secret in json.dumps(stored) for secret in ("jane", "4111"))


async def test_a_long_body_is_read_whole_while_others_go_on(world: World) -> None:
    text = "lorem ipsum dolor " * 20_000  # more than is read in the loop itself
    long = [{"role": "user", "content": f"{text} {CARD} {text}"}]
    short = [{"role": "user", "content": "hi"}]
    (_, told), (status, _) = await asyncio.gather(explained(world, messages=long), explained(world, messages=short))
    assert "personal_data" in flags_of(told)
    assert status == 200
