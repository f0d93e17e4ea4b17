"""How commands answer: a table or one JSON document on standard output, errors in one line on standard error.

Invariant: a failure that has a name ends in exit code 1 with what to do; only a fault of ours shows a trace.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import wraps
from typing import Any, Final, ParamSpec

import click
import msgspec
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from app.commands.errors import CommandError
from app.embedded import EmbeddedError
from app.gateway.errors import GatewayError
from app.providers import ProviderError
from app.routing import RoutingError
from billing import BillingError
from migrations import MigrationFailed
from tenants import DATABASE_ERRORS, TenantError

P = ParamSpec("P")
NAMED: Final = (
    BillingError, CommandError, EmbeddedError, GatewayError, MigrationFailed, ProviderError, RoutingError, TenantError,
)  # fmt: skip
# Wider than any line of ours: what a program reads must not be cut.
PIPE_WIDTH: Final = 1_000
# PostgreSQL's codes for a table, a column or a function that is not there.
SCHEMA_STATES: Final = frozenset({"42P01", "42703", "42883"})

as_json = click.option("--json", "is_json", is_flag=True, help="Print one JSON document.")


class Failed(click.ClickException):
    """A command's failure: one line on standard error, exit code 1."""

    def show(self, file: Any = None) -> None:
        """Write the line."""
        click.echo(f"signalbox: {self.message}", err=True)


def command(run: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async command to its end, with named failures as one line."""

    @wraps(run)
    def runs(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            asyncio.run(run(*args, **kwargs))
        except NAMED as error:
            raise Failed(str(error)) from error
        except BrokenPipeError:
            # Whoever read our output has seen enough; nothing is wrong.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except DATABASE_ERRORS as error:
            raise Failed(_database_reason(error)) from error
        except KeyboardInterrupt:
            raise Failed("stopped") from None

    return runs


def show(document: object, *, is_json: bool, columns: Sequence[str] = (), title: str | None = None) -> None:
    """Print a document: as JSON, else rows as a table and single things as lines."""
    plain = msgspec.to_builtins(document, str_keys=True)
    if is_json:
        click.echo(msgspec.json.format(msgspec.json.encode(plain)).decode())
    elif isinstance(plain, list):
        _show_rows(plain, columns, title)
    else:
        for name, value in plain.items():
            click.echo(f"{name}: {_cell(value)}")


def _show_rows(rows: list[dict[str, Any]], columns: Sequence[str], title: str | None) -> None:
    names = list(columns) or (list(rows[0]) if rows else [])
    if not rows:
        click.echo("None.", err=True)
        return
    print_table(names, [[_cell(row.get(name)) for name in names] for row in rows], title=title)


def print_table(
    names: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None, numbers: Collection[str] = ()
) -> None:
    """Print rows: ruled for a terminal, plain whole lines for a pipe. Columns of `numbers` stand to the right."""
    is_terminal = sys.stdout.isatty()
    table = Table(
        title=title,
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD if is_terminal else None,
        pad_edge=False,
        collapse_padding=is_terminal,
    )
    for place, name in enumerate(names):
        # An id is never cut: only columns of sentences make way.
        has_sentences = name not in numbers and any(" " in row[place] for row in rows)
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=not has_sentences)
    for row in rows:
        # Names that tenants choose are text, whatever brackets they hold.
        table.add_row(*map(Text, row))
    console = Console(width=None if is_terminal else PIPE_WIDTH)
    least = Measurement.get(console, console.options.update(max_width=PIPE_WIDTH), table).minimum
    console.width = max(console.width, least)
    console.print(table)


def reason_of(error: BaseException) -> str:
    """What the database or a connection to it said, in one line, without the statement that it was asked."""
    reason = getattr(error, "orig", None) or error
    said = str(reason.__cause__ or reason).splitlines() or [type(error).__name__]
    return said[0].rstrip(".")


def _database_reason(error: BaseException) -> str:
    """The failure with what to do."""
    reason = getattr(error, "orig", None) or error
    if getattr(reason, "sqlstate", None) in SCHEMA_STATES:
        return "The database is not that of this release. Run `signalbox migrate`."
    return f"The database did not answer: {reason_of(error)}. `signalbox doctor` looks into it."


def _cell(value: object) -> str:
    match value:
        case None:
            return "—"
        case list():
            return ", ".join(map(_cell, value))
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
