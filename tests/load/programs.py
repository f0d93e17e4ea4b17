"""Programs that the bench starts: on a core of their own, in a session of their own, and ended with it.

Invariant: when `running` is left, however, every process of the program's session has ended.
"""

import asyncio
import os
import re
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

from tests.load.client import Target, complaint
from tests.load.subjects import NATIVE, Subject

# The gateway has a core to itself, also before PostgreSQL, so that its rate is its own and compares with
# gateways that have no database; mock, client and PostgreSQL leave much of the other core idle.
GATEWAY_CORE: Final = 0
LOAD_CORE: Final = 1
ROOT: Final = Path(__file__).parents[2]
START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 5.0
PAUSE_S: Final = 0.02
TOLD_CHARACTERS_MAX: Final = 300
# What stands further behind may be a key.
COMMAND_PARTS_TOLD: Final = 3
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


class ProgramFailed(Exception):
    """A program that cannot be had or does not answer, with the reason in its own words."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process that runs; what it says goes to `log`."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        """The process at the root of its tree."""
        return self.process.pid

    async def line_that_begins(self, start: str) -> str:
        """Wait until it says a line that begins so. Raises ProgramFailed."""
        for _ in range(int(START_TIMEOUT_S / PAUSE_S)):
            for line in self.log.read_text(errors="replace").splitlines():
                if line.startswith(start):
                    return line.strip()
            self.raise_if_ended()
            await asyncio.sleep(PAUSE_S)
        raise ProgramFailed(f"It did not say where it listens within {START_TIMEOUT_S:.0f} s. {last_words(self.log)}")

    def raise_if_ended(self) -> None:
        """Raise ProgramFailed if it runs no more."""
        if self.process.returncode is not None:
            raise ProgramFailed(f"It ended with code {self.process.returncode}. {last_words(self.log)}")


@asynccontextmanager
async def running(
    *command: str, core: int, log: Path, cwd: Path = ROOT, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """A program bound to a core. Raises ProgramFailed when there is none of this name."""
    with log.open("wb") as output:
        process = await _start("taskset", "-c", str(core), *command, cwd=cwd, environment=environment, output=output)
    try:
        yield Program(process, log)
    finally:
        await _end(process)


@asynccontextmanager
async def telling_port(module: str, *, core: int) -> AsyncIterator[int]:
    """A module of ours that prints the port it listens on."""
    process = await _start("taskset", "-c", str(core), sys.executable, "-m", module, "0", output=PIPE)
    try:
        assert process.stdout is not None
        yield int(await process.stdout.readline())
    finally:
        await _end(process)


async def finished(*command: str, cwd: Path = ROOT, timeout_s: float = START_TIMEOUT_S) -> str:
    """Run a program to its end; what it said. Raises ProgramFailed."""
    process = await _start(*command, cwd=cwd, output=PIPE)
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate()
    except TimeoutError:
        raise ProgramFailed(f"`{command[0]}` took more than {timeout_s:.0f} s.") from None
    finally:
        await _end(process)
    if process.returncode != 0:
        raise ProgramFailed(
            f"`{' '.join(command[:COMMAND_PARTS_TOLD])}` ended with code {process.returncode}. {_last(output.decode())}"
        )
    return output.decode()


async def until_answering(subject: Subject, program: Program | None = None) -> None:
    """Wait until a request is answered well. Raises ProgramFailed."""
    target = target_of(subject, NATIVE)
    ends = time.monotonic() + START_TIMEOUT_S
    while told := await complaint(target, timeout_s=ANSWER_TIMEOUT_S):
        if program is not None:
            program.raise_if_ended()
        if time.monotonic() > ends:
            said = last_words(program.log) if program else ""
            raise ProgramFailed(f"It did not answer well within {START_TIMEOUT_S:.0f} s but with {told}. {said}")
        await asyncio.sleep(PAUSE_S)


def target_of(subject: Subject, route_name: str, *, is_streamed: bool = False) -> Target:
    """What the client asks of a subject by one of its routes."""
    route = subject.routes[route_name]
    url = urljoin(subject.url, route.path) if route.path else subject.url
    return Target(url=url, model=route.model, is_streamed=is_streamed, headers=tuple(route.headers.items()))


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def last_words(log: Path) -> str:
    """The end of what a program said."""
    return _last(log.read_text(errors="replace"))


async def _start(
    *command: str, output: object, cwd: Path = ROOT, environment: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=output, stderr=STDOUT, cwd=cwd,  # type: ignore[arg-type]  # a file or PIPE
            env={**os.environ, **(environment or {})}, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise ProgramFailed(f"`{command[0]}` cannot be run here: {error.strerror}.") from error


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the whole session: gently, then by force what is left of it."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _last(text: str) -> str:
    return " ".join(_COLOURS.sub("", text).split())[-TOLD_CHARACTERS_MAX:]
