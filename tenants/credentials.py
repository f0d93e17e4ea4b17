"""Provider credentials: the services that add, list and disable them.

Called by the command line, the console and the management API. Invariant: the secret is sealed under
the tenant's key before it reaches the database, and nothing but the snapshot opens it again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias
from uuid import UUID

from uuid_utils.compat import uuid7

from tenants import credential_repository as repository
from tenants.audit import record_audit
from tenants.contracts import Contract, contract_of
from tenants.crypto import Place, Vault, seal
from tenants.database import Database
from tenants.fields import NAME_CHARACTERS_MAX, base_url_of, name_of, secret_of, slug_of, whole_of
from tenants.limits import CREDENTIALS_MAX, LISTED_MAX
from tenants.models import CredentialRow
from tenants.principal import Actor
from tenants.repository import lock_tenant, newest_tenant_key

# Of a shorter secret, four characters would give too much away.
SECRET_CHARACTERS_SHOWN_FROM: Final = 16
WEIGHT_MAX: Final = 1000

# Resolves a base address and raises when a tenant may not reach it; the app knows how.
CheckAddress: TypeAlias = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A provider credential as it can be shown: everything but the secret."""

    tenant_id: UUID
    credential_id: UUID
    provider_name: str
    name: str
    base_url: str | None
    last_four: str
    weight: int
    created_by: str
    created_at: datetime
    disabled_at: datetime | None
    contract: Contract | None = None


async def add_credential(
    database: Database,
    vault: Vault,
    actor: Actor,
    tenant_id: UUID,
    *,
    provider_name: str,
    name: str,
    secret: str,
    base_url: str | None = None,
    weight: int = 1,
    check_address: CheckAddress,
) -> Credential:
    """Store a provider's key; `base_url` is for addresses other than the provider's own.

    Several credentials of one provider share its calls by `weight`, and stand in for each other.

    Raises FieldInvalid, NameTaken, LimitReached, NotFound, and what `check_address` raises.
    """
    credential_id, provider_name, name = uuid7(), slug_of("provider_name", provider_name), name_of("name", name)
    secret = secret_of("secret", secret)
    weight = whole_of("weight", weight, least=1, most=WEIGHT_MAX)
    last_four = secret[-4:] if len(secret) >= SECRET_CHARACTERS_SHOWN_FROM else ""
    if base_url is not None:
        base_url = base_url_of("base_url", base_url)
        await check_address(base_url)
    async with database.tenant(tenant_id) as session:
        await lock_tenant(session, tenant_id)
        key = vault.open_tenant_key(await newest_tenant_key(session, tenant_id))
        row = await repository.insert_credential(
            session,
            tenant_id=tenant_id,
            credential_id=credential_id,
            provider_name=provider_name,
            name=name,
            base_url=base_url,
            secret=seal(key, secret, secret_place(tenant_id, credential_id)),
            last_four=last_four,
            weight=weight,
            created_by=actor.name,
            credentials_max=CREDENTIALS_MAX,
        )
        added = _credential(row)
        told = ("provider_name", "name", "base_url", "last_four", "weight")
        await record_audit(
            session,
            tenant_id,
            actor,
            "provider_credential.added",
            f"provider_credential:{credential_id}",
            after={field: getattr(added, field) for field in told},
        )
    return added


async def list_credentials(
    database: Database, tenant_id: UUID, *, after: UUID | None = None, limit: int = LISTED_MAX
) -> tuple[Credential, ...]:
    """The tenant's credentials, oldest first, with those that are disabled; those behind `after` when it is given."""
    async with database.tenant(tenant_id) as session:
        rows = await repository.select_credentials(session, tenant_id, min(limit, LISTED_MAX), after=after)
    return tuple(_credential(row) for row in rows)


async def disable_credential(database: Database, actor: Actor, tenant_id: UUID, credential_id: UUID) -> None:
    """Use a credential no more. Its name becomes free. Raises NotFound. Disabling again changes nothing."""
    async with database.tenant(tenant_id) as session:
        row = await repository.lock_credential(session, tenant_id, credential_id)
        if row.disabled_at is not None:
            return
        before = _credential(row)
        suffix = f" (disabled {credential_id.hex[-8:]})"
        disabled_at = datetime.now(UTC)
        await repository.disable_credential(
            session,
            tenant_id,
            credential_id,
            name=before.name[: NAME_CHARACTERS_MAX - len(suffix)] + suffix,
            disabled_at=disabled_at,
        )
        await record_audit(
            session,
            tenant_id,
            actor,
            "provider_credential.disabled",
            f"provider_credential:{credential_id}",
            before={"provider_name": before.provider_name, "name": before.name, "base_url": before.base_url},
            after={"disabled_at": disabled_at.isoformat()},
        )


def secret_place(tenant_id: UUID, credential_id: UUID) -> Place:
    """Where a credential's secret is stored."""
    return Place(tenant_id=tenant_id, table="provider_credential", column="secret", row=str(credential_id))


def _credential(row: CredentialRow) -> Credential:
    return Credential(
        tenant_id=row.tenant_id,
        credential_id=row.credential_id,
        provider_name=row.provider_name,
        name=row.name,
        base_url=row.base_url,
        last_four=row.last_four,
        weight=row.weight,
        contract=contract_of(row.contract),
        created_by=row.created_by,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )
