"""How commands answer: a table or one JSON document on standard output, errors in one line on standard error.

Invariant: a failure that has a name ends in exit code 1 with what to do; only a fault of ours shows a trace.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from typing import Any, Final, ParamSpec

import click
import msgspec
from rich.console import Console
from rich.table import Table

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
        except DATABASE_ERRORS as error:
            raise Failed(f"The database did not answer: {error}. `signalbox doctor` looks into it.") from error
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
    table = Table(*names, title=title, header_style="bold")
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    # A pipe gets whole lines; a terminal gets what fits.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


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
