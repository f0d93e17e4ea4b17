"""Callers who name things as they like: what they name is neither a header of its own nor a row of megabytes."""

import pytest

from tests.integration.app.test_chat import records
from tests.world import World

PATHS = {"/v1/chat/completions": "sandbox-anthropic/swift-mini", "/v1/messages": "sandbox/swift-mini"}


@pytest.mark.parametrize("path", PATHS)
async def test_a_field_with_a_line_end_in_its_name_is_answered_and_named_in_one_header(world: World, path: str) -> None:
    body = {"model": PATHS[path], "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    names = ["a\r\nset-cookie: x", *(f"field-{number}" for number in range(2_000))]
    response = await world.client.post(
        world.base_url + path,
        json={**body, **dict.fromkeys(names, 1)},
        headers={"authorization": f"Bearer {world.acme.key}"},
    )
    assert response.status == 200, await response.text()
    assert "set-cookie" not in response.headers
    assert response.headers["x-signalbox-dropped-params"].startswith("a??set-cookie:?x,field-0,")
    assert response.headers["x-signalbox-dropped-params"].rpartition(",")[2].startswith("+")


async def test_a_name_of_megabytes_is_kept_at_the_length_of_a_name(world: World) -> None:
    await world.chat(model="x" * 500_000)
    await world.chat(user="y" * 500_000)
    unknown, answered = await records(world, world.acme.tenant_id)
    assert (unknown["http_status"], answered["http_status"]) == (404, 200)
    assert len(str(unknown["request_model"])) == len(str(answered["end_user"])) == 256
