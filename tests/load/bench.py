"""`make bench`: what a request costs, with everything on.

The gateway runs on one core, the mock upstream and the load on the other; PostgreSQL where the system
puts it. CPU is of the gateway's whole process tree, user and system, by the kernel's own count.
"""

import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from app.commands.opened import Opened, opened
from app.commands.preparation import prepare_installation, prepare_platform
from app.settings import read_settings
from billing import PLANS, change_plan, seed_plans
from tenants import PLATFORM_TENANT_ID, SYSTEM, add_credential, create_key, create_tenant, publish_policy

GATEWAY_CORE: Final = 0
LOAD_CORE: Final = 1
SECONDS: Final = 8.0
WARM_UP_S: Final = 3.0
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
# The request rate of a plan is not what is measured here.
PLAN: Final = msgspec.structs.replace(
    PLANS[-1], plan_id="bench", requests_per_minute=10_000_000, request_burst=1_000_000
)
POLICY: Final = b'{"rules": [], "default": {"candidates": ["*"], "strategy": "ordered"}}'


async def main() -> None:
    """Measure and print a table, and JSON with `--json`."""
    home = Path(tempfile.mkdtemp(prefix="sbx"))
    port = 18_080
    os.environ.update(SIGNALBOX_HOME=str(home), SIGNALBOX_PORT=str(port))
    upstream = await python("-m", "tests.load.upstream", "0", core=LOAD_CORE)
    assert upstream.stdout is not None
    upstream_port = int(await upstream.stdout.readline())
    try:
        async with opened(read_settings(), is_migrating=True) as parts:
            key = await prepare(parts, upstream_port)
            began = time.monotonic()
            async with gateway(port) as process:
                started_s = time.monotonic() - began
                results = await measure(port, upstream_port, key, process.pid, home / "postgres")
                results["start_s"] = round(started_s, 2)
    finally:
        upstream.kill()
        await upstream.wait()
    report(results)


async def measure(port: int, upstream_port: int, key: str, pid: int, postgres: Path) -> dict[str, Any]:
    """Every figure of the bench."""
    gateway_url, mock_url = (f"http://127.0.0.1:{each}/v1/chat/completions" for each in (port, upstream_port))
    await load(gateway_url, key, "16", str(WARM_UP_S))
    results: dict[str, Any] = {}
    for connections in (32, 64):
        before, database_before = cpu_s(tree(pid)), cpu_s(postgres_processes(postgres))
        told = await load(gateway_url, key, str(connections), str(SECONDS))
        count = max(1, told["answered"])
        results[f"at_{connections}"] = told | {
            "gateway_cpu_us": round((cpu_s(tree(pid)) - before) * 1e6 / count, 1),
            "postgres_cpu_us": round((cpu_s(postgres_processes(postgres)) - database_before) * 1e6 / count, 1),
        }
    direct = await load(mock_url, key, "8", str(SECONDS), "--rate", "50")
    through = await load(gateway_url, key, "8", str(SECONDS), "--rate", "50")
    results["at_50_per_s"] = {
        "added_p50_ms": round(through["p50_ms"] - direct["p50_ms"], 2),
        "added_p99_ms": round(through["p99_ms"] - direct["p99_ms"], 2),
        "failures": through["failures"],
    }
    before = cpu_s(tree(pid))
    streamed = await load(gateway_url, key, "16", str(SECONDS), "--stream")
    spent_us = (cpu_s(tree(pid)) - before) * 1e6
    whole_us = results["at_32"]["gateway_cpu_us"] * streamed["answered"]
    results["streams"] = {
        "per_s": streamed["per_s"],
        "failures": streamed["failures"],
        "cpu_us_per_event": round(max(0.0, spent_us - whole_us) / max(1, streamed["events"]), 1),
    }
    results["resident_mb"] = round(sum(resident_bytes(each) for each in tree(pid)) / 1e6, 1)
    return results


def report(results: dict[str, Any]) -> None:
    """Print what was measured."""
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(machine | results, indent=2) + "\n")
        return
    table = Table("measured", "value", title="Everything on: keys, admission, routing, reservation, records, ledger")
    for name, value in (machine | results).items():
        if isinstance(value, dict):
            for part, figure in value.items():
                table.add_row(f"{name} {part}", f"{figure:,}" if figure is not None else "—")
        else:
            table.add_row(name, str(value))
    Console(width=120).print(table)


async def prepare(parts: Opened, upstream_port: int) -> str:
    """An installation whose `openai` is the mock; a tenant's key."""
    await prepare_installation(parts)
    await prepare_platform(parts)
    await seed_plans(parts.database, (PLAN,))
    await publish_policy(parts.database, SYSTEM, PLATFORM_TENANT_ID, "default", POLICY)
    await add_credential(
        parts.database, parts.vault, SYSTEM, PLATFORM_TENANT_ID,
        provider_name="openai", name="mock", secret="sk-mock",
        base_url=f"http://127.0.0.1:{upstream_port}/v1", check_address=any_address,
    )  # fmt: skip
    made = await create_tenant(parts.database, parts.vault, SYSTEM, name="Bench", owner_email="bench@example.com")
    await change_plan(parts.database, SYSTEM, made.tenant_id, PLAN.plan_id)
    return (await create_key(parts.database, parts.vault, SYSTEM, made.tenant_id, name="bench")).secret


async def any_address(_: str) -> None:
    """The platform's own rows are not checked."""


@asynccontextmanager
async def gateway(port: int) -> AsyncIterator[Process]:
    """`signalbox serve` on its core, ready."""
    process = await python("-m", "app.cli", "serve", core=GATEWAY_CORE)
    try:
        for _ in range(300):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            break
        yield process
    finally:
        process.terminate()
        await process.wait()


async def python(*arguments: str, core: int) -> Process:
    """A Python of ours, bound to a core."""
    return await asyncio.create_subprocess_exec(
        "taskset", "-c", str(core), sys.executable, *arguments, stdout=PIPE, cwd=Path(__file__).parents[2]
    )


async def load(*arguments: str) -> dict[str, Any]:
    """Run the client on the load's core."""
    process = await python("-m", "tests.load.client", *arguments, core=LOAD_CORE)
    output, _ = await process.communicate()
    told: dict[str, Any] = json.loads(output)
    return told


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def postgres_processes(folder: Path) -> list[int]:
    """The processes of the embedded server, children of whoever holds its data folder."""
    pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    return tree(pid)


def cpu_s(pids: list[int]) -> float:
    """User and system seconds so far, of the processes that are there and of their children that ended."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICKS_PER_S


def resident_bytes(pid: int) -> int:
    """Resident memory of one process."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


if __name__ == "__main__":
    asyncio.run(main())
