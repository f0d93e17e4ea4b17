"""Builders of audit exports without a database, for the verifier's tests."""

import json
from datetime import UTC, datetime
from uuid import UUID

from tenants import Vault
from tenants.audit_chain import (
    GENESIS,
    checkpoint_line,
    checkpoint_statement,
    event_line,
    export_line,
    export_statement,
    link_hash,
    statement_hash,
)

TENANT_ID = UUID(int=0xACE)
OTHER_TENANT_ID = UUID(int=0xBAD)
VAULT = Vault(bytes(range(32)))
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def bundle(
    *,
    event_count: int = 6,
    checkpoint_every: int = 3,
    tenant_id: UUID = TENANT_ID,
    vault: Vault = VAULT,
    declared: int | None = None,
) -> list[bytes]:
    """The lines of an export of made-up events; a checkpoint stands after every few, and after the last."""
    head, previous, lines, checkpoint_count = GENESIS, GENESIS, [], 0
    for sequence in range(1, event_count + 1):
        event = {"id": sequence, "tenant_id": str(tenant_id), "action": "project.created", "after": {"n": sequence}}
        payload = json.dumps(event).encode()
        head = link_hash(head, payload)
        lines.append(event_line(sequence, head, payload))
        if sequence % checkpoint_every == 0 or sequence == event_count:
            statement = checkpoint_statement(
                tenant_id=tenant_id, sequence=sequence, head=head, previous_checkpoint=previous, at=NOON
            )
            lines.append(checkpoint_line(statement, vault.sign_audit(statement)))
            previous, checkpoint_count = statement_hash(statement), checkpoint_count + 1
    statement = export_statement(
        tenant_id=tenant_id, tenant_name="Acme", sequence_max=declared or event_count,
        checkpoint_count=checkpoint_count, head=head, at=NOON,
    )  # fmt: skip
    return [export_line(statement, vault.sign_audit(statement), vault.audit_public_key), *lines]
