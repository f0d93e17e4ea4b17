"""`signalbox up` as a person runs it: from nothing to a routed request, and down again without a trace."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

START_TIMEOUT_S = 90


@pytest.fixture
def home() -> Iterator[Path]:
    # Short, because a socket's path has a limit, and open, so that root's database can live there too.
    folder = Path(tempfile.mkdtemp(prefix="sbx"))
    folder.chmod(0o755)
    yield folder / "home"
    shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def environment(home: Path, port: int, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
    return {**kept, "SIGNALBOX_HOME": str(home), "SIGNALBOX_PORT": str(port), **more}


async def start(*arguments: str, env: dict[str, str]) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", *arguments, env=env, stdout=PIPE, stderr=STDOUT, start_new_session=True
    )


async def output_until(process: Process, words: str) -> str:
    assert process.stdout is not None
    text = ""
    async with asyncio.timeout(START_TIMEOUT_S):
        while words not in text:
            line = await process.stdout.readline()
            if not line:
                break
            text += line.decode()
    return text


@asynccontextmanager
async def running(home: Path, port: int, *options: str) -> AsyncIterator[tuple[Process, str]]:
    process = await start("up", *options, env=environment(home, port))
    try:
        yield process, await output_until(process, '"serving"' if "--json" in options else "Serving.")
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), 60)


async def failing(*arguments: str, env: dict[str, str]) -> str:
    """Run a command that must end with exit code 1 and one line."""
    process = await start(*arguments, env=env)
    output, _ = await asyncio.wait_for(process.communicate(), START_TIMEOUT_S)
    text = output.decode()
    assert process.returncode == 1, text
    assert "Traceback" not in text
    return text


def processes_of(home: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode()
            environ = (path.parent / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(home) in command or f"SIGNALBOX_HOME={home}" in environ:
            found.append(command)
    return found


async def test_from_nothing_to_a_routed_request_twice_and_nothing_stays(home: Path) -> None:
    port = free_port()
    async with running(home, port) as (process, first):
        key = re.search(r"sbx_live_\w+", first)
        assert key, first
        assert "password" in first
        assert "task=code_generation" in first
        assert re.search(r"cost +\$0\.\d+ +saved \$0\.\d+", first), first
        async with aiohttp.ClientSession(headers={"authorization": f"Bearer {key[0]}"}) as client:
            body = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}
            async with client.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as response:
                assert response.status == 200
                request_id = response.headers["x-signalbox-request-id"]
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    assert processes_of(home) == []

    async with running(home, port) as (_, second):
        assert "password" not in second
        assert "sbx_live_" not in second
        async with (
            aiohttp.ClientSession(headers={"authorization": f"Bearer {key[0]}"}) as client,
            client.get(f"http://127.0.0.1:{port}/v1/requests/{request_id}") as response,
        ):
            assert response.status == 200
        assert "runs already" in await failing("up", env=environment(home, free_port()))
        assert re.search(
            rf"Port {port} .* in use by \w+ \(process \d+\)", await failing("up", env=environment(home, port))
        )
    assert processes_of(home) == []
    for path in ("master.key", "demo.json", "sandbox"):
        assert (home / path).stat().st_mode & 0o077 == 0
    assert home.stat().st_mode & 0o067 == 0
    assert not (home / "postgres").is_symlink()

    wrong = environment(home, port, SIGNALBOX_MASTER_KEY="A" * 43 + "=")
    assert "master key" in await failing("up", env=wrong)
    assert processes_of(home) == []


async def test_the_gateway_ends_with_its_parent_even_when_that_is_killed(home: Path) -> None:
    port = free_port()
    async with running(home, port) as (process, _):
        process.kill()
        await process.wait()
        for _ in range(200):
            left = [command for command in processes_of(home) if "postgres" not in command]
            if not left:
                break
            await asyncio.sleep(0.1)
        assert left == []
    async with running(home, port) as (_, text):
        assert "Serving." in text
    assert processes_of(home) == []


async def test_a_database_that_dies_is_restarted_and_one_that_is_gone_is_made_anew(home: Path) -> None:
    port = free_port()
    async with running(home, port, "--json") as (process, text):
        made, serving = (json.loads(line) for line in text.splitlines() if line.startswith('{"event"'))
        assert serving["api_key"] == made["api_key"]
        assert made["owner_password"]
        assert made["operator_password"]
        assert serving["request"]["model"] == "sandbox/coder-pro"
        os.kill(int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        await output_until(process, "embedded_postgres_restarted")
        async with aiohttp.ClientSession(headers={"authorization": f"Bearer {made['api_key']}"}) as client:
            body = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}
            statuses: list[int] = []
            while 200 not in statuses:  # a pool finds its dead connections one by one
                async with client.post(f"{serving['base_url']}/v1/chat/completions", json=body) as response:
                    statuses.append(response.status)
                assert len(statuses) < 50
            assert set(statuses) <= {200, 503}
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    assert processes_of(home) == []

    shutil.rmtree(home / "postgres")
    async with running(home, port, "--json") as (_, text):
        made_anew = json.loads(next(line for line in text.splitlines() if line.startswith('{"event":"made"')))
        assert made_anew["api_key"] != made["api_key"]


async def test_production_refuses_the_desk(home: Path) -> None:
    env = environment(home, free_port(), SIGNALBOX_ENV="production")
    assert "sandbox" in await failing("up", env=env)
    assert "SIGNALBOX_MASTER_KEY" in await failing("serve", env=env)
    assert "SIGNALBOX_DATABASE_URL" in await failing("serve", env={**env, "SIGNALBOX_MASTER_KEY": "A" * 43 + "="})
    assert not home.exists()


async def test_a_database_that_cannot_be_reached_is_named(home: Path) -> None:
    url = f"postgresql://nobody:hunter2@127.0.0.1:{free_port()}/none"
    text = await failing("migrate", env=environment(home, free_port(), SIGNALBOX_DATABASE_URL=url))
    assert "cannot be reached" in text
    assert "hunter2" not in text
