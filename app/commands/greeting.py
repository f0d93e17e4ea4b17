"""What `up` and `serve` print: secrets once, then where everything is and what one request did.

For a program each is one line of JSON, named by its `event`.
"""

import sys
from dataclasses import asdict
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from app.commands.first_request import PROMPT, FirstRequest
from app.commands.preparation import DEMO_OWNER_EMAIL, DEMO_TENANT, OPERATOR_EMAIL, MadeDemo

PIPE_WIDTH: Final = 160
# A pipe has no width: addresses must stay whole in it.
console: Final = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def show_event(event: str, **facts: object) -> None:
    """Print one line of JSON."""
    click.echo(msgspec.json.encode({"event": event, **facts}))


def show_secrets(made: MadeDemo | None, operator_password: str | None, *, is_json: bool) -> None:
    """Print what was made now. It is not shown again: the database keeps hashes."""
    if is_json:
        show_event(
            "made",
            owner_email=DEMO_OWNER_EMAIL if made else None,
            owner_password=made.owner_password if made else None,
            api_key=made.api_key if made else None,
            operator_email=OPERATOR_EMAIL if operator_password else None,
            operator_password=operator_password,
        )
        return
    rows = _rows()
    if made is not None:
        rows.add_row("sign-in", f"{DEMO_OWNER_EMAIL}  password  [bold]{made.owner_password}[/bold]")
        rows.add_row("API key", f"[bold]{made.api_key}[/bold]")
    if operator_password is not None:
        rows.add_row("operator", f"{OPERATOR_EMAIL}  password  [bold]{operator_password}[/bold]")
    console.print(Panel(rows, title="Shown this once: keep them", border_style="yellow", expand=False))


def show_greeting(base_url: str, request: FirstRequest, *, api_key: str | None, is_json: bool) -> None:
    """Print the addresses, a curl line, and the request that was sent."""
    if is_json:
        places = {"console_url": f"{base_url}/console", "operator_url": f"{base_url}/operator"}
        show_event("serving", base_url=base_url, **places, api_key=api_key, request=asdict(request))
        return
    rows = _rows()
    rows.add_row("console", f"{base_url}/console")
    rows.add_row("operator", f"{base_url}/operator")
    rows.add_row("API", f"{base_url}/v1   (point an OpenAI SDK at it; Anthropic's takes the address without /v1)")
    console.print(rows)
    key = api_key or "$SIGNALBOX_API_KEY"
    console.print(
        f"\ncurl {base_url}/v1/chat/completions -H 'authorization: Bearer {key}' -H 'content-type: application/json' "
        '-d \'{"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}\' -i\n',
        markup=False,
        soft_wrap=True,
    )
    if api_key is None:
        console.print(
            f"Signed in before, and no key at hand? `signalbox key create --tenant {DEMO_TENANT}` makes a new one.\n"
        )
    routed = _rows()
    routed.add_row("prompt", PROMPT)
    routed.add_row("model", request.model)
    routed.add_row("route", request.route)
    routed.add_row("cost", f"${request.cost_usd}   saved ${request.saved_usd} against the dearest candidate")
    routed.add_row("request", f"{base_url}/console/requests/{request.request_id}")
    console.print(Panel(routed, title="One routed request", border_style="green", expand=False))
    console.print("Serving. Ctrl-C stops everything.")


def _rows() -> Table:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    return rows
