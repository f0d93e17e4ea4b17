"""`signalbox budget`: what a tenant, one of its projects or one of its keys may spend in a period."""

from typing import Final, get_args
from uuid import UUID

import click
import msgspec

from app.commands.amounts import read_dollars
from app.commands.errors import InputInvalid
from app.commands.named import api_key_id_of, opened_tenant, project_id_of, tenant_option
from app.commands.output import as_json, command, show
from billing import (
    END_USERS_MAX_DEFAULT,
    Budget,
    BudgetMode,
    BudgetPeriod,
    list_budget_events,
    list_budgets,
    remove_budget,
    set_budget,
    usd,
)

COLUMNS: Final = (
    "budget_id", "scope", "scope_name", "is_per_end_user", "model", "mode", "period", "limit", "spent", "reserved",
    "resets_at",
)  # fmt: skip
EVENT_COLUMNS: Final = (
    "raised_at", "scope", "scope_name", "end_user", "model", "period", "threshold_percent", "limit", "spent",
)  # fmt: skip


@click.group()
def budget() -> None:
    """Set, list and remove budgets."""


@budget.command("set")
@tenant_option
@click.option("--usd", "limit_nano_usd", required=True, callback=read_dollars, metavar="USD", help="The limit.")
@click.option("--period", type=click.Choice(get_args(BudgetPeriod)), required=True, help="In the tenant's time zone.")
@click.option("--project", "project_name", help="For one project: its name or id.")
@click.option("--key", "key_name", help="For one API key: its name or id.")
@click.option("--model", help="For models: provider/model, in which * stands for anything.")
@click.option("--per-end-user", is_flag=True, help="One for each end user that requests name.")
@click.option(
    "--end-users-max",
    type=click.IntRange(min=1),
    default=END_USERS_MAX_DEFAULT,
    show_default=True,
    help="How many end users on their own; all others share one.",
)
@click.option(
    "--mode",
    type=click.Choice(get_args(BudgetMode)),
    default="hard",
    show_default=True,
    help="hard cannot be overspent, soft passes while anything is left, alert refuses nothing.",
)
@click.option(
    "--cheaper-from",
    "cheaper_from_percent",
    type=click.IntRange(1, 100),
    help="From so many percent on, routes prefer the cheapest model.",
)
@as_json
@command
async def set_limit(
    tenant_name: str,
    limit_nano_usd: int,
    period: BudgetPeriod,
    project_name: str | None,
    key_name: str | None,
    model: str | None,
    per_end_user: bool,
    end_users_max: int,
    mode: BudgetMode,
    cheaper_from_percent: int | None,
    is_json: bool,
) -> None:
    """Set a limit for the tenant, a project or a key; setting it again moves it."""
    if project_name and key_name:
        raise click.UsageError("A budget covers a project or an API key, not both; give one of --project and --key.")
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        made = await set_budget(
            parts.database,
            parts.actor,
            tenant_id,
            limit_nano_usd=limit_nano_usd,
            period=period,
            project_id=await project_id_of(parts, tenant_id, project_name) if project_name else None,
            api_key_id=await api_key_id_of(parts, tenant_id, key_name) if key_name else None,
            is_per_end_user=per_end_user,
            end_users_max=end_users_max,
            model=model,
            mode=mode,
            cheaper_from_percent=cheaper_from_percent,
        )
    show(made if is_json else _row(made), is_json=is_json)


@budget.command("list")
@tenant_option
@as_json
@command
async def list_them(tenant_name: str, is_json: bool) -> None:
    """List the budgets with what is spent and reserved in their running periods."""
    async with opened_tenant(tenant_name) as (parts, tenant_id), parts.database.tenant(tenant_id) as session:
        budgets = await list_budgets(session, tenant_id)
    show(list(budgets) if is_json else [_row(each) for each in budgets], is_json=is_json, columns=COLUMNS)


@budget.command("events")
@tenant_option
@as_json
@command
async def list_events(tenant_name: str, is_json: bool) -> None:
    """List the thresholds that budgets passed, the newest first."""
    async with opened_tenant(tenant_name) as (parts, tenant_id), parts.database.tenant(tenant_id) as session:
        events = await list_budget_events(session, tenant_id)
    rows = [
        {**msgspec.structs.asdict(each), "limit": usd(each.limit_nano_usd), "spent": usd(each.spent_nano_usd)}
        for each in events
    ]
    show(list(events) if is_json else rows, is_json=is_json, columns=EVENT_COLUMNS)


@budget.command()
@tenant_option
@click.argument("budget_id", metavar="BUDGET_ID")
@as_json
@command
async def remove(tenant_name: str, budget_id: str, is_json: bool) -> None:
    """Lift a budget; what was spent under it stays known."""
    wanted = _budget_id(budget_id)
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        await remove_budget(parts.database, parts.actor, tenant_id, wanted)
    show({"budget_id": wanted, "state": "removed"}, is_json=is_json)


def _budget_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InputInvalid(f"'{text}' is not a budget's id; `signalbox budget list` shows them.") from error


def _row(made: Budget) -> dict[str, object]:
    return {
        **msgspec.structs.asdict(made),
        "limit": usd(made.limit_nano_usd),
        "spent": usd(made.spent_nano_usd),
        "reserved": usd(made.reserved_nano_usd),
    }
