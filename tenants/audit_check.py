"""Checks the newest part of a tenant's audit chain in its place: what the console shows beside the trail.

Called when somebody looks at the trail. Invariant: it claims no more than it has recomputed; the whole chain, and
without trust in this program, is proved by `signalbox audit verify` over an export.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Row

from tenants import audit_repository as repository
from tenants.audit_chain import GENESIS, link_hash
from tenants.crypto import Vault, is_signed_by, public_key_id
from tenants.database import Database

CHECKED_EVENTS_MAX: Final = 1_000

_Rows = Sequence[Row[int, bytes, bytes, bytes | None, bytes | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainState:
    """How far the chain goes and whether its newest events fit; `broken_sequence` is the first that does not."""

    event_count: int
    checked_count: int
    broken_sequence: int | None
    signed_at: datetime | None
    public_key_id: str


async def check_audit(database: Database, vault: Vault, tenant_id: UUID) -> ChainState:
    """Recompute the hashes of the newest linked events, and check the signatures that stand among them."""
    async with database.tenant(tenant_id) as session:
        head = await repository.find_head(session, tenant_id)
        sequence_max = head[0] if head else 0
        # One event more: the hash that the first of them follows.
        after = max(0, sequence_max - CHECKED_EVENTS_MAX - 1)
        rows: _Rows = await repository.select_chain(
            session, tenant_id, after=after, sequence_max=sequence_max, limit=CHECKED_EVENTS_MAX + 1
        )
    sequence, previous = (rows[0][0], rows[0][1]) if after else (0, GENESIS)
    rows = rows[1:] if after else rows
    return ChainState(
        event_count=sequence_max,
        checked_count=len(rows),
        broken_sequence=_first_broken(rows, sequence, previous, vault.audit_public_key),
        signed_at=next((_signed_at(row[3]) for row in reversed(rows) if row[3] is not None), None),
        public_key_id=public_key_id(vault.audit_public_key),
    )


def _first_broken(rows: _Rows, sequence: int, previous: bytes, public_key: bytes) -> int | None:
    for row in rows:
        sequence += 1
        if row[0] != sequence or link_hash(previous, row[2]) != row[1]:
            return sequence
        if row[3] is not None and not _is_checkpoint_of(row[3], row[4] or b"", sequence, row[1], public_key):
            return sequence
        previous = row[1]
    return None


def _is_checkpoint_of(statement: bytes, signature: bytes, sequence: int, head: bytes, public_key: bytes) -> bool:
    if not is_signed_by(public_key, statement, signature):
        return False
    stated = json.loads(statement)
    return (stated["sequence"], stated["head_hash"]) == (sequence, head.hex())


def _signed_at(statement: bytes) -> datetime:
    return datetime.fromisoformat(json.loads(statement)["at"])
