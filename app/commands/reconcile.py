"""`signalbox reconcile`: bring what is recorded to what a provider bills."""

from pathlib import Path
from typing import Final

import click
import msgspec

from app.commands.errors import InputInvalid
from app.commands.opened import opened
from app.commands.output import as_json, command, show
from billing import ReconcileReport, read_statement, usd
from billing import reconcile as reconcile_lines

NANO_SUFFIX: Final = "_nano_usd"


@click.command()
@click.argument("statement", metavar="STATEMENT", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json
@command
async def reconcile(statement: Path, is_json: bool) -> None:
    """Read STATEMENT, a provider's usage report as CSV, and post what differs from our records.

    A line needs provider_name, started_at, model, cost_usd and attempt_id or response_id; tokens by kind are taken
    where they stand. Reading a statement again changes nothing.
    """
    # Read whole before the first line counts, so that a statement that breaks off changes nothing.
    with statement.open(encoding="utf-8-sig", newline="") as text:
        lines = list(read_statement(text))
    if not lines:
        raise InputInvalid(f"'{statement}' holds no call. Give the provider's report with one line a call.")
    async with opened() as parts:
        report = await reconcile_lines(parts.database, lines)
    show(report if is_json else _amounts(report), is_json=is_json)


def _amounts(report: ReconcileReport) -> dict[str, object]:
    return {
        name.removesuffix(NANO_SUFFIX): usd(value) if name.endswith(NANO_SUFFIX) else value
        for name, value in msgspec.structs.asdict(report).items()
    }
