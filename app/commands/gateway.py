"""`serve`, `worker`, `migrate`, `sandbox`: the parts of an installation, one process tree each."""

import os
import sys
from typing import Final

import click

from app.commands.first_request import local_url
from app.commands.greeting import show_event
from app.commands.opened import migrate as migrate_database
from app.commands.opened import opened, running_postgres
from app.commands.output import as_json, command, show
from app.commands.ports import listen
from app.commands.preparation import prepare_installation, prepare_platform
from app.commands.processes import GatewayProcesses, until_stopped
from app.embedded import keep_running
from app.settings import read_settings
from app.telemetry import configure_logs
from app.worker import run_jobs

DATABASE_TIMEOUT_S: Final = 5.0


@click.command()
@as_json
@command
async def serve(is_json: bool) -> None:
    """Serve the gateway and the console on SIGNALBOX_HOST and SIGNALBOX_PORT until stopped."""
    configure_logs()
    settings = read_settings()
    listener = listen(settings.host, settings.port)
    async with opened(settings) as parts:
        await parts.database.ping(timeout_s=DATABASE_TIMEOUT_S)
        _tell("listening", is_json=is_json, base_url=local_url(settings))
        gateways = GatewayProcesses(listener, workers=settings.workers, environment=os.environ)
        watching = [keep_running(parts.postgres)] if parts.postgres else []
        await until_stopped(gateways.run(), *watching)


@click.command()
@as_json
@command
async def worker(is_json: bool) -> None:
    """Run the background jobs until stopped; any number of workers may run."""
    configure_logs()
    async with opened() as parts:
        _tell("working", is_json=is_json)
        await until_stopped(run_jobs(parts.database, parts.vault))


@click.command()
@as_json
@command
async def migrate(is_json: bool) -> None:
    """Bring the database up to date: roles, schema, plans, prices, the platform and its first operator."""
    settings = read_settings()
    async with running_postgres(settings):
        await migrate_database(settings)
        async with opened(settings) as parts:
            await prepare_installation(parts)
            operator_password = await prepare_platform(parts)
    show({"schema": "up to date", "operator_password": operator_password or "as set before"}, is_json=is_json)


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), default=0, show_default=True, help="0 takes a free one.")
@click.option("--state", type=click.Path(file_okay=False), help="Folder for the log of calls.")
@click.option("--faults", type=click.Path(dir_okay=False), help="JSON file of fault rules; see app/sandbox/README.md.")
@as_json
def sandbox(port: int, state: str | None, faults: str | None, is_json: bool) -> None:
    """Serve the simulated provider alone, in OpenAI's dialect and Anthropic's; its address is always told as JSON."""
    arguments = [sys.executable, "-m", "app.sandbox", "--port", str(port)]
    arguments += ["--state", state] if state else []
    arguments += ["--faults", faults] if faults else []
    os.execv(sys.executable, arguments)  # noqa: S606 - ourselves


def _tell(event: str, *, is_json: bool, **facts: str) -> None:
    if is_json:
        show_event(event, **facts)
    else:
        click.echo(" ".join((event.capitalize(), *facts.values())))
