"""The request that `up` sends itself: the proof that everything works, and the first thing to look at."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import aiohttp

from app.commands.errors import ProcessFailed
from app.commands.opened import Opened
from app.settings import Settings
from tenants import create_key, revoke_key

READY_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.1
PROMPT: Final = "Write a Python function that checks whether a word is a palindrome."


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo tenant, and its key where it was made just now."""

    tenant_id: UUID
    api_key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRequest:
    """What came of it."""

    request_id: str
    model: str
    route: str
    cost_usd: str
    saved_usd: str
    answer: str


async def send_first_request(parts: Opened, demo: Demo) -> FirstRequest:
    """Wait until the gateway is ready and send it one request. Raises ProcessFailed when it does not answer."""
    base_url = base_url_of(parts)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=READY_TIMEOUT_S)) as client:
        await _ready(client, base_url)
        if demo.api_key is not None:
            return await _send(client, base_url, demo.api_key)
        # Keys of earlier starts are known as hashes only, so this start borrows one for a minute.
        borrowed = await create_key(
            parts.database, parts.vault, parts.actor, demo.tenant_id,
            name="start-up check", expires_at=datetime.now(UTC) + timedelta(minutes=1),
        )  # fmt: skip
        try:
            return await _send(client, base_url, borrowed.secret)
        finally:
            await revoke_key(parts.database, parts.actor, demo.tenant_id, borrowed.key.api_key_id)


def base_url_of(parts: Opened) -> str:
    """Where a browser on this machine finds the gateway."""
    return local_url(parts.settings)


def local_url(settings: Settings) -> str:
    """The same by the settings alone."""
    host = settings.host
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104 - compared
    return f"http://{shown}:{settings.port}"


async def _ready(client: aiohttp.ClientSession, base_url: str) -> None:
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while True:
                try:
                    async with client.get(f"{base_url}/readyz") as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise ProcessFailed(f"The gateway was not ready within {READY_TIMEOUT_S:g} s; see its log above.") from error


async def _send(client: aiohttp.ClientSession, base_url: str, api_key: str) -> FirstRequest:
    body = {"model": "auto", "messages": [{"role": "user", "content": PROMPT}]}
    headers = {"authorization": f"Bearer {api_key}"}
    async with client.post(f"{base_url}/v1/chat/completions", json=body, headers=headers) as response:
        told = await response.json()
        if response.status != 200:
            raise ProcessFailed(f"The first request was refused: {told['error']['message']}")
        return FirstRequest(
            request_id=response.headers["x-signalbox-request-id"],
            model=f"{response.headers['x-signalbox-provider']}/{response.headers['x-signalbox-model']}",
            route=response.headers["x-signalbox-route"],
            cost_usd=response.headers["x-signalbox-cost-usd"],
            saved_usd=response.headers["x-signalbox-saved-usd"],
            answer=told["choices"][0]["message"]["content"],
        )
