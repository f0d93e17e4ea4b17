"""`signalbox key`: the API keys of a tenant. A key itself is shown once, when it is made."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import click

from app.commands.named import api_key_id_of, opened_tenant, project_id_of, tenant_option
from app.commands.output import as_json, command, show
from tenants import APIKey, CreatedKey, KeyPrefix, create_key, list_keys, list_projects, revoke_key, rotate_key

EXPIRY_DAYS_MAX: Final = 3_650
OVERLAP_HOURS_MAX: Final = 720
COLUMNS: Final = ("api_key_id", "name", "project", "kind", "last_four", "state", "created_at", "expires_at")


@click.group()
def key() -> None:
    """Create, list, rotate and revoke API keys."""


@key.command()
@tenant_option
@click.option("--name", default="key", show_default=True, help="What people call it.")
@click.option("--project", "project_name", help="The project's name or id.  [default: the tenant's first]")
@click.option("--management", "is_management", is_flag=True, help="For the management API, not for models.")
@click.option("--expires-days", type=click.IntRange(1, EXPIRY_DAYS_MAX), help="Days until it stops.  [default: never]")
@as_json
@command
async def create(
    tenant_name: str, name: str, project_name: str | None, is_management: bool, expires_days: int | None, is_json: bool
) -> None:
    """Create a key; it is shown this once."""
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        created = await create_key(
            parts.database,
            parts.vault,
            parts.actor,
            tenant_id,
            name=name,
            project_id=await project_id_of(parts, tenant_id, project_name) if project_name else None,
            prefix=KeyPrefix.MANAGEMENT if is_management else KeyPrefix.LIVE,
            expires_at=datetime.now(UTC) + timedelta(days=expires_days) if expires_days else None,
        )
    _show_created(created, is_json)


@key.command("list")
@tenant_option
@as_json
@command
async def list_them(tenant_name: str, is_json: bool) -> None:
    """List the keys, newest first, with those that no longer work."""
    now = datetime.now(UTC)
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        projects = {each.project_id: each.name for each in await list_projects(parts.database, tenant_id)}
        keys = await list_keys(parts.database, tenant_id)
    show([_row(each, projects, now) for each in keys], is_json=is_json, columns=COLUMNS)


@key.command()
@tenant_option
@click.argument("key_name", metavar="KEY")
@click.option(
    "--overlap-hours", type=click.IntRange(0, OVERLAP_HOURS_MAX), default=24, show_default=True,
    help="How long the old key still works.",
)  # fmt: skip
@as_json
@command
async def rotate(tenant_name: str, key_name: str, overlap_hours: int, is_json: bool) -> None:
    """Create a key like KEY (an id or a name) and let the old one run out; the new one is shown this once."""
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        api_key_id = await api_key_id_of(parts, tenant_id, key_name)
        created = await rotate_key(
            parts.database, parts.vault, parts.actor, tenant_id, api_key_id, overlap_s=overlap_hours * 3_600
        )
    _show_created(created, is_json)


@key.command()
@tenant_option
@click.argument("key_name", metavar="KEY")
@as_json
@command
async def revoke(tenant_name: str, key_name: str, is_json: bool) -> None:
    """Stop KEY (an id or a name) everywhere, within a second."""
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        api_key_id = await api_key_id_of(parts, tenant_id, key_name)
        await revoke_key(parts.database, parts.actor, tenant_id, api_key_id)
    show({"api_key_id": api_key_id, "state": "revoked"}, is_json=is_json)


def _show_created(created: CreatedKey, is_json: bool) -> None:
    made = created.key
    show(
        {"api_key_id": made.api_key_id, "name": made.name, "api_key": created.secret, "expires_at": made.expires_at},
        is_json=is_json,
    )


def _row(key: APIKey, projects: dict[UUID, str], now: datetime) -> dict[str, object]:
    state = "revoked" if key.revoked_at else "live" if key.is_live(now) else "expired"
    return {
        "api_key_id": key.api_key_id,
        "name": key.name,
        "project_id": key.project_id,
        "project": projects.get(key.project_id),
        "kind": key.kind,
        "prefix": key.prefix,
        "last_four": key.last_four,
        "scopes": sorted(key.scopes),
        "state": state,
        "created_by": key.created_by,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }
