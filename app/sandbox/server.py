"""Run the sandbox: inside a test on a free port, or as a process of its own.

Invariant: it listens on loopback unless told otherwise, and is gone when `stop` returns.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.sandbox.asgi import SandboxApp
from app.sandbox.calls import CallEntry
from app.sandbox.faults import FaultKind, FaultPlan, FaultRule

KEEP_ALIVE_S: Final = 60
BACKLOG: Final = 2_048


class SandboxServer:
    """A sandbox in this event loop; an async context manager, or `start` and `stop`."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        state: Path | None = None,
        time_scale: float = 1.0,
        faults: Iterable[FaultRule] = (),
    ) -> None:
        self.app = SandboxApp(api_key=api_key, state=state, time_scale=time_scale, faults=faults)
        self._host, self._port = host, port
        self._state = ServerState()
        self._listener: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        """The address that a credential names, with `/v1`."""
        return f"http://{self._host}:{self._port}/v1"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def calls(self) -> list[CallEntry]:
        """Every call that has ended."""
        return self.app.calls.entries()

    @property
    def faults(self) -> FaultPlan:
        """The fault plan."""
        return self.app.faults

    def fail(self, *kinds: FaultKind, model: str | None = None, count: int | None = None) -> None:
        """Add a rule: the next calls fail in these ways, in turn."""
        self.faults.add(FaultRule(kinds=list(kinds), model=model, count=count))

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        config = uvicorn.Config(
            self.app, http="httptools", lifespan="off", log_config=None, log_level="critical", access_log=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )  # fmt: skip
        config.load()
        # uvicorn's protocol on our own listener: its server would take the process's signals and 0.2 s to stop.
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: HttpToolsProtocol(config=config, server_state=self._state, app_state={}),
            self._host,
            self._port,
            backlog=BACKLOG,
        )
        self._port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop what still runs; each running call still gets its entry in the log."""
        if self._listener is None:
            return
        self._listener.close()
        for task in list(self._state.tasks):
            task.cancel()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)
        for connection in list(self._state.connections):
            connection.transport.abort()
        await self._listener.wait_closed()
        self._listener = None
        self.app.calls.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
