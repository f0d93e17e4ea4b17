"""`signalbox tenant`: make tenants, list them, move them between plans. For the operator."""

import re
import unicodedata
from uuid import UUID

import click
from sqlalchemy.ext.asyncio import AsyncSession

from app.commands.errors import InputInvalid
from app.commands.named import installed, opened_tenant
from app.commands.output import as_json, command, show
from billing import BillingSnapshot, change_plan, subscribe
from tenants import create_key, create_tenant, list_tenants


@click.group()
def tenant() -> None:
    """Make, list and move tenants."""


@tenant.command()
@click.argument("name")
@click.option("--plan", "plan_id", required=True, help="free, pro or enterprise.")
@click.option("--email", help="The owner's email.  [default: owner@NAME.example]")
@as_json
@command
async def create(name: str, plan_id: str, email: str | None, is_json: bool) -> None:
    """Make a tenant with its owner and a first API key; both secrets are shown this once."""
    owner_email = email or _email_of(name)
    async with installed() as parts:

        async def join_plan(session: AsyncSession, tenant_id: UUID) -> None:
            await subscribe(session, parts.actor, tenant_id, plan_id)

        # In one transaction: a plan that does not exist leaves no tenant behind.
        made = await create_tenant(
            parts.database, parts.vault, parts.actor, name=name, owner_email=owner_email, alongside=join_plan
        )
        key = await create_key(parts.database, parts.vault, parts.actor, made.tenant_id, name="first key")
    show(
        {
            "tenant_id": made.tenant_id,
            "owner_email": made.owner_email,
            "owner_password": made.owner_password,
            "api_key": key.secret,
        },
        is_json=is_json,
    )


@tenant.command("list")
@as_json
@command
async def list_them(is_json: bool) -> None:
    """List the tenants with their plans, newest first."""
    async with installed() as parts:
        plans = BillingSnapshot(parts.database)
        rows = [
            {
                "tenant_id": each.tenant_id,
                "name": each.name,
                "plan_id": (await plans.plan(each.tenant_id)).plan_id,
                "status": each.status,
                "created_at": each.created_at,
            }
            for each in await list_tenants(parts.database, parts.actor)
        ]
    show(rows, is_json=is_json)


@tenant.command()
@click.argument("tenant_name", metavar="TENANT")
@click.argument("plan_id", metavar="PLAN")
@as_json
@command
async def plan(tenant_name: str, plan_id: str, is_json: bool) -> None:
    """Move a tenant to a plan; it holds on the request path within a second."""
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        moved = await change_plan(parts.database, parts.actor, tenant_id, plan_id)
    show({"tenant_id": tenant_id, "plan_id": moved.plan_id, "plan_version": moved.version}, is_json=is_json)


def _email_of(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    host = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if not host:
        raise InputInvalid(f"No address can be made of '{name}'. Give the owner's with --email.")
    return f"owner@{host}.example"
