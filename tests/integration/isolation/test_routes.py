"""No route answers a stranger, and none tells one tenant of another; from the application's own route table."""

import itertools

import pytest
from litestar import Litestar, get
from litestar.exceptions import NotAuthorizedException
from litestar.response import Redirect
from litestar.testing import AsyncTestClient

from app.http.public import PUBLIC_ROUTES
from app.main import create_app
from tenants import TenantKind, sign_in
from tests.integration.isolation.routes import Door, doors, open_doors
from tests.world import World

PUBLIC = {Door(*route) for route in PUBLIC_ROUTES}
STRANGERS = {
    "nobody": {},
    "an unknown key": {"authorization": "Bearer sbx_live_0000000000000000000000000000000000000000000"},
    "half a header": {"authorization": "Bearer"},
    "an unknown session": {"cookie": "session=00000000000000000000000000000000"},
}


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_every_route_but_a_named_few_refuses_a_stranger(world: World, stranger: str) -> None:
    async def knock(verb: str, path: str) -> tuple[int, str]:
        request = world.client.request(verb, world.base_url + path, headers=STRANGERS[stranger], allow_redirects=False)
        async with request as answer:
            return answer.status, answer.headers.get("location", "")

    assert await open_doors(create_app(world.gateway), knock) == PUBLIC


async def test_no_route_tells_one_tenant_of_another(world: World) -> None:
    answered = await world.chat("A question of ours", headers={"x-signalbox-metadata": '{"canary": "of-acme"}'})
    assert answered.status == 200
    request_id = answered.headers["x-signalbox-request-id"]
    session = await sign_in(
        world.database, world.umbrella.owner_email, world.umbrella.owner_password, within=TenantKind.CUSTOMER
    )
    # How an id of ours is made for each parameter that a path may have; a new one must be added here.
    ids = {"wanted_id": request_id, "request_id": request_id, "path": request_id, "file_name": request_id}
    ids |= {"api_key_id": str(world.acme.api_key_id), "credential_id": request_id, "budget_id": request_id}
    ids |= {"tenant_id": str(world.acme.tenant_id), "policy_name": "default", "evaluation_id": request_id}
    ids |= {"limit_id": request_id, "example_id": request_id}
    canaries = {"of-acme", "Acme", "A question of ours", str(world.acme.tenant_id), request_id}
    strangers = (
        {"authorization": f"Bearer {world.umbrella.key}"},
        {"cookie": f"signalbox_session={session.cookie_value}"},
    )
    tried = 0
    for door, headers in itertools.product(doors(create_app(world.gateway)), strangers):
        request = world.client.request(door.verb, world.base_url + door.at(ids), headers=headers, allow_redirects=False)
        async with request as answer:
            if "{" in door.path and answer.status not in {303, 401, 403, 405}:
                assert answer.status == 404, door
                tried += 1
            # An id that the caller sent itself may be said back to it.
            text = await answer.text()
            for told in ids.values() if "{" in door.path else ():
                text = text.replace(told, "")
            assert not {canary for canary in canaries if canary in text}, door
    assert tried


async def test_an_open_route_would_be_found() -> None:
    @get("/closed")
    async def closed() -> None:
        raise NotAuthorizedException

    @get("/open")
    async def opened() -> None:
        return None

    @get("/page")
    async def page() -> Redirect:
        return Redirect("/sign-in?next=/page", status_code=303)

    @get("/elsewhere/{project_id:uuid}")
    async def elsewhere() -> Redirect:
        return Redirect("/projects", status_code=303)

    app = Litestar([closed, opened, page, elsewhere], openapi_config=None)
    async with AsyncTestClient(app) as client:

        async def knock(verb: str, path: str) -> tuple[int, str]:
            answer = await client.request(verb, path, follow_redirects=False)
            return answer.status_code, answer.headers.get("location", "")

        assert await open_doors(app, knock) == {Door("GET", "/open"), Door("GET", "/elsewhere/{project_id}")}
