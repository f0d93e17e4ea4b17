"""A sandbox that answers at once, the official SDKs pointed at it, and both loops for the transport."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import anthropic
import openai
import pytest
import uvloop

from app.providers import Transport
from app.sandbox import SandboxServer


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The transport must hold on asyncio's loop and on uvloop, which differ where sockets end."""
    if item.path.name.startswith("test_transport"):
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxServer]:
    """A running sandbox without waits."""
    async with SandboxServer(time_scale=0) as server:
        yield server


@pytest.fixture
async def client(sandbox: SandboxServer) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official SDK, which does not retry."""
    async with openai.AsyncOpenAI(base_url=sandbox.base_url, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
async def claude(sandbox: SandboxServer) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """Anthropic's official SDK, which does not retry."""
    base_url = sandbox.base_url.removesuffix("/v1")
    async with anthropic.AsyncAnthropic(base_url=base_url, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """The outbound client, without an allow-list."""
    async with Transport() as transport:
        yield transport
