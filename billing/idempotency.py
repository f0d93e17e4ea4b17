"""What comes first under a caller's `idempotency-key`: the values that are passed about it.

Used by `IdempotencyKeys`, its repository, the gateway and the management API. Pure. Invariant: what a caller
wrote, its key and its body, goes no further than here: compared and kept are digests.
"""

from enum import StrEnum
from hashlib import sha256
from uuid import UUID

import msgspec


class ClaimState(StrEnum):
    """What the database knows of a key."""

    FIRST = "first"  # nothing came before, or nothing that counts: go on
    RUNNING = "running"  # the first is still on its way
    COMPLETED = "completed"  # the first has ended, and was answered or billed
    CONFLICT = "conflict"  # the first had another body


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A request under a key. The key's scope is the API key and the route."""

    tenant_id: UUID
    api_key_id: UUID
    route: str
    key_hash: bytes
    body_hash: bytes
    request_id: UUID


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a claim: whose the key is. An answer is kept for changes by the management API alone."""

    state: ClaimState
    request_id: UUID
    answer_status: int | None = None
    answer: bytes | None = None


def digest(content: bytes) -> bytes:
    """How keys and bodies are compared and kept."""
    return sha256(content).digest()
