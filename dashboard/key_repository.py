"""The statement behind the page "Keys": each key with its last use and what it spent.

Called by the page inside a session of `tenants.Database`. Invariant: a key that never called is told from one
whose calls are not recorded, and neither is a zero.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tenants import KeyKind, Scope

KEY_PAGE_ROWS: Final = 100


class KeyState(StrEnum):
    """Whether a key is accepted."""

    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A key as the list shows it; its sums are of the hours since the page's `since`."""

    api_key_id: UUID
    name: str
    kind: str
    prefix: str
    last_four: str
    scopes: tuple[str, ...]
    project_name: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    request_count: int
    billed_nano_usd: int

    @property
    def is_recorded(self) -> bool:
        """Whether its calls stand in the records; those of the management API do not."""
        return self.kind == KeyKind.MODEL

    @property
    def sorted_scopes(self) -> list[Scope]:
        """Its scopes in the order in which they are listed everywhere."""
        return [scope for scope in Scope if scope in self.scopes]

    def state(self, now: datetime) -> KeyState:
        """Whether it is accepted at this moment, as far as the key itself says."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        return KeyState.EXPIRED if self.expires_at is not None and self.expires_at <= now else KeyState.LIVE


async def key_rows(
    session: AsyncSession, tenant_id: UUID, *, since: datetime, project_id: UUID | None, after: UUID | None
) -> tuple[KeyRow, ...]:
    """One page of keys and one row more, newest first; `after` is the last id of the page above."""
    found = await session.execute(
        text("""
            SELECT k.api_key_id, k.name, k.kind, k.prefix, k.last_four, k.scopes, p.name AS project_name,
                   k.created_by, k.created_at, k.expires_at, k.revoked_at,
                   (SELECT r.started_at FROM request_record r
                    WHERE r.tenant_id = k.tenant_id AND r.api_key_id = k.api_key_id
                    ORDER BY r.request_id DESC LIMIT 1) AS last_used_at,
                   coalesce(u.request_count, 0)::bigint AS request_count,
                   coalesce(u.billed_nano_usd, 0)::bigint AS billed_nano_usd
            FROM api_key k
            JOIN project p ON p.tenant_id = k.tenant_id AND p.project_id = k.project_id
            LEFT JOIN (
                SELECT api_key_id, sum(request_count) AS request_count, sum(billed_nano_usd) AS billed_nano_usd
                FROM usage_rollup WHERE tenant_id = :tenant_id AND hour >= :since GROUP BY api_key_id
            ) u ON u.api_key_id = k.api_key_id
            WHERE k.tenant_id = :tenant_id
              AND (CAST(:project_id AS uuid) IS NULL OR k.project_id = :project_id)
              AND (CAST(:after AS uuid) IS NULL OR k.api_key_id < :after)
            ORDER BY k.api_key_id DESC LIMIT :limit
        """),
        {
            "tenant_id": tenant_id,
            "since": since,
            "project_id": project_id,
            "after": after,
            "limit": KEY_PAGE_ROWS + 1,
        },
    )
    return tuple(KeyRow(**{**row._mapping, "scopes": tuple(row.scopes)}) for row in found)
