"""The operator moves a tenant in the console: the request path follows, and an auditor can prove it."""

import asyncio
import base64
import json
import re
import time
from pathlib import Path

import aiohttp

from tenants import SYSTEM, export_audit, verify_audit
from tests.world import Prepared, World

FOLLOWS_WITHIN_S = 1.0


async def test_a_move_in_the_console_reaches_the_request_path_and_the_audit_trail(
    world: World, prepared: Prepared, tmp_path: Path
) -> None:
    assert (await world.chat(model="sandbox/deep-large")).status == 200
    await move_in_console(world, prepared, plan_id="free")
    moved_at = time.monotonic()
    while (response := await world.chat(model="sandbox/deep-large")).status != 403:
        assert time.monotonic() - moved_at < FOLLOWS_WITHIN_S, "the old plan still serves"
    assert "free" in (await response.json())["error"]["message"].lower()

    path = tmp_path / "trail.jsonl"
    with path.open("wb") as file:
        await export_audit(world.database, world.gateway.vault, SYSTEM, world.acme.tenant_id, file)
    assert (await asyncio.to_thread(verify_audit, path)).is_intact
    lines = path.read_bytes().splitlines(keepends=True)
    place = next(
        number for number, line in enumerate(lines) if b"plan.changed" in payload(line) and b'"free"' in payload(line)
    )
    assert prepared.operator_email.encode() in payload(lines[place])

    event = json.loads(lines[place])
    tampered = base64.b64encode(payload(lines[place]).replace(b'"free"', b'"pros"')).decode()
    lines[place] = json.dumps({**event, "payload": tampered}).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    report = await asyncio.to_thread(verify_audit, path)
    assert not report.is_intact
    assert report.broken is not None
    assert report.broken.line == place + 1
    assert report.broken.sequence == event["sequence"]


async def move_in_console(world: World, prepared: Prepared, *, plan_id: str) -> None:
    """What a browser sends: the form's token from each page, the cookies from each answer."""
    async with aiohttp.ClientSession(base_url=world.base_url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.get("/operator/sign-in") as page:
            token = form_token(await page.text())
        fields = {"form_token": token, "email": prepared.operator_email, "password": prepared.operator_password}
        async with browser.post("/operator/sign-in", data=fields) as page:
            assert page.status == 200
            html = await page.text()
        action = re.search(rf'action="(/operator/[^"]*{world.acme.tenant_id}[^"]*)"', html)
        assert action, html
        fields = {"form_token": form_token(html), "plan_id": plan_id}
        async with browser.post(action[1], data=fields) as page:
            assert page.status == 200, await page.text()


def form_token(html: str) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', html)
    assert found, html
    return found[1]


def payload(line: bytes) -> bytes:
    """The exact bytes that an event's hash covers; empty for lines that are no events."""
    return base64.b64decode(json.loads(line).get("payload", ""))
