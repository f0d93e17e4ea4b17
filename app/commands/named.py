"""What a command line calls by name: the tenant, and its projects, keys, credentials and budgets.

Used by every command about a tenant. A name may be an id or the name that people gave; where two
things share a name, the message asks for the id.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import click

from app.commands.errors import InputInvalid, NotInstalled
from app.commands.opened import Opened, opened, tenant_id_of
from tenants import PLATFORM_TENANT_ID, NotFound, find_tenant, list_credentials, list_keys, list_projects

NAMES_SHOWN_MAX = 20

tenant_option = click.option("--tenant", "tenant_name", required=True, help="The tenant's name or id.")


@asynccontextmanager
async def installed() -> AsyncIterator[Opened]:
    """What most commands need, where `up` or `migrate` has made the platform. Raises NotInstalled."""
    async with opened() as parts:
        try:
            await find_tenant(parts.database, PLATFORM_TENANT_ID)
        except NotFound as error:
            raise NotInstalled from error
        yield parts


@asynccontextmanager
async def opened_tenant(tenant_name: str) -> AsyncIterator[tuple[Opened, UUID]]:
    """The same, with the tenant that is called so. Raises FieldInvalid."""
    async with installed() as parts:
        yield parts, await tenant_id_of(parts, tenant_name)


async def project_id_of(parts: Opened, tenant_id: UUID, name: str) -> UUID:
    """A project of the tenant. Raises InputInvalid."""
    projects = await list_projects(parts.database, tenant_id)
    return _pick("project", name, ((project.project_id, project.name) for project in projects))


async def api_key_id_of(parts: Opened, tenant_id: UUID, name: str) -> UUID:
    """A key of the tenant: by its id, or by the name of one that still works. Raises InputInvalid."""
    now = datetime.now(UTC)
    keys = [
        key
        for key in await list_keys(parts.database, tenant_id)
        if key.is_live(now) or str(key.api_key_id) == name.casefold()
    ]
    return _pick("API key", name, ((key.api_key_id, key.name) for key in keys))


async def credential_id_of(parts: Opened, tenant_id: UUID, name: str) -> UUID:
    """A provider credential of the tenant. Raises InputInvalid."""
    credentials = await list_credentials(parts.database, tenant_id)
    return _pick("provider credential", name, ((each.credential_id, each.name) for each in credentials))


def _pick(kind: str, name: str, known: Iterable[tuple[UUID, str]]) -> UUID:
    rows = list(known)
    found = [row_id for row_id, row_name in rows if name.casefold() in (str(row_id), row_name.casefold())]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputInvalid(f"{len(found)} things of the kind {kind} are called '{name}'. Give the id instead.")
    names = ", ".join(sorted({row_name for _, row_name in rows})[:NAMES_SHOWN_MAX]) or "none"
    raise InputInvalid(f"There is no {kind} '{name}'. There are: {names}.")
