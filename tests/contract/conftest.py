"""The gateway for the SDK matrix, and the matrix itself at the end of the run."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import aiohttp
import msgspec
import pytest

from app.embedded import EmbeddedPostgres
from app.main import Gateway, GatewayOptions
from app.sandbox import PROVIDER_NAMES, SandboxServer, sandbox_prices
from billing import declare_prices, set_budget
from tenants import PLATFORM_TENANT_ID, SYSTEM, Database, add_credential
from tests.conftest import copied_database
from tests.contract.cases import BODY_BYTES_MAX, FAULTY_MODELS, KeyName
from tests.contract.matrix import PROPERTY, show_matrix
from tests.world import FAST, Prepared, allow_any_address, make_tenant, serve

# A stalled stream must outlive the caller who closes it.
LIMITS: Final = replace(FAST, first_byte_timeout_s=2, answer_timeout_s=2, idle_timeout_s=2)


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway in front of both provider dialects, and keys that open it more or less."""

    base_url: str
    keys: Mapping[KeyName, str]
    client: aiohttp.ClientSession

    async def outcome_of(self, request_id: str) -> str | None:
        """How a request ended, by its own record; None while there is none."""
        headers = {"authorization": f"Bearer {self.keys['good']}"}
        async with self.client.get(f"{self.base_url}/v1/requests/{request_id}", headers=headers) as response:
            return (await response.json())["outcome"] if response.status == 200 else None


@pytest.fixture
async def served(postgres: EmbeddedPostgres, prepared: Prepared, sandbox: SandboxServer) -> AsyncIterator[Served]:
    async with copied_database(postgres, prepared.template) as url_of:
        database = Database(url_of, connections_max=4)
        for provider_name in PROVIDER_NAMES:
            await _offer(database, prepared, provider_name, sandbox.base_url)
        await set_budget(database, SYSTEM, prepared.umbrella.tenant_id, period="month", limit_nano_usd=0)
        free = await make_tenant(database, prepared.vault, "Free", plan_id="free")
        keys: dict[KeyName, str] = {
            "good": prepared.acme.key, "spent": prepared.umbrella.key, "free": free.key, "wrong": "sbx_live_wrong",
        }  # fmt: skip
        options = GatewayOptions(body_bytes_max=BODY_BYTES_MAX, attempts=LIMITS)
        async with (
            serve(Gateway(database, prepared.vault, options=options)) as base_url,
            aiohttp.ClientSession() as client,
        ):
            yield Served(base_url, keys, client)


async def _offer(database: Database, prepared: Prepared, provider_name: str, base_url: str) -> None:
    """The simulated models of one wire, and beside them one for each fault."""
    prices = sandbox_prices(UUID(int=0), provider_name=provider_name)
    faulty = [msgspec.structs.replace(prices[0], model=model) for model in FAULTY_MODELS]
    await declare_prices(database, provider_name, [*prices, *faulty])
    await add_credential(
        database, prepared.vault, SYSTEM, PLATFORM_TENANT_ID,
        provider_name=provider_name, name=f"{provider_name} for the matrix", secret="sandbox-key",
        base_url=base_url, check_address=allow_any_address,
    )  # fmt: skip


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix of what ran, passed or not."""
    reports: Iterable[pytest.TestReport] = (
        report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])
    )
    columns = [value for report in reports for name, value in report.user_properties if name == PROPERTY]
    if columns:
        show_matrix(sorted(columns), terminalreporter.write_line)
