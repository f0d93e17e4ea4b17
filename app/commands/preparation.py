"""The first rows: plans, prices, the platform and, on a desk, a demo tenant to start with.

Called by `up` (all of it) and by `migrate` (what every installation needs). Each step leaves alone what
is there already, so that a second start finds the first one's data.
"""

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from app.commands.opened import Opened
from app.routing import load_default_policy
from app.sandbox import PROVIDER_NAMES, sandbox_prices
from billing import change_plan, declare_prices, import_price_book, seed_plans, set_budget
from tenants import (
    PLATFORM_TENANT_ID,
    Snapshot,
    add_credential,
    create_key,
    create_platform,
    create_tenant,
    disable_credential,
    list_credentials,
    publish_policy,
)

DEMO_TENANT: Final = "Acme"
DEMO_PLAN: Final = "enterprise"
DEMO_OWNER_EMAIL: Final = "owner@acme.example"
DEMO_BUDGET_NANO_USD: Final = 100_000_000_000
OPERATOR_EMAIL: Final = "operator@signalbox.example"
STATE_FILE: Final = "demo.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeDemo:
    """The demo tenant as it was made; its secrets are shown once, the database keeps hashes only."""

    tenant_id: UUID
    owner_password: str = field(repr=False)
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoState:
    """What `up` remembers in the state folder, readable by its owner only: no key of any tenant."""

    tenant_id: UUID
    sandbox_port: int
    sandbox_key: str = field(repr=False)


async def prepare_installation(opened: Opened) -> None:
    """Plans, prices and the platform's policy: what every installation needs. Raises PriceBookRejected."""
    await seed_plans(opened.database)
    await import_price_book(opened.database)


async def prepare_platform(opened: Opened) -> str | None:
    """The platform's tenant and policy; its operator's password when it was made now."""
    made = await create_platform(opened.database, opened.vault, operator_email=OPERATOR_EMAIL)
    snapshot = Snapshot(opened.database, opened.vault)
    if not await snapshot.policy_names(PLATFORM_TENANT_ID):
        await publish_policy(opened.database, opened.actor, PLATFORM_TENANT_ID, "default", load_default_policy())
    return made.owner_password if made else None


async def prepare_sandbox(opened: Opened, base_url: str, api_key: str) -> None:
    """The simulated providers' prices, and the platform's credentials for them at their present address."""
    for provider_name in PROVIDER_NAMES:
        prices = sandbox_prices(UUID(int=0), provider_name=provider_name)
        await declare_prices(opened.database, provider_name, prices)
        await _offer_sandbox(opened, provider_name, base_url, api_key)


async def prepare_demo(opened: Opened) -> MadeDemo:
    """The demo tenant with its owner, key and budget."""
    made = await create_tenant(
        opened.database, opened.vault, opened.actor, name=DEMO_TENANT, owner_email=DEMO_OWNER_EMAIL
    )
    await change_plan(opened.database, opened.actor, made.tenant_id, DEMO_PLAN)
    key = await create_key(opened.database, opened.vault, opened.actor, made.tenant_id, name="first key")
    await set_budget(opened.database, opened.actor, made.tenant_id, limit_nano_usd=DEMO_BUDGET_NANO_USD, period="month")
    return MadeDemo(tenant_id=made.tenant_id, owner_password=made.owner_password, api_key=key.secret)


def read_state(home: Path) -> DemoState | None:
    """What an earlier `up` left; None at the first start."""
    try:
        told = json.loads((home / STATE_FILE).read_text())
        return DemoState(
            tenant_id=UUID(told["tenant_id"]), sandbox_port=int(told["sandbox_port"]), sandbox_key=told["sandbox_key"]
        )
    except (FileNotFoundError, KeyError, ValueError):
        return None


def write_state(home: Path, state: DemoState) -> None:
    """Keep the state for the next start."""
    path = home / STATE_FILE
    path.touch(mode=0o600)
    path.write_text(
        json.dumps(
            {
                "tenant_id": str(state.tenant_id),
                "sandbox_port": state.sandbox_port,
                "sandbox_key": state.sandbox_key,
            }
        )
    )


def new_sandbox_key() -> str:
    """The key that the platform's credential and the sandbox share."""
    return secrets.token_urlsafe(24)


async def _offer_sandbox(opened: Opened, provider_name: str, base_url: str, api_key: str) -> None:
    for credential in await list_credentials(opened.database, PLATFORM_TENANT_ID):
        if credential.provider_name != provider_name or credential.disabled_at is not None:
            continue
        if credential.base_url == base_url:
            return
        await disable_credential(opened.database, opened.actor, PLATFORM_TENANT_ID, credential.credential_id)
    await add_credential(
        opened.database,
        opened.vault,
        opened.actor,
        PLATFORM_TENANT_ID,
        provider_name=provider_name,
        name=provider_name,
        secret=api_key,
        base_url=base_url,
        check_address=_platform_row,
    )


async def _platform_row(base_url: str) -> None:
    """The platform's own rows are exact hosts and ports by decision, so there is nothing to check."""
