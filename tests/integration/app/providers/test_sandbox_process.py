"""The sandbox as a process of its own: it says where it is, keeps its log, and goes when it is told to."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from app.sandbox import CallEntry

BODY: Any = {"model": "swift-mini", "messages": [{"role": "user", "content": "Hello"}]}
KEY = {"authorization": "Bearer any"}
LONG_S = 30


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.sandbox", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), LONG_S)
        yield process, json.loads(line)["base_url"] if line else ""
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def chat(base_url: str, **body: object) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base_url}/chat/completions", json=BODY | body, headers=KEY) as response,
    ):
        return response.status, await response.json()


async def test_every_call_is_in_the_log_even_after_a_kill(tmp_path: Path) -> None:
    async with started("--state", str(tmp_path), "--time-scale", "0") as (process, base_url):
        ids = [(await chat(base_url))[1]["id"] for _ in range(3)]
        assert (await chat(base_url, model="swift-mini+500"))[0] == 500
        process.kill()
        await process.wait()
    lines = (tmp_path / "calls.jsonl").read_bytes().splitlines()
    entries = [msgspec.json.decode(line, type=CallEntry) for line in lines]
    assert [entry.call_id for entry in entries if entry.http_status == 200] == ids
    assert len(entries) == 4


async def test_a_plan_of_faults_comes_from_a_file(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('[{"kinds": ["429", "503"], "every": 2, "provider_name": "sandbox"}]')
    async with started("--faults", str(plan)) as (_, base_url):
        assert [(await chat(base_url))[0] for _ in range(4)] == [429, 200, 503, 200]


async def test_a_plan_that_makes_no_sense_is_told_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('[{"kinds": ["meteor"]}]')
    for name, says in (("plan.json", "Invalid enum value 'meteor'"), ("none.json", "No such file")):
        async with started("--faults", str(tmp_path / name)) as (process, _):
            assert process.stderr is not None
            message = (await process.stderr.read()).decode()
            assert await asyncio.wait_for(process.wait(), LONG_S) == 1
        assert f"{name} is no fault plan" in message
        assert says in message


async def test_it_stops_with_exit_code_0_on_a_signal() -> None:
    async with started() as (process, _):
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), LONG_S) == 0


async def test_it_stops_when_its_parent_is_gone() -> None:
    async with started("--until-stdin-closes") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), LONG_S) == 0


async def test_a_port_in_use_is_told_and_ends_with_1() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with started("--port", str(port)) as (process, base_url):
            assert base_url == ""
            assert process.stderr is not None
            message = (await process.stderr.read()).decode()
            assert await asyncio.wait_for(process.wait(), LONG_S) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in message
    assert "Traceback" not in message


async def test_calls_and_faults_are_seen_and_set_over_http(tmp_path: Path) -> None:
    async with started("--time-scale", "0") as (_, base_url), aiohttp.ClientSession(headers=KEY) as session:
        root = base_url.removesuffix("/v1")
        rule = {"kinds": ["429", "503"], "count": 2}
        async with session.post(f"{root}/sandbox/faults", json=rule) as response:
            assert response.status == 201
        assert [(await chat(base_url))[0] for _ in range(3)] == [429, 503, 200]
        async with session.get(f"{root}/sandbox/calls", params={"after": "1"}) as response:
            found = (await response.json())["data"]
        assert [(call["sequence"], call["http_status"]) for call in found] == [(2, 503), (3, 200)]
        async with session.post(f"{root}/sandbox/faults", json={"kinds": ["meteor"]}) as response:
            assert response.status == 400
        async with session.delete(f"{root}/sandbox/faults") as response:
            assert response.status == 204
        async with session.get(f"{root}/sandbox/faults") as response:
            assert await response.json() == {"data": []}
        async with session.get(f"{root}/nowhere") as response:
            assert response.status == 404
        async with session.get(f"{root}/sandbox/calls", headers={"authorization": ""}) as response:
            assert response.status == 401
        async with session.get(f"{root}/livez", headers={"authorization": ""}) as response:
            assert response.status == 200
