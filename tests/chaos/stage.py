"""A whole installation out of processes, for accidents: replicas, a provider with a log, a durable PostgreSQL.

Everything is on loopback and in a folder of its own. Invariant: when `stage` is left, however, every process that
it started has ended; what was paused runs again before.
"""

import asyncio
import os
import random
import secrets
import shutil
import signal
import socket
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import aiohttp
import asyncpg
import msgspec

from app.commands.opened import Opened, opened
from app.commands.ports import listen
from app.commands.preparation import prepare_installation, prepare_platform, prepare_sandbox
from app.commands.processes import GatewayProcesses, SandboxProcess
from app.embedded.postgres import DATABASE, SUPERUSER
from app.sandbox.calls import LOG_NAME, CallEntry
from app.settings import read_settings
from billing import PLANS, Plan, Price, change_plan, declare_prices, seed_plans
from tenants import SYSTEM, create_key, create_tenant
from tests.load.processes import postgres_processes

# The plan stands in nobody's way, so that it is the budget, or the database, that does.
PLAN = msgspec.structs.replace(
    PLANS[-1], plan_id="chaos", requests_per_minute=10_000_000, request_burst=1_000_000, markup_ppm=0
)
START_S_MAX = 60.0
PAUSE_S = 0.05


@dataclass(slots=True)
class Replica:
    """Gateway processes on one port; one that dies is started again."""

    base_url: str
    processes: GatewayProcesses
    running: asyncio.Task[None]

    @property
    def living(self) -> list[Process]:
        """The processes that run now."""
        return [child for child in self.processes._children if child.returncode is None]


@dataclass(slots=True)
class Stage:
    """What a test of accidents plays with."""

    home: Path
    parts: Opened
    sandbox: SandboxProcess
    replicas: list[Replica]
    client: aiohttp.ClientSession
    tenant_id: UUID
    project_id: UUID
    api_key_id: UUID
    key: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """How the tenant's key is presented."""
        return {"authorization": f"Bearer {self.key}"}

    def calls(self) -> list[CallEntry]:
        """The provider's own log: every call that has ended, whoever asked and whatever became of it."""
        with (self.home / "sandbox" / LOG_NAME).open("rb") as lines:
            return [msgspec.json.decode(line, type=CallEntry) for line in lines]

    async def value(self, sql: str, *arguments: object) -> int:
        """One number of the database, as superuser, on a connection that outlives no accident."""
        connection = await self.connect()
        try:
            return int(await connection.fetchval(sql, *arguments) or 0)
        finally:
            await connection.close()

    async def connect(self) -> asyncpg.Connection:
        """A connection as superuser."""
        assert self.parts.postgres is not None
        return await asyncpg.connect(host=str(self.parts.postgres.socket_folder), user=SUPERUSER, database=DATABASE)

    def kill_one(self, dice: random.Random) -> int:
        """Kill a random gateway process as the kernel would; its id."""
        victim = dice.choice([child for replica in self.replicas for child in replica.living])
        victim.send_signal(signal.SIGKILL)
        return victim.pid

    async def stop_postgres_at_once(self) -> None:
        """End the server without a checkpoint and without asking anybody, and start it again."""
        assert self.parts.postgres is not None
        await asyncio.to_thread(self.parts.postgres._pg_ctl, "stop", "-m", "immediate")
        await asyncio.to_thread(self.parts.postgres.start)

    @asynccontextmanager
    async def postgres_cut_off(self) -> AsyncIterator[None]:
        """Let the server answer nobody: connections stay open, new ones are accepted, and nothing comes back."""
        paused = postgres_processes(self.home / "postgres")
        for pid in paused:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in paused:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    async def end_replicas(self) -> None:
        """End every gateway process in order, so that what it still holds in memory is written."""
        for replica in self.replicas:
            replica.running.cancel()
        await asyncio.gather(*(replica.running for replica in self.replicas), return_exceptions=True)
        self.replicas.clear()


@asynccontextmanager
async def stage(
    *, replicas: int, workers: int = 1, plan: Plan = PLAN, prices: Sequence[Price] = ()
) -> AsyncIterator[Stage]:
    """Set everything up, with a tenant on the plan; `prices` take the place of the sandbox's own."""
    with _folder() as folder:
        home = folder / "home"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
        settings = read_settings({"SIGNALBOX_HOME": str(home)})
        async with (
            opened(settings, is_migrating=True) as parts,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client,
        ):
            sandbox_key = secrets.token_urlsafe(16)
            sandbox = await SandboxProcess.start(home / "sandbox", port=0, api_key=sandbox_key, environment=environment)
            await prepare_installation(parts)
            await prepare_platform(parts)
            await prepare_sandbox(parts, sandbox.base_url, sandbox_key)
            if prices:
                await declare_prices(parts.database, prices[0].provider_name, prices, accept_jumps=True)
            await seed_plans(parts.database, (plan,))
            made = await create_tenant(parts.database, parts.vault, SYSTEM, name="Acme", owner_email="o@acme.example")
            await change_plan(parts.database, SYSTEM, made.tenant_id, plan.plan_id)
            key = await create_key(parts.database, parts.vault, SYSTEM, made.tenant_id, name="chaos")
            play = Stage(
                home, parts, sandbox, [], client,
                tenant_id=made.tenant_id, project_id=made.project_id, api_key_id=key.key.api_key_id, key=key.secret,
            )  # fmt: skip
            try:
                started = [
                    _replica(environment | {"SIGNALBOX_HOME": str(home)}, workers=workers) for _ in range(replicas)
                ]
                play.replicas += started
                await asyncio.gather(*(_until_ready(client, replica) for replica in started))
                yield play
            finally:
                await play.end_replicas()
                await sandbox.stop()


def _replica(environment: Mapping[str, str], *, workers: int) -> Replica:
    listener: socket.socket = listen("127.0.0.1", 0)
    processes = GatewayProcesses(listener, workers=workers, environment=environment)
    port = listener.getsockname()[1]
    return Replica(f"http://127.0.0.1:{port}", processes, asyncio.create_task(processes.run()))


async def _until_ready(client: aiohttp.ClientSession, replica: Replica) -> None:
    async with asyncio.timeout(START_S_MAX):
        while True:
            try:
                async with client.get(f"{replica.base_url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(PAUSE_S)


class _folder:
    """A folder through which the account that runs PostgreSQL for root can pass, and that is gone afterwards."""

    def __enter__(self) -> Path:
        self._path = Path(tempfile.mkdtemp(prefix="sbx"))
        self._path.chmod(0o755)
        return self._path

    def __exit__(self, *_: object) -> None:
        # Where root's temporary folder is closed to that account, the database lives elsewhere, behind a link.
        shutil.rmtree((self._path / "home" / "postgres").resolve(), ignore_errors=True)
        shutil.rmtree(self._path, ignore_errors=True)
