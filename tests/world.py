"""A whole gateway for tests: real PostgreSQL, the sandbox as the provider, served over a socket."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import aiohttp
import asyncpg
import pytest
import uvicorn

from app.embedded import EmbeddedPostgres
from app.embedded.postgres import SUPERUSER
from app.gateway.attempts import AttemptLimits
from app.http.direct import direct
from app.main import Gateway, GatewayOptions, create_app
from app.routing import load_default_policy
from app.sandbox import PROVIDER_NAMES, SandboxServer, sandbox_prices
from billing import change_plan, declare_prices, seed_plans
from tenants import (
    PLATFORM_TENANT_ID,
    SYSTEM,
    Database,
    DatabaseRole,
    Vault,
    add_credential,
    create_key,
    create_platform,
    create_tenant,
    publish_policy,
)
from tests.conftest import MIGRATED, copied_database

FAST = AttemptLimits(
    attempts_max=3,
    request_deadline_s=10,
    connect_timeout_s=1,
    first_byte_timeout_s=1,
    answer_timeout_s=1,
    idle_timeout_s=1,
)


@dataclass(frozen=True, slots=True)
class TestTenant:
    """A tenant with one model key."""

    __test__ = False

    tenant_id: UUID
    project_id: UUID
    api_key_id: UUID
    key: str
    owner_email: str
    owner_password: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A template database and what opens it."""

    template: str
    vault: Vault
    acme: TestTenant
    umbrella: TestTenant
    operator_email: str
    operator_password: str


@dataclass(slots=True)
class World:
    """Everything that runs: two tenants, the gateway, the sandbox."""

    base_url: str
    gateway: Gateway
    sandbox: SandboxServer
    client: aiohttp.ClientSession
    acme: TestTenant
    umbrella: TestTenant

    @property
    def database(self) -> Database:
        return self.gateway.database

    async def chat(
        self, text: str = "Hello", *, key: str | None = None, headers: dict[str, str] | None = None, **body: object
    ) -> aiohttp.ClientResponse:
        """Send one chat request; the response is read."""
        response = await self.client.post(
            f"{self.base_url}/v1/chat/completions",
            json={"model": "auto", "messages": [{"role": "user", "content": text}], **body},
            headers={"authorization": f"Bearer {key or self.acme.key}", **(headers or {})},
        )
        await response.read()
        return response


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxServer]:
    async with SandboxServer(time_scale=0.1) as server:
        yield server


@pytest.fixture(scope="session")
def prepared(postgres: EmbeddedPostgres) -> Prepared:
    """A template with the platform and two tenants, made once: passwords are slow to hash on purpose."""
    return asyncio.run(_prepare(postgres))


async def _prepare(postgres: EmbeddedPostgres) -> Prepared:
    vault = Vault(secrets.token_bytes(32), "test")
    template = f"template_world_{secrets.token_hex(4)}"
    owner = await asyncpg.connect(host=postgres.url("any").rpartition("host=")[2], user=SUPERUSER, database="postgres")
    await owner.execute(f"CREATE DATABASE {template} OWNER {DatabaseRole.OWNER} TEMPLATE {MIGRATED}")
    await owner.close()
    database = Database(lambda role: postgres.url(role, template))
    await seed_plans(database)
    platform = await create_platform(database, vault, operator_email="operator@signalbox.example")
    assert platform is not None
    for provider_name in PROVIDER_NAMES:
        await declare_prices(database, provider_name, sandbox_prices(UUID(int=0), provider_name=provider_name))
    await publish_policy(database, SYSTEM, PLATFORM_TENANT_ID, "default", load_default_policy())
    acme, umbrella = [await make_tenant(database, vault, name) for name in ("Acme", "Umbrella")]
    await database.close()
    return Prepared(template, vault, acme, umbrella, platform.owner_email, platform.owner_password)


@pytest.fixture
async def world(postgres: EmbeddedPostgres, prepared: Prepared, sandbox: SandboxServer) -> AsyncIterator[World]:
    async with copied_database(postgres, prepared.template) as url_of:
        database = Database(url_of, connections_max=4)
        for provider_name in PROVIDER_NAMES:
            await add_credential(
                database, prepared.vault, SYSTEM, PLATFORM_TENANT_ID,
                provider_name=provider_name, name=provider_name, secret="sandbox-key", base_url=sandbox.base_url,
                check_address=allow_any_address,
            )  # fmt: skip
        options = GatewayOptions(body_bytes_max=1_000_000, attempts=FAST, database_prompt_s=PATIENT_S)
        gateway = Gateway(database, prepared.vault, options=options)
        async with serve(gateway) as base_url, aiohttp.ClientSession() as client:
            yield World(base_url, gateway, sandbox, client, prepared.acme, prepared.umbrella)


async def allow_any_address(url: str) -> None:
    """The platform's own rows are not checked."""


async def make_tenant(database: Database, vault: Vault, name: str, *, plan_id: str = "enterprise") -> TestTenant:
    made = await create_tenant(database, vault, SYSTEM, name=name, owner_email=f"owner@{name.lower()}.example")
    await change_plan(database, SYSTEM, made.tenant_id, plan_id)
    created = await create_key(database, vault, SYSTEM, made.tenant_id, name="test")
    return TestTenant(
        tenant_id=made.tenant_id,
        project_id=made.project_id,
        api_key_id=created.key.api_key_id,
        key=created.secret,
        owner_email=made.owner_email,
        owner_password=made.owner_password,
    )


# A busy machine is no outage: what refuses in time is tested where it is looked at.
PATIENT_S = 10.0


class serve:
    """Serve an application on a free port of the loopback, in this loop."""

    def __init__(self, gateway: Gateway) -> None:
        self._config = uvicorn.Config(direct(create_app(gateway)), http="httptools", log_config=None, access_log=False)
        self._server = uvicorn.Server(self._config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # pytest keeps the signals
        self._socket = socket.create_server(("127.0.0.1", 0))

    async def __aenter__(self) -> str:
        self._running = asyncio.create_task(self._server._serve([self._socket]))
        while not self._server.started:
            if self._running.done():
                self._running.result()
            await asyncio.sleep(0.01)
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._running
