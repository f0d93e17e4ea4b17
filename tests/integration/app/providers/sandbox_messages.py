"""Requests to the sandbox's `/v1/messages`, and what became of them: shared by the tests with Anthropic's SDK."""

import asyncio
from typing import Any, Final

import aiohttp
import anthropic
import pytest
from anthropic.types import Message

from app.sandbox import SandboxServer

VERSION: Final = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
THINK: Final[Any] = {"type": "enabled", "budget_tokens": 1_024}


def asked(content: Any = "Tell me about tides", **fields: Any) -> dict[str, Any]:
    """A request of one message."""
    return {"model": "swift-mini", "max_tokens": 2_000, "messages": [{"role": "user", "content": content}], **fields}


def text(message: Message) -> str:
    """The text of an answer."""
    return "".join(block.text for block in message.content if block.type == "text")


async def entry(sandbox: SandboxServer) -> Any:
    """The last call, once its server side has ended."""
    for _ in range(400):
        if sandbox.calls:
            return sandbox.calls[-1]
        await asyncio.sleep(0.005)
    raise AssertionError("no call was logged")


async def raw(sandbox: SandboxServer, body: Any, *, path: str = "messages", **headers: str) -> tuple[int, Any]:
    """The status and the body of a call without the SDK."""
    sent = VERSION | headers
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{sandbox.base_url}/{path}", json=body, headers=sent) as response,
    ):
        return response.status, await response.json()


async def refused(client: anthropic.AsyncAnthropic, **request: Any) -> str:
    """Why the SDK says that a request is wrong."""
    with pytest.raises(anthropic.BadRequestError) as caught:
        await client.messages.create(**asked() | request)
    return str(caught.value.body)


async def raw_text(sandbox: SandboxServer, body: Any) -> str:
    """The answer's bytes as text."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{sandbox.base_url}/messages", json=body, headers=VERSION) as response,
    ):
        return await response.text()
