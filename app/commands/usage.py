"""`signalbox usage`: what a tenant used and what it was billed, by whatever it is asked by."""

from datetime import UTC, datetime, timedelta
from typing import Final

import click

from app.commands.amounts import read_moment
from app.commands.named import opened_tenant, tenant_option
from app.commands.output import as_json, command, print_table, show
from billing import UsageDimension, UsageRow, percentile_ms, usd
from billing import usage as read_usage
from tenants import find_tenant

DAYS_DEFAULT: Final = 30
SUMS: Final = (
    "request_count", "ok_count", "attempt_count", "input_tokens", "output_tokens", "cache_read_input_tokens",
    "cache_creation_input_tokens", "reasoning_output_tokens", "provider_cost_nano_usd", "own_credential_cost_nano_usd",
    "billed_nano_usd", "absorbed_nano_usd", "saved_nano_usd", "unpriced_count",
)  # fmt: skip


@click.command()
@tenant_option
@click.option(
    "--group-by",
    type=click.Choice([each.value for each in UsageDimension]),
    multiple=True,
    default=["model"],
    show_default=True,
    help="By what; may be given several times.",
)
@click.option("--since", callback=read_moment, help=f"From this hour on.  [default: {DAYS_DEFAULT} days ago]")
@click.option("--until", callback=read_moment, help="Up to this moment.  [default: now]")
@as_json
@command
async def usage(
    tenant_name: str, group_by: tuple[str, ...], since: datetime | None, until: datetime | None, is_json: bool
) -> None:
    """Show requests, tokens and amounts. Hours are whole; days are those of the tenant's time zone."""
    until = until or datetime.now(UTC)
    since = since or until - timedelta(days=DAYS_DEFAULT)
    if since >= until:
        raise click.UsageError(f"--since {since:%Y-%m-%dT%H:%MZ} is not before --until {until:%Y-%m-%dT%H:%MZ}.")
    dimensions = [UsageDimension(each) for each in dict.fromkeys(group_by)]
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        time_zone = (await find_tenant(parts.database, tenant_id)).time_zone
        async with parts.database.tenant(tenant_id) as session:
            rows = await read_usage(session, tenant_id, dimensions, since, until, time_zone=time_zone)
    if is_json:
        document = {
            "since": since,
            "until": until,
            "group_by": dimensions,
            "rows": [_facts(row, dimensions) for row in rows],
            "total": {name: sum(getattr(row, name) for row in rows) for name in SUMS},
        }
        show(document, is_json=True)
    elif not rows:
        click.echo("Nothing was used in this time.", err=True)
    else:
        _print(rows, dimensions)


def _facts(row: UsageRow, dimensions: list[UsageDimension]) -> dict[str, object]:
    return {
        **dict(zip(map(str, dimensions), row.group, strict=True)),
        **{name: getattr(row, name) for name in SUMS},
        "latency_ms_p95": percentile_ms(row.latency_histogram, 95),
    }


def _print(rows: tuple[UsageRow, ...], dimensions: list[UsageDimension]) -> None:
    numbers = ("requests", "ok", "input tokens", "output tokens", "billed", "saved", "p95 ms")
    cells = [
        [
            *(value or "—" for value in row.group),
            f"{row.request_count:,}",
            f"{row.ok_count:,}",
            f"{row.input_tokens:,}",
            f"{row.output_tokens:,}",
            usd(row.billed_nano_usd),
            usd(row.saved_nano_usd),
            f"{percentile_ms(row.latency_histogram, 95) or 0:,}",
        ]
        for row in rows
    ]
    total = [
        "total",
        *("" for _ in dimensions[1:]),
        f"{sum(row.request_count for row in rows):,}",
        f"{sum(row.ok_count for row in rows):,}",
        f"{sum(row.input_tokens for row in rows):,}",
        f"{sum(row.output_tokens for row in rows):,}",
        usd(sum(row.billed_nano_usd for row in rows)),
        usd(sum(row.saved_nano_usd for row in rows)),
        "",
    ]
    print_table([*map(str, dimensions), *numbers], [*cells, total], numbers=numbers)
