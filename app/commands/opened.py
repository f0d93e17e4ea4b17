"""The database and the vault as the settings say, for one command; started if it is ours and does not run.

Invariant: what a command started it stops, unless another process uses it too.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from app.embedded import EmbeddedPostgres, prepare_home
from app.embedded.postgres import DATABASE, SUPERUSER
from app.settings import DemoPart, Settings, read_settings
from migrations import prepare_embedded, prepare_roles, upgrade
from tenants import (
    SYSTEM,
    Actor,
    Database,
    DatabaseRole,
    FieldInvalid,
    Vault,
    check_master_key,
    list_tenants,
    load_master_key,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What most commands need."""

    settings: Settings
    database: Database
    vault: Vault
    postgres: EmbeddedPostgres | None = None  # our own server, when the settings name no other
    actor: Actor = SYSTEM


@asynccontextmanager
async def opened(settings: Settings | None = None, *, is_migrating: bool = False) -> AsyncIterator[Opened]:
    """Open the database and the vault; `is_migrating` brings the schema up to date first. The embedded one always is.

    Raises SettingInvalid, EmbeddedPostgresFailed, MigrationFailed or MasterKeyWrong.
    """
    settings = settings or read_settings()
    vault = open_vault(settings)
    async with running_postgres(settings) as postgres:
        if is_migrating or settings.is_embedded:
            await migrate(settings)
        database = open_database(settings)
        try:
            await check_master_key(database, vault)
            yield Opened(settings=settings, database=database, vault=vault, postgres=postgres)
        finally:
            await database.close()


@asynccontextmanager
async def running_postgres(settings: Settings) -> AsyncIterator[EmbeddedPostgres | None]:
    """The embedded server, running; None when the settings name another."""
    if not settings.is_embedded:
        yield None
        return
    settings.refuse_in_production(DemoPart.EMBEDDED_DATABASE, "Set SIGNALBOX_DATABASE_URL")
    prepare_home(settings.home)
    postgres = EmbeddedPostgres(settings.postgres_folder)
    await asyncio.to_thread(postgres.start)
    try:
        yield postgres
    finally:
        await asyncio.to_thread(postgres.stop)


async def migrate(settings: Settings) -> None:
    """Make the roles and bring the schema up to date. Raises MigrationFailed."""
    if settings.database_url is None:
        await prepare_embedded(EmbeddedPostgres(settings.postgres_folder).url(SUPERUSER, "postgres"), DATABASE)
    else:
        await prepare_roles(settings.database_url)
    await upgrade(url_of(settings, DatabaseRole.OWNER))


def open_database(settings: Settings) -> Database:
    """The sessions by role; nothing is connected yet."""
    return Database(lambda role: url_of(settings, role), connections_max=settings.database_connections_max)


def open_vault(settings: Settings) -> Vault:
    """The vault of the master key that is given, or of the local key file, which is made. Raises MasterKeyWrong."""
    if settings.master_key is not None:
        return Vault(load_master_key(text=settings.master_key))
    if settings.master_key_file is not None:
        return Vault(load_master_key(path=settings.master_key_file))
    settings.refuse_in_production(DemoPart.LOCAL_KEY_FILE, "Set SIGNALBOX_MASTER_KEY or SIGNALBOX_MASTER_KEY_FILE")
    prepare_home(settings.home)
    return Vault(load_master_key(path=settings.local_key_file, is_created=True))


def url_of(settings: Settings, role: DatabaseRole) -> str:
    """The address that becomes a role: by its own login on the embedded server, by `SET ROLE` elsewhere."""
    if settings.database_url is None:
        return EmbeddedPostgres(settings.postgres_folder).url(role)
    separator = "&" if "?" in settings.database_url else "?"
    return f"{settings.database_url}{separator}role={role}"


async def tenant_id_of(opened: Opened, name: str) -> UUID:
    """A tenant by its id or by its name, in any case. Raises FieldInvalid with the names there are."""
    tenants = await list_tenants(opened.database, opened.actor)
    found = [t for t in tenants if str(t.tenant_id) == name or t.name.casefold() == name.casefold()]
    match found:
        case [tenant]:
            return tenant.tenant_id
        case []:
            names = ", ".join(tenant.name for tenant in tenants[:20]) or "none"
            raise FieldInvalid("tenant", f"No tenant is called '{name}'. There are: {names}.")
        case _:
            raise FieldInvalid("tenant", f"{len(found)} tenants are called '{name}'. Give the id instead.")
