"""Clients that hang up at random: what was generated is charged, and nothing is left behind.

The truth is the provider's own log. Bounded: 500 clients, 50 at a time, a few seconds.
"""

import asyncio
import random
from collections.abc import Callable

import aiohttp
import pytest

from billing import set_budget
from tenants import SYSTEM
from tests.integration.app.test_chat import records, total
from tests.world import World

CLIENTS, AT_ONCE = 500, 50
SHARE_OFF_MAX = 0.02
# The sandbox's largest model writes 2,000 tokens a second; real ones a tenth of that.
TIME_SCALE = 10.0
Body = dict[str, object]
SURFACES: dict[str, Callable[[str, str], tuple[str, Body]]] = {
    "openai": lambda model, text: (
        "/v1/chat/completions",
        {"model": model, "stream": True, "messages": [{"role": "user", "content": text}]},
    ),
    "anthropic": lambda model, text: (
        "/v1/messages",
        {"model": model, "stream": True, "max_tokens": 500, "messages": [{"role": "user", "content": text}]},
    ),
}


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("provider_name", ["sandbox", "sandbox-anthropic"])
async def test_what_was_generated_is_charged_and_nothing_is_left(
    world: World, surface: str, provider_name: str
) -> None:
    dice = random.Random(7)
    world.sandbox.app.time_scale = TIME_SCALE
    await set_budget(world.database, SYSTEM, world.acme.tenant_id, period="month", limit_nano_usd=10**12)
    before = len(asyncio.all_tasks()) + 1  # the heartbeat begins with the first reservation
    waiting = asyncio.Semaphore(AT_ONCE)

    async def hang_up(number: int) -> None:
        path, body = SURFACES[surface](f"{provider_name}/deep-large", f"[[words:250]] Story {number}")
        async with waiting:
            response = await world.client.post(
                world.base_url + path, json=body, headers={"authorization": f"Bearer {world.acme.key}"}
            )
            assert response.status == 200, await response.text()
            for _ in range(dice.randrange(200)):
                if not await response.content.readany():
                    break
            response.close()

    await asyncio.gather(*(hang_up(number) for number in range(CLIENTS)))
    found = await settled(world)
    charged = {str(record["request_id"]): int(str(record["output_tokens"])) for record in found}
    generated = {str(call.request_id): call.generated_tokens for call in world.sandbox.calls}
    assert charged.keys() == generated.keys()
    assert len(charged) == CLIENTS
    off = sum(abs(tokens - charged[request_id]) for request_id, tokens in generated.items())
    assert off <= SHARE_OFF_MAX * sum(generated.values()), (off, sum(generated.values()))
    assert await total(world, "SELECT count(*) FROM reservation WHERE state = 'held'") == 0
    assert await total(world, "SELECT sum(reserved_nano_usd) FROM budget_period") == 0
    await drop_idle(world.client)
    for _ in range(100):
        if len(asyncio.all_tasks()) <= before:
            break
        await asyncio.sleep(0.05)
    assert len(asyncio.all_tasks()) <= before


async def settled(world: World) -> list[dict[str, object]]:
    """Every record, once each client has one and the provider has noticed each hang-up."""
    found: list[dict[str, object]] = []
    for _ in range(200):
        found = await records(world, world.acme.tenant_id)
        if len(found) == CLIENTS == len(world.sandbox.calls):
            break
        await asyncio.sleep(0.05)
    return found


async def drop_idle(client: aiohttp.ClientSession) -> None:
    """Close the test client's own connections, so that what is left is the gateway's."""
    await client.close()
    await asyncio.sleep(0)
