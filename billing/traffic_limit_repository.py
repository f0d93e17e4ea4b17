"""Rows of `traffic_limit`, read in the tenant's session or the snapshot's, written in the tenant's."""

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.traffic_limit import LimitKind, TrafficLimit

LISTED: Final = """
    SELECT l.limit_id, l.project_id, l.api_key_id,
           CASE WHEN l.project_id IS NOT NULL THEN 'project' WHEN l.api_key_id IS NOT NULL THEN 'api_key'
                ELSE 'tenant' END AS scope,
           coalesce(j.name, k.name, t.name) AS scope_name,
           l.is_per_end_user, l.model, l.kind, l.limit_count, l.burst_count
    FROM traffic_limit l JOIN tenant t ON t.tenant_id = l.tenant_id
    LEFT JOIN project j ON j.tenant_id = l.tenant_id AND j.project_id = l.project_id
    LEFT JOIN api_key k ON k.tenant_id = l.tenant_id AND k.api_key_id = l.api_key_id
    WHERE l.tenant_id = :tenant_id AND l.removed_at IS NULL
    ORDER BY scope DESC, scope_name, l.kind, l.model NULLS FIRST, l.limit_id"""


async def list_traffic_limits(session: AsyncSession, tenant_id: UUID) -> tuple[TrafficLimit, ...]:
    """The standing limits; the tenant's own first, then by the name of what they cover."""
    rows = await session.execute(text(LISTED), {"tenant_id": tenant_id})
    return tuple(TrafficLimit(**{**row._mapping, "kind": LimitKind(row.kind)}) for row in rows)
