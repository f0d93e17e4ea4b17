"""`signalbox doctor`: looks at everything an installation stands on, and says what to do where it does not hold.

Invariant: it looks and changes nothing: no key, folder or database is made.
"""

from collections.abc import AsyncIterator

import click

from app.commands.doctor_checks import (
    Check,
    check_disk,
    check_home,
    check_master_key,
    check_port,
    check_python,
    look_at_database,
)
from app.commands.errors import SettingInvalid
from app.commands.output import Failed, as_json, command, show
from app.settings import read_settings


@click.command()
@as_json
@command
async def doctor(is_json: bool) -> None:
    """Check settings, state folder, keys, database, port and sandbox; exit code 1 when something is wrong."""
    checks = []
    async for check in _examine():
        checks.append(check)
        if not is_json:
            click.echo(f"{'ok' if check.is_ok else 'problem':8}{check.name:14}{check.detail}")
    problems = [check.name for check in checks if not check.is_ok]
    if is_json:
        show({"is_healthy": not problems, "checks": checks}, is_json=True)
    if problems:
        raise Failed(f"Something is wrong with: {', '.join(problems)}.")


async def _examine() -> AsyncIterator[Check]:
    yield check_python()
    try:
        settings = read_settings()
    except SettingInvalid as error:
        yield Check("settings", False, str(error))
        return
    yield Check("settings", True, f"{settings.environment}, listening on {settings.host}:{settings.port}")
    yield check_home(settings)
    yield check_disk(settings)
    key, vault = check_master_key(settings)
    yield key
    port, is_running = await check_port(settings)
    yield port
    for check in await look_at_database(settings, vault, is_running=is_running):
        yield check
