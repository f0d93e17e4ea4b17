"""What a stranger, and what the operator's scraper, learns of a process."""

import pytest
from litestar import Litestar

from app.http.probes import ProbeAccess, probe_routes
from app.metrics import Metrics
from tenants import Database
from tests.world import World

TOKEN = "scraper-0123456789"


async def test_a_request_is_counted_where_the_scraper_reads_it(world: World) -> None:
    assert (await world.chat()).status == 200
    await world.gateway.settlement.drain()
    text = world.gateway.metrics.text(world.gateway.metrics.counted()).decode()
    [counted] = [line for line in text.splitlines() if line.startswith("signalbox_requests_total{")]
    assert counted.endswith("} 1.0")
    assert 'surface="openai"' in counted
    assert str(world.acme.tenant_id) not in text


async def test_without_a_token_and_outside_development_nobody_is_told(world: World) -> None:
    async with world.client.get(f"{world.base_url}/metrics") as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    ("access", "shown", "status"),
    [
        (ProbeAccess(token=TOKEN), f"Bearer {TOKEN}", 200),
        (ProbeAccess(token=TOKEN), "Bearer wrong", 401),
        (ProbeAccess(token=TOKEN, is_open_to_loopback=True), None, 401),
        (ProbeAccess(is_open_to_loopback=True), None, 401),  # who asks has no address here
        (ProbeAccess(), "Bearer ", 401),
    ],
)
async def test_numbers_and_reasons_are_for_the_token(access: ProbeAccess, shown: str | None, status: int) -> None:
    away = Database(lambda role: "postgresql://nobody@127.0.0.1:9/none")
    app = Litestar([*probe_routes(away, Metrics("a"), access)], openapi_config=None)
    headers = [(b"authorization", shown.encode())] if shown else []
    assert (await _asked(app, "/metrics", headers))[0] == status
    told, body = await _asked(app, "/readyz", headers)
    assert told == 503
    assert (body == b"not ready") == (status == 401)


async def _asked(app: Litestar, path: str, headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http", "headers": headers,
        "client": None, "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    await app(scope, receive, send)  # type: ignore[arg-type]  # plain ASGI
    return int(str(sent[0]["status"])), bytes(sent[1]["body"])  # type: ignore[arg-type]  # plain ASGI
