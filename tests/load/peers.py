"""The gateways that the bench can measure beside ours: one row each, installed on demand into a folder of its own.

Called by the bench for what `--against` names. A row may also come from a file (`--peers FILE`, a JSON list), or
be no more than an address (`--against NAME=URL`). Invariant: whatever keeps a peer from running is told with
its reason, and nothing of a peer outlives the bench.
"""

import json
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tests.load.programs import GATEWAY_CORE, ProgramFailed, finished, free_port, running, until_answering
from tests.load.subjects import NATIVE, TRANSLATED, Route, Subject

INSTALL_TIMEOUT_S: Final = 600
INSTALLED: Final = ".installed"
# Ignored by git; what was installed once is used again. Remove the folder to have newer versions.
FOLDER: Final = Path(__file__).parents[2] / "build" / "bench"


class Peer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to have one gateway. In every text `{folder}`, `{port}`, `{upstream}` and `{python}` are filled in.

    `is_on` says what it does besides passing on: a figure means little without it.
    """

    name: str
    is_on: str
    url: str
    routes: Mapping[str, Route]  # by what is measured: native, translated
    install: Sequence[Sequence[str]] = ()
    files: Mapping[str, str] = {}
    start: Sequence[str] = ()  # empty: it runs already
    environment: Mapping[str, str] = {}
    version: Sequence[str] = ()  # prints it
    tells_url: bool = False  # its first line that begins with http is its base address; `url` is joined to it


def _from_pypi(requirement: str) -> tuple[tuple[str, ...], ...]:
    """An environment of its own: by uv in seconds, by pip in minutes where uv cannot run."""
    uv = f'"{{python}}" -m uv pip install -q -p venv/bin/python "{requirement}"'
    return ("{python}", "-m", "venv", "venv"), ("sh", "-c", f'{uv} || venv/bin/pip install -q "{requirement}"')


_LITELLM_CONFIG: Final = {
    "model_list": [
        {
            "model_name": "gpt-4o-mini",
            "litellm_params": {"model": "openai/gpt-4o-mini", "api_base": "{upstream}/v1", "api_key": "sk-mock"},
        },
        {
            "model_name": "claude-sonnet-4-5",
            "litellm_params": {"model": "anthropic/claude-sonnet-4-5", "api_base": "{upstream}", "api_key": "sk-mock"},
        },
    ],
    "general_settings": {"master_key": "sk-bench"},
}
_TENSORZERO_CONFIG: Final = """
[gateway]
observability.enabled = false
disable_pseudonymous_usage_analytics = true
[models.gpt-4o-mini]
routing = ["mock"]
[models.gpt-4o-mini.providers.mock]
type = "openai"
api_base = "{upstream}/v1/"
model_name = "gpt-4o-mini"
api_key_location = "none"
"""
# Its wheel has the gateway as a library that serves HTTP on a port it chooses (tensorzero 2026.6, 2026-11).
_TENSORZERO_START: Final = """
import sys, threading, types, tensorzero
client = tensorzero.patch_openai_client(types.SimpleNamespace(), config_file=sys.argv[1], async_setup=False)
print(client.base_url, flush=True)
threading.Event().wait()
"""

_ROWS: Final = (
    Peer(
        name="litellm",
        is_on="master key; no database, so no keys, budgets or spend",
        url="http://127.0.0.1:{port}/v1/chat/completions",
        routes={
            NATIVE: Route(model="gpt-4o-mini", headers={"authorization": "Bearer sk-bench"}),
            TRANSLATED: Route(model="claude-sonnet-4-5", headers={"authorization": "Bearer sk-bench"}),
        },
        install=_from_pypi("litellm[proxy]"),
        files={"config.yaml": json.dumps(_LITELLM_CONFIG)},
        start=("venv/bin/litellm", "--config", "config.yaml", "--host", "127.0.0.1", "--port", "{port}",
               "--num_workers", "1"),
        # It would fetch its prices from the network at each start.
        environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        version=("venv/bin/python", "-c", "import importlib.metadata as m; print(m.version('litellm'))"),
    ),
    Peer(
        name="portkey",
        is_on="nothing: no keys, no metering",
        url="http://127.0.0.1:{port}/v1/chat/completions",
        routes={
            NATIVE: Route(
                model="gpt-4o-mini",
                headers={
                    "authorization": "Bearer sk-mock",
                    "x-portkey-provider": "openai",
                    "x-portkey-custom-host": "{upstream}/v1",
                },
            ),
            TRANSLATED: Route(
                model="claude-sonnet-4-5",
                headers={
                    "authorization": "Bearer sk-mock",
                    "x-portkey-provider": "anthropic",
                    "x-portkey-custom-host": "{upstream}/v1",
                },
            ),
        },
        install=(("npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "@portkey-ai/gateway"),),
        # Its newest server library keeps the headers of a provider's stream locked, and each stream fails (2026-11).
        files={"package.json": '{"private": true, "overrides": {"@hono/node-server": "1.13.8"}}'},
        start=("node", "node_modules/@portkey-ai/gateway/build/start-server.js", "--port={port}", "--headless"),
        version=("node", "-p", "require('@portkey-ai/gateway/package.json').version"),
    ),
    Peer(
        name="tensorzero",
        is_on="nothing: no keys, no metering",
        url="/chat/completions",
        routes={NATIVE: Route(model="tensorzero::model_name::gpt-4o-mini")},
        install=_from_pypi("tensorzero"),
        files={"config.toml": _TENSORZERO_CONFIG, "start.py": _TENSORZERO_START},
        start=("venv/bin/python", "-W", "ignore", "start.py", "config.toml"),
        version=("venv/bin/python", "-c", "import importlib.metadata as m; print(m.version('tensorzero'))"),
        tells_url=True,
    ),
)  # fmt: skip
PEERS: Final[Mapping[str, Peer]] = MappingProxyType({row.name: row for row in _ROWS})


def peers_named(names: Iterable[str], extra: Mapping[str, Peer]) -> list[Peer]:
    """The rows of `--against`; `name=URL` is a gateway that runs already. Raises KeyError with the name."""
    known = {**PEERS, **extra}
    return [_by_address(*name.split("=", 1)) if "=" in name else known[name] for name in names]


def read_peers(path: Path) -> dict[str, Peer]:
    """Rows from a file. Raises msgspec.MsgspecError with what is wrong."""
    return {row.name: row for row in msgspec.json.decode(path.read_bytes(), type=list[Peer])}


@asynccontextmanager
async def peer_running(peer: Peer, upstream: str) -> AsyncIterator[Subject]:
    """A peer, installed and answering, on the gateway's core. Raises ProgramFailed with the reason."""
    folder = FOLDER / peer.name
    folder.mkdir(parents=True, exist_ok=True)
    names = {"folder": str(folder), "port": str(free_port()), "upstream": upstream, "python": sys.executable}
    await _install(peer, folder, names)
    version = (await finished(*peer.version, cwd=folder)).strip() if peer.version else None
    routes = {
        name: msgspec.structs.replace(route, headers={key: _filled(text, names) for key, text in route.headers.items()})
        for name, route in peer.routes.items()
    }
    subject = Subject(name=peer.name, is_on=peer.is_on, version=version, url=_filled(peer.url, names), routes=routes)
    if not peer.start:
        await until_answering(subject)
        yield subject
        return
    began = time.monotonic()
    environment = {name: _filled(text, names) for name, text in peer.environment.items()}
    command = [_filled(part, names) for part in peer.start]
    log = folder / "log"
    async with running(*command, core=GATEWAY_CORE, log=log, cwd=folder, environment=environment) as program:
        if peer.tells_url:
            subject = msgspec.structs.replace(subject, url=await program.line_that_begins("http") + subject.url)
        subject = msgspec.structs.replace(subject, pid=program.pid)
        await until_answering(subject, program)
        yield msgspec.structs.replace(subject, start_s=time.monotonic() - began)


async def _install(peer: Peer, folder: Path, names: Mapping[str, str]) -> None:
    for file_name, text in peer.files.items():
        (folder / file_name).write_text(_filled(text, names))
    installed, wanted = folder / INSTALLED, msgspec.json.encode((peer.install, peer.files))
    if installed.exists() and installed.read_bytes() == wanted:
        return
    for command in peer.install:
        await finished(*(_filled(part, names) for part in command), cwd=folder, timeout_s=INSTALL_TIMEOUT_S)
    installed.write_bytes(wanted)


def _filled(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _by_address(name: str, url: str) -> Peer:
    if urlsplit(url).scheme != "http":
        raise ProgramFailed(f"'{url}' is no address that the bench can ask; write {name}=http://host:port/path.")
    return Peer(
        name=name, is_on="unknown: it was given by its address", url=url, routes={NATIVE: Route(model="gpt-4o-mini")}
    )
