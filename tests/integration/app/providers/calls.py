"""Calls to a provider, with waits that no test reaches unless it says so."""

import asyncio

from app.providers import Timeouts, Transport, UpstreamCall
from app.providers.connection_pool import CONNECTIONS_MAX

LONG_S = 20.0


def call(url: str, *, owner: str = "platform", body: bytes = b"{}", **timeouts: float) -> UpstreamCall:
    """A call of the platform unless told otherwise."""
    limits = {"connect_s": LONG_S, "first_byte_s": LONG_S, "idle_s": LONG_S, "total_s": LONG_S} | timeouts
    return UpstreamCall(
        url=url,
        headers={"authorization": "Bearer k", "content-type": "application/json"},
        body=body,
        credential_owner=owner,  # type: ignore[arg-type] # a literal in every caller
        timeouts=Timeouts(**limits),
    )


async def ask(transport: Transport, sent: UpstreamCall) -> bytes:
    """Send a call and read its answer whole."""
    return await (await transport.send(sent)).read()


async def turns(count: int = 20) -> None:
    """Let what is on its way arrive."""
    for _ in range(count):
        await asyncio.sleep(0.001)


async def open_sockets(transport: Transport) -> int:
    """How many connections the transport holds, after those it closed have told so."""
    await asyncio.sleep(0.01)
    pool = transport._opened
    assert pool is not None
    assert pool._slots.free == CONNECTIONS_MAX
    assert not any(host.calls for host in pool._hosts.values())
    return len(pool._open)
