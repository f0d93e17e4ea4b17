"""Rows of `traffic_limit`, read in the tenant's session or the snapshot's, written in the tenant's."""

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.traffic_limit import LimitKind, LimitState, TrafficLimit

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


async def put_traffic_limit(
    session: AsyncSession,
    tenant_id: UUID,
    limit_id: UUID,
    kind: LimitKind,
    limit_count: int,
    burst_count: int | None,
    *,
    project_id: UUID | None,
    api_key_id: UUID | None,
    is_per_end_user: bool,
    model: str | None,
) -> tuple[UUID, int | None]:
    """Make a limit, or move the one that is there; return its id, and what it was before."""
    fields = {
        "tenant_id": tenant_id,
        "project_id": project_id,
        "api_key_id": api_key_id,
        "is_per_end_user": is_per_end_user,
        "model": model,
        "kind": kind,
    }
    found = await session.execute(
        text("""
            SELECT limit_id, limit_count FROM traffic_limit
            WHERE tenant_id = :tenant_id AND kind = :kind AND is_per_end_user = :is_per_end_user
                AND project_id IS NOT DISTINCT FROM :project_id AND api_key_id IS NOT DISTINCT FROM :api_key_id
                AND model IS NOT DISTINCT FROM :model AND removed_at IS NULL FOR UPDATE"""),
        fields,
    )
    before = found.one_or_none()
    stored = await session.execute(
        text("""
            INSERT INTO traffic_limit (tenant_id, limit_id, project_id, api_key_id, is_per_end_user, model, kind,
                                       limit_count, burst_count)
            VALUES (:tenant_id, :limit_id, :project_id, :api_key_id, :is_per_end_user, :model, :kind,
                    :limit_count, :burst_count)
            ON CONFLICT (tenant_id, project_id, api_key_id, is_per_end_user, model, kind) WHERE removed_at IS NULL
                DO UPDATE SET limit_count = excluded.limit_count, burst_count = excluded.burst_count
            RETURNING limit_id"""),
        {**fields, "limit_id": limit_id, "limit_count": limit_count, "burst_count": burst_count},
    )
    return stored.scalar_one(), before.limit_count if before is not None else None


async def remove_traffic_limit(session: AsyncSession, tenant_id: UUID, limit_id: UUID) -> int | None:
    """Mark a limit as removed; return what it was, or None when there is none."""
    removed = await session.execute(
        text("""
            UPDATE traffic_limit SET removed_at = now()
            WHERE tenant_id = :tenant_id AND limit_id = :limit_id AND removed_at IS NULL
            RETURNING limit_count"""),
        {"tenant_id": tenant_id, "limit_id": limit_id},
    )
    count: int | None = removed.scalar_one_or_none()
    return count


async def traffic_states(session: AsyncSession, tenant_id: UUID) -> dict[UUID, LimitState]:
    """What is used now of each limit, over all processes; a rate for each end user tells the fullest bucket."""
    rows = await session.execute(
        text("""
            SELECT l.limit_id, CASE l.kind WHEN 'concurrent_requests' THEN
                    (SELECT coalesce(sum(s.slots), 0) FROM slot_lease s WHERE s.tenant_id = l.tenant_id
                     AND s.limit_id = l.limit_id AND s.ends_at > clock_timestamp())
                ELSE coalesce(ceil(b.backlog_s * l.limit_count
                    / CASE WHEN l.kind LIKE '%_per_day' THEN 86400 ELSE 60 END), 0) END AS used_count,
                   ceil(coalesce(b.backlog_s, 0) * 1000) AS reset_ms
            FROM traffic_limit l LEFT JOIN LATERAL (
                SELECT max(extract(epoch FROM b.theoretical_arrival_at - clock_timestamp())) AS backlog_s
                FROM traffic_bucket b WHERE b.tenant_id = l.tenant_id AND b.limit_id = l.limit_id
                    AND b.theoretical_arrival_at > clock_timestamp()
            ) b ON true
            WHERE l.tenant_id = :tenant_id AND l.removed_at IS NULL"""),
        {"tenant_id": tenant_id},
    )
    return {row.limit_id: LimitState(used_count=int(row.used_count), reset_ms=int(row.reset_ms)) for row in rows}
