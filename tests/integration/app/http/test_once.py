"""Changes under an `idempotency-key` over the management API: made once, answered as the first time; and its rate."""

import asyncio

from billing.management_rate import REQUEST_BURST
from tests.integration.app.http.api import API
from tests.world import World

ONCE = {"idempotency-key": "deploy-7"}
BUDGET = {"limit_nano_usd": 5_000_000_000, "period": "month"}


async def test_a_change_that_comes_again_is_made_once_and_answered_as_the_first_time(world: World) -> None:
    api = await API.of(world, world.acme)
    first = await api("POST", "/projects", {"name": "search"}, headers=ONCE)
    again = await api("POST", "/projects", {"name": "search"}, headers=ONCE)
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    assert first.headers["x-signalbox-request-id"] != again.headers["x-signalbox-request-id"]
    assert (await api.audited()).count("project.created") == 1


async def test_changes_at_once_are_made_once(world: World) -> None:
    api = await API.of(world, world.acme)
    answers = await asyncio.gather(*(api("POST", "/projects", {"name": "search"}, headers=ONCE) for _ in range(8)))
    made = [answer for answer in answers if answer.status == 201]
    assert made
    assert {answer.code for answer in answers if answer.status == 409} <= {"request_running"}
    assert len({answer.body["project_id"] for answer in made}) == 1
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status == 409)


async def test_another_body_or_an_unfit_key_is_refused(world: World) -> None:
    api = await API.of(world, world.acme)
    assert (await api("POST", "/projects", {"name": "search"}, headers=ONCE)).status == 201
    assert (await api("POST", "/projects", {"name": "other"}, headers=ONCE)).code == "idempotency_conflict"
    unfit = await api("POST", "/projects", {"name": "other"}, headers={"idempotency-key": "x" * 256})
    assert (unfit.status, unfit.code) == (400, "invalid_header")


async def test_a_secret_is_never_kept_and_a_key_never_made_twice(world: World) -> None:
    api = await API.of(world, world.acme)
    made = await api("POST", "/keys", {"name": "ci"}, headers=ONCE)
    again = await api("POST", "/keys", {"name": "ci"}, headers=ONCE)
    assert made.status == 201
    assert (again.status, again.code) == (409, "already_completed")
    assert made.headers["x-signalbox-request-id"] in again.body["detail"]
    assert [key["name"] for key in (await api("GET", "/keys")).body["data"]].count("ci") == 1
    pool = await world.database.meter_pool()
    assert await pool.fetch("SELECT answer FROM idempotency_key WHERE answer IS NOT NULL") == []


async def test_a_refused_change_frees_its_key(world: World) -> None:
    api = await API.of(world, world.acme)
    assert (await api("POST", "/projects", {"name": ""}, headers=ONCE)).status == 400
    assert (await api("POST", "/projects", {"name": "search"}, headers=ONCE)).status == 201


async def test_a_key_is_its_api_keys_and_its_routes_own(world: World) -> None:
    mine, colleagues = await API.of(world, world.acme), await API.of(world, world.acme)
    theirs = await API.of(world, world.umbrella)
    answers = [
        await mine("POST", "/budgets", BUDGET, headers=ONCE),
        await colleagues("POST", "/budgets", BUDGET, headers=ONCE),
        await theirs("POST", "/budgets", BUDGET, headers=ONCE),
        await mine("POST", "/projects", {"name": "search"}, headers=ONCE),
    ]
    assert [answer.status for answer in answers] == [200, 200, 200, 201]
    assert not any("idempotent-replayed" in answer.headers for answer in answers)


async def test_more_than_its_rate_is_429_for_one_tenant_and_leaves_model_calls_alone(world: World) -> None:
    api, theirs = await API.of(world, world.acme), await API.of(world, world.umbrella)
    statuses = []
    for _ in range(4):
        answers = await asyncio.gather(*(api("GET", "/whoami") for _ in range(REQUEST_BURST // 2)))
        statuses += [answer.status for answer in answers]
        if 429 in statuses:
            break
    refused = answers[-1]
    assert (refused.status, refused.code) == (429, "management_rate_exceeded")
    assert int(refused.headers["retry-after"]) >= 1
    assert statuses.count(200) >= REQUEST_BURST
    assert (await theirs("GET", "/whoami")).status == 200
    assert (await world.chat()).status == 200
