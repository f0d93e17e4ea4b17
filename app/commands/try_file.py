"""`signalbox try FILE`: send real prompts through a running gateway and show what went where, why, at what cost.

It is a client like any other: it needs an address and a key, and opens no database.
"""

import asyncio
import sys
from pathlib import Path
from time import monotonic
from typing import Final

import aiohttp
import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from app.commands.errors import InputInvalid
from app.commands.output import Failed, as_json, command, show
from app.commands.try_client import CONNECT_TIMEOUT_S, REQUEST_TIMEOUT_S, GatewayClient, Tried
from app.commands.try_prompts import Prompt, read_prompts
from app.commands.try_report import print_report, summarize
from app.routing import AUTO
from billing import usd

CONCURRENCY_MAX: Final = 256
BASE_URL: Final = "http://127.0.0.1:8080"


@click.command("try")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--base-url", envvar="SIGNALBOX_BASE_URL", default=BASE_URL, show_default=True, show_envvar=True)
@click.option("--key", envvar="SIGNALBOX_API_KEY", required=True, show_envvar=True, help="A tenant's API key.")
@click.option(
    "--model", default=AUTO, show_default=True, help="What each request asks for: auto/POLICY, or provider/model."
)
@click.option(
    "--concurrency", type=click.IntRange(1, CONCURRENCY_MAX), default=16, show_default=True, help="Requests at once."
)
@click.option("--limit", type=click.IntRange(min=1), help="Send the first prompts only.")
@click.option("--stream", "is_streamed", is_flag=True, help="Ask for streams.")
@click.option(
    "--task-tag/--no-task-tag",
    "is_task_told",
    default=False,
    show_default=True,
    help="Tell the gateway the file's task, instead of comparing it with the gateway's.",
)
@as_json
@command
async def try_file(
    file: Path,
    base_url: str,
    key: str,
    model: str,
    concurrency: int,
    limit: int | None,
    is_streamed: bool,
    is_task_told: bool,
    is_json: bool,
) -> None:
    """Send the prompts of FILE, JSONL with `text` and optional `task` (.gz too), through a running gateway."""
    if not key.isascii() or not key.isprintable() or not key.strip():
        raise InputInvalid("The key is not one line of ASCII. Keys look like sbx_live_…; copy it again.")
    found = read_prompts(file, limit=limit)
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        address = base_url.rstrip("/").removesuffix("/v1")
        client = GatewayClient(
            http, address, key.strip(), model=model, is_streamed=is_streamed, is_task_told=is_task_told
        )
        await client.check()
        started = monotonic()
        tried = await _send_all(client, found.prompts, concurrency)
        wall_s = monotonic() - started
    report = summarize(tried, found.bad_lines, wall_s=wall_s, is_task_told=is_task_told)
    if is_json:
        show(report, is_json=True)
    else:
        print_report(report)
    if not report.answered:
        code = next(iter({**report.refused, **report.errors}))
        raise Failed(f"No prompt was answered. {code}: {report.reasons[code]}")


async def _send_all(client: GatewayClient, prompts: tuple[Prompt, ...], concurrency: int) -> list[Tried]:
    """Send every prompt, so many at once, and show how far it is; the results stand in the file's order."""
    tried: list[Tried] = []
    waiting = iter(prompts)
    with _progress() as progress:
        task = progress.add_task("", total=len(prompts), cost="")
        cost_nano_usd = 0

        async def work() -> None:
            nonlocal cost_nano_usd
            # One iterator for all: each worker takes the next prompt when it is free.
            for prompt in waiting:
                done = await client.send(prompt)
                tried.append(done)
                cost_nano_usd += sum(exchanged.cost_nano_usd or 0 for exchanged in done.exchanges)
                progress.update(task, advance=1, cost=usd(cost_nano_usd))

        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(prompts))):
                group.create_task(work())
    return sorted(tried, key=lambda each: each.prompt.line)


def _progress() -> Progress:
    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[cost]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
