"""The checks of `signalbox doctor`, one function each; a detail says what was found and what to do.

Invariant: a check looks and changes nothing, and never shows a key or a password.
"""

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from app.commands.errors import SettingInvalid
from app.commands.first_request import local_url
from app.commands.opened import open_database, open_vault, running_postgres
from app.commands.output import reason_of
from app.commands.ports import listen
from app.commands.try_client import REQUEST_ID
from app.embedded import EmbeddedError, EmbeddedPostgres
from app.embedded.postgres import SUPERUSER
from app.sandbox import PROVIDER_NAME as SANDBOX
from app.settings import DemoPart, Settings
from migrations import NEWEST_SERVER, OLDEST_SERVER, MigrationFailed, database_state
from tenants import DATABASE_ERRORS, PLATFORM_TENANT_ID, Database, TenantError, Vault, list_credentials
from tenants import check_master_key as check_stored_key

PYTHON_OLDEST: Final = (3, 11)
FREE_BYTES_MIN: Final = 1_000_000_000
PROBE_TIMEOUT_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    is_ok: bool
    detail: str


def check_python() -> Check:
    """Whether the interpreter is new enough."""
    oldest = ".".join(map(str, PYTHON_OLDEST))
    is_ok = sys.version_info[:2] >= PYTHON_OLDEST
    return Check("Python", is_ok, platform.python_version() + ("" if is_ok else f"; install {oldest} or newer"))


def check_home(settings: Settings) -> Check:
    """Whether the state folder can be written, or made."""
    home = settings.home.absolute()
    there = _nearest(home)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Check(
            "home", False, f"{there} cannot be written; make it writable, or set SIGNALBOX_HOME to another folder"
        )
    return Check("home", True, str(home) if there == home else f"{home}, made at the first start")


def check_disk(settings: Settings) -> Check:
    """Whether there is room for data."""
    free_bytes = shutil.disk_usage(_nearest(settings.home.absolute())).free
    free = f"{free_bytes // 1_000_000:,} MB free"
    if free_bytes < FREE_BYTES_MIN:
        return Check("disk", False, f"{free}, at least {FREE_BYTES_MIN // 1_000_000:,} MB are needed; make room")
    return Check("disk", True, free)


def check_master_key(settings: Settings) -> tuple[Check, Vault | None]:
    """Whether there is a master key, or one will be made; the vault it opens."""
    is_local = settings.master_key is None and settings.master_key_file is None
    try:
        if is_local and not settings.local_key_file.exists():
            settings.refuse_in_production(
                DemoPart.LOCAL_KEY_FILE, "Set SIGNALBOX_MASTER_KEY or SIGNALBOX_MASTER_KEY_FILE"
            )
            return Check("master key", True, f"made at the first start, in {settings.local_key_file}"), None
        vault = open_vault(settings)
    except (SettingInvalid, TenantError, OSError) as error:
        return Check("master key", False, str(error)), None
    place = settings.local_key_file if is_local else settings.master_key_file or "SIGNALBOX_MASTER_KEY"
    return Check("master key", True, f"{vault.master_key_id}, from {place}"), vault


async def check_port(settings: Settings) -> tuple[Check, bool]:
    """Whether the port is free, or a gateway of ours has it; and whether one does."""
    try:
        listen(settings.host, settings.port).close()
    except SettingInvalid as error:
        url = local_url(settings)
        if await _is_gateway(url):
            return Check("port", True, f"{settings.port} is a running gateway's, {url}"), True
        return Check("port", False, str(error)), False
    return Check("port", True, f"{settings.port} is free"), False


async def look_at_database(settings: Settings, vault: Vault | None, *, is_running: bool) -> list[Check]:
    """Whether the database can be reached and is ours, and what it says of the sandbox."""
    try:
        if settings.is_embedded:
            settings.refuse_in_production(DemoPart.EMBEDDED_DATABASE, "Set SIGNALBOX_DATABASE_URL")
            if not (settings.postgres_folder / ".ready").exists():
                return [Check("database", True, "our own, made at the first start")]
        async with running_postgres(settings):
            return await _look_inside(settings, vault, is_running=is_running)
    except (SettingInvalid, EmbeddedError, MigrationFailed, TenantError) as error:
        return [Check("database", False, str(error))]
    except DATABASE_ERRORS as error:
        return [Check("database", False, f"it fails when asked: {reason_of(error)}; see its log")]


async def _look_inside(settings: Settings, vault: Vault | None, *, is_running: bool) -> list[Check]:
    login = settings.database_url or EmbeddedPostgres(settings.postgres_folder).url(SUPERUSER)
    state = await database_state(login)
    kind = "our own" if settings.is_embedded else "given"
    supported = "" if state.is_supported else f"; use {OLDEST_SERVER} to {NEWEST_SERVER}"
    checks = [Check("database", state.is_supported, f"PostgreSQL {state.server_version}, {kind}{supported}")]
    if state.roles_missing:
        missing = ", ".join(state.roles_missing)
        return [*checks, Check("roles", False, f"this login has not: {missing}; run `signalbox migrate`")]
    checks.append(Check("roles", True, "all five"))
    if not state.is_migrated:
        found = f"at {state.schema_version}, needs {state.newest_schema_version}; run `signalbox migrate`"
        return [*checks, Check("schema", False, found)]
    checks.append(Check("schema", True, f"at {state.schema_version}"))
    database = open_database(settings)
    try:
        if vault is not None:
            checks.append(await _check_stored_key(database, vault))
        checks.append(await _check_sandbox(database, is_running=is_running))
    finally:
        await database.close()
    return checks


async def _check_stored_key(database: Database, vault: Vault) -> Check:
    try:
        await check_stored_key(database, vault)
    except TenantError as error:
        return Check("stored keys", False, str(error))
    return Check("stored keys", True, "the master key opens them")


async def _check_sandbox(database: Database, *, is_running: bool) -> Check:
    """A sandbox that does not answer is wrong only beside a gateway that offers it."""
    credentials = [
        each
        for each in await list_credentials(database, PLATFORM_TENANT_ID)
        if each.provider_name == SANDBOX and each.disabled_at is None
    ]
    if not credentials or (base_url := credentials[0].base_url) is None:
        return Check("sandbox", True, "not offered")
    if await _is_answering(base_url.removesuffix("/v1") + "/livez"):
        return Check("sandbox", True, f"answers at {base_url}")
    if not is_running:
        return Check("sandbox", True, "not running; `signalbox up` starts it")
    remedy = "start it with `signalbox sandbox`, or disable its credential"
    return Check("sandbox", False, f"the gateway offers it, and nothing answers at {base_url}; {remedy}")


async def _is_gateway(base_url: str) -> bool:
    """Whether what answers is ours: a refusal of ours carries our request id."""
    return await _is_answering(f"{base_url}/v1/models", header=REQUEST_ID)


async def _is_answering(url: str, *, header: str | None = None) -> bool:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)) as http,
            http.get(url) as response,
        ):
            return response.status == 200 if header is None else header in response.headers
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(step for step in (path, *path.parents) if step.exists())
