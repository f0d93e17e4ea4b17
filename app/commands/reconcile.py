"""`signalbox reconcile`: bring what is recorded to what a provider bills, and tell whether the books agree."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click
import msgspec

from app.commands.errors import InputInvalid
from app.commands.opened import opened
from app.commands.output import as_json, command, show
from billing import ReconcileReport, StatementLine, find_drift, read_statement, usd
from billing import reconcile as reconcile_lines

NANO_SUFFIX: Final = "_nano_usd"
DAYS_MAX: Final = 366


@click.command()
@click.argument(
    "statement", metavar="[STATEMENT]", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--check", "is_checking", is_flag=True, help="Compare records, rollups, ledger and statements instead.")
@click.option(
    "--days", type=click.IntRange(1, DAYS_MAX), default=31, show_default=True, help="How far back --check looks."
)
@as_json
@command
async def reconcile(statement: Path | None, is_checking: bool, days: int, is_json: bool) -> None:
    """Read STATEMENT, a provider's usage report as CSV, and post what differs from our records.

    A line needs provider_name, started_at, model, cost_usd and attempt_id or response_id; tokens by kind are taken
    where they stand. Reading a statement again changes nothing. With --check nothing is changed; exit code 1 says
    that books disagree.
    """
    if (statement is None) is not is_checking:
        raise click.UsageError("Give either a STATEMENT to read or --check.")
    if statement is None:
        await _check(days, is_json=is_json)
        return
    # Read whole before the first line counts, so that a statement that breaks off changes nothing.
    lines = _read(statement)
    async with opened() as parts:
        report = await reconcile_lines(parts.database, lines)
    show(report if is_json else _amounts(report), is_json=is_json)


def _read(statement: Path) -> list[StatementLine]:
    with statement.open(encoding="utf-8-sig", newline="") as text:
        lines = list(read_statement(text))
    if not lines:
        raise InputInvalid(f"'{statement}' holds no call. Give the provider's report with one line a call.")
    return lines


async def _check(days: int, *, is_json: bool) -> None:
    until = datetime.now(UTC)
    async with opened() as parts:
        drifts = await find_drift(parts.database, until - timedelta(days=days), until)
    if drifts or is_json:
        show(list(drifts), is_json=is_json)
    else:
        click.echo(f"The books of the last {days} days agree.")
    if drifts:
        raise click.exceptions.Exit(1)


def _amounts(report: ReconcileReport) -> dict[str, object]:
    return {
        name.removesuffix(NANO_SUFFIX): usd(value) if name.endswith(NANO_SUFFIX) else value
        for name, value in msgspec.structs.asdict(report).items()
    }
