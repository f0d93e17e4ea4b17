"""The form of the audit chain and of its export, shared by the sequencer, the exporter and the verifier.

Pure, and only the standard library: whoever wants to check us by hand reads this file. Invariant: every
record has exactly one spelling, so that no byte of an export can change unseen.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

# Stands before the first event, and before the first checkpoint.
GENESIS: Final = bytes(32)
CHECKPOINT_KIND: Final = "signalbox audit checkpoint v1"
EXPORT_KIND: Final = "signalbox audit export v1"

Record: TypeAlias = Mapping[str, str | int]


def link_hash(previous: bytes, payload: bytes) -> bytes:
    """The hash of an event: SHA-256(previous hash || length of payload, 8 bytes big-endian || payload)."""
    return hashlib.sha256(previous + len(payload).to_bytes(8, "big") + payload).digest()


def checkpoint_statement(
    *, tenant_id: UUID, sequence: int, head: bytes, previous_checkpoint: bytes, at: datetime
) -> bytes:
    """What a checkpoint signs: up to where the chain is known, and the SHA-256 of the statement before."""
    return _json(
        {
            "kind": CHECKPOINT_KIND,
            "tenant_id": str(tenant_id),
            "sequence": sequence,
            "head_hash": head.hex(),
            "previous_checkpoint_hash": previous_checkpoint.hex(),
            "at": at.isoformat(timespec="microseconds"),
        }
    )


def export_statement(
    *, tenant_id: UUID, tenant_name: str, sequence_max: int, checkpoint_count: int, head: bytes, at: datetime
) -> bytes:
    """What the first line of an export signs: all that must follow."""
    return _json(
        {
            "kind": EXPORT_KIND,
            "tenant_id": str(tenant_id),
            "tenant_name": tenant_name,
            "sequence_min": 1,
            "sequence_max": sequence_max,
            "checkpoint_count": checkpoint_count,
            "head_hash": head.hex(),
            "at": at.isoformat(timespec="microseconds"),
        }
    )


def statement_hash(statement: bytes) -> bytes:
    """What the next checkpoint says of this one."""
    return hashlib.sha256(statement).digest()


def export_line(statement: bytes, signature: bytes, public_key: bytes) -> bytes:
    """The first line of an export."""
    return _line(
        {
            "record": "export",
            "statement": statement.decode(),
            "signature": _base64(signature),
            "public_key": _base64(public_key),
        }
    )


def event_line(sequence: int, hash_: bytes, payload: bytes) -> bytes:
    """The line of an event."""
    return _line({"record": "event", "sequence": sequence, "hash": hash_.hex(), "payload": _base64(payload)})


def checkpoint_line(statement: bytes, signature: bytes) -> bytes:
    """The line of a checkpoint; it follows the event that it speaks of."""
    return _line({"record": "checkpoint", "statement": statement.decode(), "signature": _base64(signature)})


def _line(record: Record) -> bytes:
    return _json(record) + b"\n"


def _json(record: Record) -> bytes:
    return json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
