"""The SQL of the page "Policies": the versions that were published under a name.

Called by the page in its transaction. Invariant: each statement names the tenant beside what row security enforces.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

VERSIONS_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of a policy, without its document."""

    version: int
    is_active: bool
    created_by: str
    created_at: datetime


VERSIONS: Final = text("""
    SELECT version, is_active, created_by, created_at FROM routing_policy
    WHERE tenant_id = :tenant_id AND name = :name ORDER BY version DESC LIMIT :limit
""")
DOCUMENT: Final = text("""
    SELECT document::text FROM routing_policy WHERE tenant_id = :tenant_id AND name = :name AND version = :version
""")


async def policy_versions(session: AsyncSession, tenant_id: UUID, name: str) -> tuple[PolicyVersion, ...]:
    """The versions of a policy, the newest first."""
    found = await session.execute(VERSIONS, {"tenant_id": tenant_id, "name": name, "limit": VERSIONS_SHOWN})
    return tuple(PolicyVersion(*row) for row in found)


async def policy_document(session: AsyncSession, tenant_id: UUID, name: str, version: int) -> bytes | None:
    """The document of one version."""
    found = await session.execute(DOCUMENT, {"tenant_id": tenant_id, "name": name, "version": version})
    document = found.scalar_one_or_none()
    return None if document is None else str(document).encode()
