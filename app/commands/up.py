"""`signalbox up`: everything on one machine, from nothing to a routed request; what `make run` calls.

Invariants: the first start shows each secret once and keeps its hash; a later start finds its data
again; whatever this process started ends with it.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from app.commands.errors import SettingInvalid
from app.commands.first_request import Demo, base_url_of, send_first_request
from app.commands.greeting import console, show_event, show_greeting, show_secrets
from app.commands.opened import Opened, opened
from app.commands.output import as_json, command
from app.commands.ports import listen
from app.commands.preparation import (
    DemoState,
    new_sandbox_key,
    prepare_demo,
    prepare_installation,
    prepare_platform,
    prepare_sandbox,
    read_state,
    write_state,
)
from app.commands.processes import GatewayProcesses, SandboxProcess, until_stopped
from app.embedded import alone_in, keep_running
from app.settings import DemoPart, Settings, read_settings, without_secrets
from app.telemetry import configure_logs
from app.worker import run_jobs
from billing import PriceBookRejected
from tenants import NotFound, find_tenant


@click.command()
@as_json
@command
async def up(is_json: bool) -> None:
    """Run everything here: database, simulated provider, gateway, console and worker. No provider key needed."""
    configure_logs()
    settings = read_settings()
    for part in (DemoPart.SANDBOX, DemoPart.DEMO_IDENTITIES):
        settings.refuse_in_production(part, "Run `signalbox migrate` and `signalbox serve` instead")
    listener = listen(settings.host, settings.port)
    with alone_in(settings.home):
        async with opened(settings, is_migrating=True) as parts, _sandbox(settings) as sandbox:
            demo = await _prepare(parts, sandbox, is_json=is_json)
            gateways = GatewayProcesses(listener, workers=settings.workers, environment=os.environ)
            watching = [keep_running(parts.postgres)] if parts.postgres else []
            greeting = _greet(parts, demo, is_json=is_json)
            await until_stopped(gateways.run(), run_jobs(parts.database, parts.vault), greeting, *watching)
    if is_json:
        show_event("stopped")
    else:
        console.print("Stopped.")


async def _prepare(parts: Opened, sandbox: SandboxProcess, *, is_json: bool) -> Demo:
    """Make what is missing. What the first start made is shown at once, before anything can go wrong."""
    home = parts.settings.home
    try:
        await prepare_installation(parts)
    except PriceBookRejected as error:
        click.echo(f"signalbox: the newest prices were not taken; those in force stay. {error}", err=True)
    demo, made = await _known_demo(parts), None
    operator_password = await prepare_platform(parts)
    try:
        await prepare_sandbox(parts, sandbox.base_url, sandbox.api_key)
        if demo is None:
            made = await prepare_demo(parts)
            demo = Demo(made.tenant_id, made.api_key)
    finally:
        if made or operator_password:
            show_secrets(made, operator_password, is_json=is_json)
    write_state(home, DemoState(tenant_id=demo.tenant_id, sandbox_port=sandbox.port, sandbox_key=sandbox.api_key))
    return demo


async def _known_demo(parts: Opened) -> Demo | None:
    """The demo tenant of an earlier start, if it was made in this database."""
    state = read_state(parts.settings.home)
    if state is None:
        return None
    try:
        await find_tenant(parts.database, state.tenant_id)
    except NotFound:
        return None
    return Demo(state.tenant_id, None)


async def _greet(parts: Opened, demo: Demo, *, is_json: bool) -> None:
    """Wait until the gateway serves, send it one request, and say where everything is."""
    request = await send_first_request(parts, demo)
    show_greeting(base_url_of(parts), request, api_key=demo.api_key, is_json=is_json)
    await asyncio.Event().wait()


@asynccontextmanager
async def _sandbox(settings: Settings) -> AsyncIterator[SandboxProcess]:
    """The simulated provider, with the key and on the port it had before, if that is free."""
    state = read_state(settings.home)
    sandbox = await SandboxProcess.start(
        settings.home / "sandbox",
        port=state.sandbox_port if state and _is_free(state.sandbox_port) else 0,
        api_key=state.sandbox_key if state else new_sandbox_key(),
        environment=without_secrets(os.environ),
    )
    try:
        yield sandbox
    finally:
        await sandbox.stop()


def _is_free(port: int) -> bool:
    try:
        listen("127.0.0.1", port).close()
    except SettingInvalid:
        return False
    return True
