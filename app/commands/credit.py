"""`signalbox credit`: what a tenant may use before it is used up."""

from datetime import UTC, datetime
from typing import Final, get_args

import click
import msgspec

from app.commands.amounts import read_dollars, read_moment
from app.commands.named import opened_tenant, tenant_option
from app.commands.output import as_json, command, show
from billing import CreditGrant, CreditKind, CreditState, Currency, credit_states, draw_credit, grant_credit, usd

COLUMNS: Final = ("kind", "currency", "amount", "left", "expires_at", "note", "created_at", "grant_id")


@click.group()
def credit() -> None:
    """Give a tenant credit, and show what is left of it."""


@credit.command("grant")
@tenant_option
@click.option("--usd", "amount_nano_usd", required=True, callback=read_dollars, metavar="USD", help="How much.")
@click.option("--kind", type=click.Choice(get_args(CreditKind)), default="prepaid", show_default=True)
@click.option(
    "--currency",
    type=click.Choice(get_args(Currency)),
    default="USD",
    show_default=True,
    help="XTS is for calls of simulated models.",
)
@click.option("--expires", "expires_at", callback=read_moment, help="Until when it may be used.  [default: always]")
@click.option("--note", default="", help="What the tenant reads beside it.")
@as_json
@command
async def grant_it(
    tenant_name: str,
    amount_nano_usd: int,
    kind: CreditKind,
    currency: Currency,
    expires_at: datetime | None,
    note: str,
    is_json: bool,
) -> None:
    """Give credit. From its first grant on a tenant spends no more than its credit; promotional credit goes first."""
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        grant = await grant_credit(
            parts.database,
            parts.actor,
            tenant_id,
            amount_nano_usd=amount_nano_usd,
            kind=kind,
            currency=currency,
            expires_at=expires_at,
            note=note,
        )
    show(grant if is_json else _row(grant), is_json=is_json)


@credit.command("list")
@tenant_option
@as_json
@command
async def list_it(tenant_name: str, is_json: bool) -> None:
    """Show the grants, what of each was drawn, and what is left to spend."""
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        await draw_credit(parts.database)
        async with parts.database.tenant(tenant_id) as session:
            states = await credit_states(session, tenant_id)
    if is_json:
        show([_facts(state) for state in states], is_json=True)
        return
    show([_row(grant) for state in states for grant in state.grants], is_json=False, columns=COLUMNS)
    for state in states:
        click.echo(f"{usd(state.left_nano_usd)} {state.currency} left, {usd(state.reserved_nano_usd)} held by calls")


def _facts(state: CreditState) -> dict[str, object]:
    return msgspec.structs.asdict(state) | {"left_nano_usd": state.left_nano_usd}


def _row(grant: CreditGrant) -> dict[str, object]:
    is_over = grant.is_expired(datetime.now(UTC))
    return {
        "kind": grant.kind,
        "currency": grant.currency,
        "amount": usd(grant.amount_nano_usd),
        "left": usd(0 if is_over else grant.left_nano_usd),
        "expires_at": grant.expires_at,
        "note": grant.note,
        "created_at": grant.created_at,
        "grant_id": grant.grant_id,
    }
