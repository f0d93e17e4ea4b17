"""What a tenant has agreed with a provider beyond its public terms, declared for one credential.

Called by the command line and the management API; the request path reads it with the credential. Invariant: who
declared what and when stands in the audit trail, since requests go where they would not go without it.
"""

from typing import Final
from uuid import UUID

import msgspec

from tenants import credential_repository as repository
from tenants.audit import record_audit
from tenants.database import Database
from tenants.fields import slug_of, text_of
from tenants.principal import Actor

REFERENCE_CHARACTERS_MAX: Final = 200


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """What is declared. Regions and domains are words of the routing policy."""

    regions: tuple[str, ...] = ()  # every one where content may be processed; empty: not said
    zero_retention: bool = False
    baa: bool = False
    certified_for: tuple[str, ...] = ()
    reference: str  # where the agreement is found: its number, date or address


async def declare_contract(
    database: Database, actor: Actor, tenant_id: UUID, credential_id: UUID, contract: Contract | None
) -> None:
    """Declare what is agreed for a credential in place of what was; None withdraws it.

    Raises FieldInvalid, and NotFound where the tenant has no such credential.
    """
    checked = None if contract is None else _checked(contract)
    async with database.tenant(tenant_id) as session:
        row = await repository.lock_credential(session, tenant_id, credential_id)
        before = contract_of(row.contract)
        if before == checked:
            return
        stored = None if checked is None else msgspec.to_builtins(checked)
        await repository.set_contract(session, tenant_id, credential_id, stored)
        await record_audit(
            session,
            tenant_id,
            actor,
            "provider_credential.contract_withdrawn" if checked is None else "provider_credential.contract_declared",
            f"provider_credential:{credential_id}",
            before=None if before is None else msgspec.to_builtins(before),
            after=stored,
        )


def contract_of(stored: object) -> Contract | None:
    """Read a contract as it is stored."""
    return None if stored is None else msgspec.convert(stored, Contract)


def _checked(contract: Contract) -> Contract:
    return Contract(
        regions=tuple(sorted({slug_of("regions", region) for region in contract.regions})),
        zero_retention=contract.zero_retention,
        baa=contract.baa,
        certified_for=tuple(sorted({slug_of("certified_for", domain) for domain in contract.certified_for})),
        reference=text_of("reference", contract.reference, REFERENCE_CHARACTERS_MAX),
    )
