"""The table of causes over sockets: where a request goes after each failure, and that each attempt is billed once."""

import asyncio
import json

import pytest
from sqlalchemy import text

from app.sandbox import FaultKind, FaultRule
from tenants import PLATFORM_TENANT_ID, SYSTEM, add_credential, publish_policy
from tests.integration.app.test_chat import records, total
from tests.world import World, allow_any_address

FIRST, SECOND = "sandbox/swift-mini", "sandbox/steady-base"


async def publish(world: World, **choice: object) -> None:
    """A policy of the tenant's own that tries two candidates in order; in force on return."""
    document = {"default": {"candidates": [FIRST, SECOND], "strategy": "ordered", **choice}}
    await publish_policy(world.database, SYSTEM, world.acme.tenant_id, "two", json.dumps(document).encode())
    for _ in range(200):
        if "two" in (await world.gateway.views.of(world.acme.tenant_id)).policies:
            return
        await asyncio.sleep(0.01)


async def attempts(world: World) -> list[tuple[str, str | None]]:
    """Model and failure of each attempt of the only request there is."""
    await records(world, world.acme.tenant_id)
    async with world.database.across_tenants() as session:
        rows = await session.execute(text("SELECT model, error_type FROM attempt ORDER BY attempt_number"))
        return [(row.model, row.error_type) for row in rows]


def fail(world: World, kind: FaultKind, *, value: int | None = None, count: int | None = None) -> None:
    """The first candidate fails so."""
    world.sandbox.faults.add(FaultRule(kinds=[kind], model="swift-mini", value=value, count=count))


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("kind", "error_type"),
    [
        (FaultKind.UNAUTHORIZED, "auth"),
        (FaultKind.RATE_LIMITED, "rate_limited"),
        (FaultKind.SERVER, "server"),
        (FaultKind.OVERLOADED, "overloaded"),
        (FaultKind.HANG, "timeout"),
        (FaultKind.ERROR_EVENT, None),
    ],
)
async def test_these_move_on_to_the_next_candidate(
    world: World, kind: FaultKind, error_type: str | None, is_streamed: bool
) -> None:
    await publish(world)
    fail(world, kind)
    response = await world.chat(model="auto/two", stream=is_streamed)
    assert response.status == 200, await response.text()
    assert "error" not in (await response.text())
    made = await attempts(world)
    assert made[0][0] == "swift-mini"
    assert made[0][1] == (error_type or made[0][1])
    assert made[-1][1] is None
    assert await total(world, "SELECT sum(billed_nano_usd) FROM attempt WHERE outcome <> 'ok'") == 0
    assert await total(world, "SELECT sum(reserved_nano_usd) FROM budget_period") == 0


async def second_credential(world: World) -> None:
    """Another platform credential of the same provider; in force on return."""
    await add_credential(
        world.database, world.gateway.vault, SYSTEM, PLATFORM_TENANT_ID, provider_name="sandbox", name="second",
        secret="sandbox-key", base_url=world.sandbox.base_url, check_address=allow_any_address,
    )  # fmt: skip
    for _ in range(200):
        if any(len(pool) > 1 for pool in (await world.gateway.views.of(world.acme.tenant_id)).pools.values()):
            return
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", [FaultKind.OUT_OF_CREDIT, FaultKind.UNAUTHORIZED])
async def test_another_credential_of_the_provider_stands_in(world: World, kind: FaultKind) -> None:
    await publish(world, candidates=[FIRST])
    await second_credential(world)
    fail(world, kind, count=1)
    assert [(await world.chat(model="auto/two")).status for _ in range(5)] == [200] * 5
    async with world.database.across_tenants() as session:
        rows = await session.execute(text("SELECT DISTINCT credential_id FROM attempt"))
        assert len(rows.all()) == 2


@pytest.mark.parametrize(("kind", "status"), [(FaultKind.BAD_REQUEST, 400), (FaultKind.CONTENT, 400)])
async def test_these_stop(world: World, kind: FaultKind, status: int) -> None:
    await publish(world)
    fail(world, kind)
    response = await world.chat(model="auto/two")
    assert response.status == status
    assert response.headers["x-should-retry"] == "false"
    assert len(await attempts(world)) == 1


async def test_a_content_refusal_moves_on_where_the_policy_says_so(world: World) -> None:
    await publish(world, moves_on_refusal=True)
    fail(world, FaultKind.CONTENT)
    response = await world.chat(model="auto/two")
    assert response.status == 200
    assert await attempts(world) == [("swift-mini", "content_refused"), ("steady-base", None)]


async def test_what_is_too_long_goes_only_to_a_longer_context(world: World) -> None:
    await publish(world)
    fail(world, FaultKind.CONTEXT)
    response = await world.chat(model="auto/two")
    contexts = {c.name: c.price.context_tokens for c in (await world.gateway.views.of(world.acme.tenant_id)).candidates
                if c.price and c.price.context_tokens}  # fmt: skip
    expected = 200 if contexts[SECOND] > contexts[FIRST] else 400
    assert response.status == expected


async def test_a_first_token_that_comes_late_is_left_for_the_next_candidate(world: World) -> None:
    await publish(world, first_token_ms_max=150)
    fail(world, FaultKind.SLOW, value=5_000)
    response = await world.chat(model="auto/two", stream=True)
    assert (await response.text()).rstrip().endswith("[DONE]")
    assert await attempts(world) == [("swift-mini", "timeout"), ("steady-base", None)]
    # The provider had taken the call that the tenant's own rule gave up: its input is charged, and nothing stays held.
    assert await total(world, "SELECT count(*) FROM attempt WHERE outcome <> 'ok' AND billed_nano_usd > 0") == 1
    assert await total(world, "SELECT count(*) FROM reservation WHERE state = 'held'") == 0


async def test_the_last_candidate_has_all_the_time_there_is(world: World) -> None:
    await publish(world, candidates=[FIRST], first_token_ms_max=1)
    fail(world, FaultKind.SLOW, value=300)
    response = await world.chat(model="auto/two", stream=True)
    assert (await response.text()).rstrip().endswith("[DONE]")
    assert len(await attempts(world)) == 1


async def test_the_only_candidate_is_asked_again_when_its_limit_passes(world: World) -> None:
    await publish(world, candidates=[FIRST])
    fail(world, FaultKind.RATE_LIMITED, value=1, count=1)
    response = await world.chat(model="auto/two")
    assert response.status == 200
    assert await attempts(world) == [("swift-mini", "rate_limited"), ("swift-mini", None)]


async def test_a_candidate_that_keeps_failing_is_left_alone(world: World) -> None:
    await publish(world, candidates=[FIRST])
    fail(world, FaultKind.SERVER)
    answers = await asyncio.gather(*(world.chat(model="auto/two") for _ in range(30)))
    assert {answer.status for answer in answers} <= {502, 503}
    # Were each tried as often as a request may try, there would be 90.
    assert len(world.sandbox.calls) < 60
    # Another candidate is not held back by it.
    assert (await world.chat(model=SECOND)).status == 200


async def test_while_everything_rests_the_caller_is_told_when_to_come_back(world: World) -> None:
    await publish(world, candidates=[FIRST])
    fail(world, FaultKind.RATE_LIMITED, value=30)
    assert (await world.chat(model="auto/two")).status == 429
    resting = await world.chat(model="auto/two")
    assert resting.status == 503
    assert (await resting.json())["error"]["code"] == "upstream_resting"
    assert 25 <= int(resting.headers["retry-after"]) <= 30
    assert len(world.sandbox.calls) == 1


async def test_a_provider_that_dies_under_load_costs_nobody_an_error(world: World) -> None:
    await publish(world)

    async def client() -> list[int]:
        return [(await world.chat(model="auto/two", max_tokens=50)).status for _ in range(6)]

    running = [asyncio.create_task(client()) for _ in range(10)]
    await asyncio.sleep(0.1)
    fail(world, FaultKind.SERVER)
    statuses = [status for each in await asyncio.gather(*running) for status in each]
    assert statuses == [200] * 60
    await records(world, world.acme.tenant_id)
    assert await total(world, "SELECT count(*) FROM request_record") == 60
    assert await total(world, "SELECT count(*) FROM attempt WHERE outcome = 'ok'") == 60
    assert await total(world, "SELECT count(*) FROM reservation WHERE state = 'held'") == 0
    ours = await total(world, "SELECT sum(provider_cost_nano_usd) FROM attempt")
    assert ours == sum(call.cost_nano_usd for call in world.sandbox.calls)
