"""The processes that `up` and `serve` start: gateway workers on one shared socket, and the sandbox.

Invariant: each child ends with its parent, whatever ends the parent; a gateway that dies is started
again, with a bound on how often.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import structlog

from app.commands.errors import ProcessFailed

NOT_STARTED: Final = 3  # the exit code of a gateway whose application did not start
STOP_TIMEOUT_S: Final = 20.0
SANDBOX_START_TIMEOUT_S: Final = 30.0
PARENT_POLL_S: Final = 1.0
RESTARTS_MAX: Final = 10
RESTARTS_WINDOW_S: Final = 60.0
log = structlog.get_logger(__name__)


class GatewayProcesses:
    """Gateway workers over one socket, kept running until `stop`."""

    def __init__(self, listener: socket.socket, *, workers: int, environment: Mapping[str, str]) -> None:
        self._listener = listener
        self._workers = workers
        self._environment = dict(environment)
        self._children: set[Process] = set()
        self._is_stopping = False

    async def run(self) -> None:
        """Start the workers and start again those that die; when cancelled, let them finish and end them.

        Raises ProcessFailed when starting again does not help.
        """
        counts = TemporaryDirectory(prefix="signalbox-metrics-")
        self._environment["SIGNALBOX_METRICS_FOLDER"] = counts.name
        keeping = [asyncio.create_task(self._keep_one()) for _ in range(self._workers)]
        try:
            await asyncio.gather(*keeping)
        finally:
            self._is_stopping = True
            await asyncio.gather(*(stop_child(child) for child in list(self._children)))
            await asyncio.gather(*keeping, return_exceptions=True)
            self._listener.close()
            counts.cleanup()

    async def _keep_one(self) -> None:
        died_at: list[float] = []
        while not self._is_stopping:
            child = await self._start()
            status = await child.wait()
            self._children.discard(child)
            if self._is_stopping:
                return
            now = time.monotonic()
            died_at = [moment for moment in died_at if moment > now - RESTARTS_WINDOW_S] + [now]
            log.error("gateway_died", exit_code=status, deaths=len(died_at))
            if len(died_at) > RESTARTS_MAX or status == NOT_STARTED:
                raise ProcessFailed(f"A gateway process ended with code {status}; its reason stands above.")

    async def _start(self) -> Process:
        number = self._listener.fileno()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app.commands.serving", str(number),
            pass_fds=(number,), env=self._environment, stdin=DEVNULL,
            # A Ctrl-C reaches the whole foreground group: only the parent shall act on it, in its order.
            start_new_session=True,
        )  # fmt: skip
        self._children.add(child)
        return child


@dataclass(slots=True)
class SandboxProcess:
    """The simulated provider as a child; it ends when our end of its standard input closes."""

    child: Process
    base_url: str
    port: int
    api_key: str = field(repr=False)

    @classmethod
    async def start(cls, state: Path, *, port: int, api_key: str, environment: Mapping[str, str]) -> "SandboxProcess":
        """Start it on a port, 0 for any. Raises ProcessFailed when it does not come up."""
        await asyncio.to_thread(state.mkdir, mode=0o700, parents=True, exist_ok=True)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app.sandbox", "--port", str(port), "--state", str(state), "--until-stdin-closes",
            env={**environment, "SIGNALBOX_SANDBOX_KEY": api_key}, stdin=PIPE, stdout=PIPE, start_new_session=True,
        )  # fmt: skip
        assert child.stdout is not None
        try:
            async with asyncio.timeout(SANDBOX_START_TIMEOUT_S):
                line = await child.stdout.readline()
            told = json.loads(line)
        except (TimeoutError, json.JSONDecodeError) as error:
            await stop_child(child)
            raise ProcessFailed(f"The sandbox did not start on port {port}; its reason stands above.") from error
        return cls(child, told["base_url"], told["port"], api_key)

    async def stop(self) -> None:
        """End it."""
        await stop_child(self.child)


async def stop_child(child: Process) -> None:
    """End a child: kindly, then after a limit by force."""
    if child.returncode is not None:
        return
    child.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


async def end_with_parent() -> None:
    """End this process when the one that started it is gone; run by each gateway worker."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - a parent's end sends no event
        await asyncio.sleep(PARENT_POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)


async def until_stopped(*running: Coroutine[Any, Any, None]) -> None:
    """Run until SIGINT or SIGTERM, or until one of them fails; the rest is cancelled and waited for."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    tasks = [asyncio.create_task(each) for each in running]
    waiting = asyncio.create_task(stopped.wait())
    try:
        done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (waiting, *tasks):
            task.cancel()
        await asyncio.gather(waiting, *tasks, return_exceptions=True)
    for task in done - {waiting}:
        task.result()
