"""Our own gateway for the bench: everything on, in a home of its own that is gone afterwards.

Everything on: keys, plan, budgets on three levels, admission, routing, reservation, records, ledger. Only the
request rate of the plan is out of the way. Invariant: nothing of the caller's own installation is touched.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from app.commands.opened import Opened, opened
from app.commands.preparation import prepare_installation, prepare_platform
from app.settings import read_settings
from billing import PLANS, change_plan, seed_plans, set_budget
from tenants import PLATFORM_TENANT_ID, SYSTEM, add_credential, create_key, create_tenant, publish_policy
from tests.load.fsync import time_wal
from tests.load.programs import GATEWAY_CORE, free_port, running, until_answering
from tests.load.subjects import ANTHROPIC, NATIVE, ROUTED, TRANSLATED, Route, Subject

PLAN: Final = msgspec.structs.replace(
    PLANS[-1], plan_id="bench", requests_per_minute=10_000_000, request_burst=1_000_000
)
# `auto` is led by the task to one of a few models of the same dialect.
POLICY: Final = b"""{
    "rules": [
        {
            "name": "code",
            "when": {"task": {"in": ["code_generation", "code_debugging"]}},
            "then": {"candidates": ["openai/gpt-4o"], "strategy": "ordered"}
        }
    ],
    "default": {"candidates": ["openai/gpt-4o-mini", "openai/gpt-4.1-mini", "openai/gpt-4o"], "strategy": "cheapest"}
}"""
BUDGET_NANO_USD: Final = 1_000_000_000_000_000
MOCK_KEY: Final = "sk-mock"


@asynccontextmanager
async def signalbox_running(upstream: str) -> AsyncIterator[Subject]:
    """The gateway on its core, answering; PostgreSQL where this process is."""
    with _home() as home:
        log, port = home.parent / "log", free_port()
        own = {"SIGNALBOX_HOME": str(home), "SIGNALBOX_PORT": str(port), "SIGNALBOX_WORKERS": "1"}
        _forget_settings()
        async with opened(read_settings(own), is_migrating=True) as parts:
            key = await _prepare(parts, upstream)
            assert parts.postgres is not None
            await time_wal(parts.postgres.socket_folder)
            began = time.monotonic()
            command = (sys.executable, "-m", "app.cli", "serve")
            async with running(*command, core=GATEWAY_CORE, log=log, environment=own) as program:
                subject = Subject(
                    name="signalbox",
                    is_on="everything: keys, budgets, admission, routing, reservation, records, ledger",
                    url=f"http://127.0.0.1:{port}/v1/chat/completions",
                    routes=_routes(key),
                    pid=program.pid,
                    postgres=home / "postgres",
                )
                await until_answering(subject, program)
                yield msgspec.structs.replace(subject, start_s=time.monotonic() - began)


def _routes(key: str) -> dict[str, Route]:
    headers = {"authorization": f"Bearer {key}"}
    return {
        NATIVE: Route(model="openai/gpt-4o-mini", headers=headers),
        ROUTED: Route(model="auto", headers=headers),
        TRANSLATED: Route(model="anthropic/claude-sonnet-4-5", headers=headers),
        ANTHROPIC: Route(
            model="anthropic/claude-sonnet-4-5",
            headers=headers | {"anthropic-version": "2023-06-01"},
            path="/v1/messages",
        ),
    }


async def _prepare(parts: Opened, upstream: str) -> str:
    """An installation whose `openai` and `anthropic` are the mock; a tenant's key."""
    await prepare_installation(parts)
    await prepare_platform(parts)
    await seed_plans(parts.database, (PLAN,))
    await publish_policy(parts.database, SYSTEM, PLATFORM_TENANT_ID, "default", POLICY)
    for provider_name in ("openai", "anthropic"):
        await add_credential(
            parts.database, parts.vault, SYSTEM, PLATFORM_TENANT_ID,
            provider_name=provider_name, name=f"mock {provider_name}", secret=MOCK_KEY,
            base_url=f"{upstream}/v1", check_address=_any_address,
        )  # fmt: skip
    made = await create_tenant(parts.database, parts.vault, SYSTEM, name="Bench", owner_email="bench@example.com")
    await change_plan(parts.database, SYSTEM, made.tenant_id, PLAN.plan_id)
    created = await create_key(parts.database, parts.vault, SYSTEM, made.tenant_id, name="bench")
    for scope in ({}, {"project_id": made.project_id}, {"api_key_id": created.key.api_key_id}):
        await set_budget(
            parts.database, SYSTEM, made.tenant_id, period="month", limit_nano_usd=BUDGET_NANO_USD, **scope
        )
    return created.secret


async def _any_address(_: str) -> None:
    """The platform's own rows are not checked."""


@contextmanager
def _home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="sbx"))
    folder.chmod(0o755)  # so that the account that runs PostgreSQL for root can pass
    home = folder / "home"
    try:
        yield home
    finally:
        # Where root's temporary folder is closed to that account, the database lives elsewhere, behind a link.
        shutil.rmtree((home / "postgres").resolve(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def _forget_settings() -> None:
    """Drop the caller's settings, so that nothing is measured on their database, nor written there."""
    for name in [name for name in os.environ if name.startswith("SIGNALBOX_")]:
        del os.environ[name]
