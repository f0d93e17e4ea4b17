"""`signalbox limit`: how many requests at once, and how many requests and tokens in a minute or a day."""

from typing import Final
from uuid import UUID

import click
import msgspec

from app.commands.errors import InputInvalid
from app.commands.named import api_key_id_of, opened_tenant, project_id_of, tenant_option
from app.commands.output import as_json, command, show
from billing import LimitKind, list_traffic_limits, remove_traffic_limit, set_traffic_limit, traffic_states

COLUMNS: Final = (
    "limit_id", "scope", "scope_name", "is_per_end_user", "model", "kind", "limit_count", "used_count", "burst_count",
)  # fmt: skip


@click.group()
def limit() -> None:
    """Set, list and remove limits of requests and tokens."""


@limit.command("set")
@tenant_option
@click.argument("kind", type=click.Choice([kind.value for kind in LimitKind]))
@click.argument("count", type=click.IntRange(min=1))
@click.option("--burst", type=click.IntRange(min=1), help="How much passes at once; as much as the limit if not said.")
@click.option("--project", "project_name", help="For one project: its name or id.")
@click.option("--key", "key_name", help="For one API key: its name or id.")
@click.option("--model", help="For models: provider/model, in which * stands for anything.")
@click.option("--per-end-user", is_flag=True, help="One for each end user that requests name.")
@as_json
@command
async def set_limit(
    tenant_name: str,
    kind: str,
    count: int,
    burst: int | None,
    project_name: str | None,
    key_name: str | None,
    model: str | None,
    per_end_user: bool,
    is_json: bool,
) -> None:
    """Set a limit for the tenant, a project or a key; setting it again moves it."""
    if project_name and key_name:
        raise click.UsageError("A limit covers a project or an API key, not both; give one of --project and --key.")
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        made = await set_traffic_limit(
            parts.database,
            parts.actor,
            tenant_id,
            kind=LimitKind(kind),
            limit_count=count,
            burst_count=burst,
            project_id=await project_id_of(parts, tenant_id, project_name) if project_name else None,
            api_key_id=await api_key_id_of(parts, tenant_id, key_name) if key_name else None,
            is_per_end_user=per_end_user,
            model=model,
        )
    show(made, is_json=is_json)


@limit.command("list")
@tenant_option
@as_json
@command
async def list_them(tenant_name: str, is_json: bool) -> None:
    """List the limits with what is used of them now."""
    async with opened_tenant(tenant_name) as (parts, tenant_id), parts.database.tenant(tenant_id) as session:
        limits = await list_traffic_limits(session, tenant_id)
        states = await traffic_states(session, tenant_id)
    rows = [
        {**msgspec.structs.asdict(each), **msgspec.structs.asdict(states[each.limit_id])}
        for each in limits
        if each.limit_id in states
    ]
    show(rows, is_json=is_json, columns=COLUMNS)


@limit.command()
@tenant_option
@click.argument("limit_id", metavar="LIMIT_ID")
@as_json
@command
async def remove(tenant_name: str, limit_id: str, is_json: bool) -> None:
    """Lift a limit."""
    try:
        wanted = UUID(limit_id)
    except ValueError as error:
        raise InputInvalid(f"'{limit_id}' is not a limit's id; `signalbox limit list` shows them.") from error
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        await remove_traffic_limit(parts.database, parts.actor, tenant_id, wanted)
    show({"limit_id": wanted, "state": "removed"}, is_json=is_json)
