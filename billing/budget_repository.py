"""Rows of `budget` and their running periods, in the tenant's session. Counters move in the meter's functions alone."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

SCOPE_COLUMNS: Final = """
    CASE WHEN b.project_id IS NOT NULL THEN 'project' WHEN b.api_key_id IS NOT NULL THEN 'api_key'
         ELSE 'tenant' END AS scope,
    coalesce(j.name, k.name, t.name) AS scope_name"""
SCOPE_TABLES: Final = """
    JOIN tenant t ON t.tenant_id = b.tenant_id
    LEFT JOIN project j ON j.tenant_id = b.tenant_id AND j.project_id = b.project_id
    LEFT JOIN api_key k ON k.tenant_id = b.tenant_id AND k.api_key_id = b.api_key_id"""


async def budgets_of(session: AsyncSession, tenant_id: UUID, budget_id: UUID | None) -> Sequence[Row[Any]]:
    """The standing budgets, or one of them, with their running periods."""
    rows = await session.execute(
        text(f"""
            SELECT b.budget_id, b.project_id, b.api_key_id, {SCOPE_COLUMNS}, b.period, b.time_zone, b.limit_nano_usd,
                   coalesce(p.spent_nano_usd, 0) AS spent_nano_usd,
                   coalesce(p.reserved_nano_usd, 0) AS reserved_nano_usd,
                   s.period_start, budget_period_end(b.period, b.time_zone, s.period_start) AS resets_at
            FROM budget b {SCOPE_TABLES}
            CROSS JOIN LATERAL (SELECT budget_period_start(b.period, b.time_zone, now()) AS period_start) s
            LEFT JOIN budget_period p ON p.tenant_id = b.tenant_id AND p.budget_id = b.budget_id
                AND p.period_start = s.period_start
            WHERE b.tenant_id = :tenant_id AND b.removed_at IS NULL AND b.period NOT IN ('credit', 'credit_xts')
                AND (CAST(:budget_id AS uuid) IS NULL OR b.budget_id = :budget_id)
            ORDER BY scope DESC, scope_name, b.period, b.budget_id"""),  # noqa: S608 - constants
        {"tenant_id": tenant_id, "budget_id": budget_id},
    )
    return rows.all()


async def find_budget_name(session: AsyncSession, tenant_id: UUID, budget_id: UUID) -> tuple[str, str, str] | None:
    """A budget's scope, the name of what it covers, and its period."""
    rows = await session.execute(
        text(f"""
            SELECT {SCOPE_COLUMNS}, b.period FROM budget b {SCOPE_TABLES}
            WHERE b.tenant_id = :tenant_id AND b.budget_id = :budget_id"""),  # noqa: S608 - constants
        {"tenant_id": tenant_id, "budget_id": budget_id},
    )
    row = rows.one_or_none()
    return (row.scope, row.scope_name, row.period) if row is not None else None


async def has_scope(session: AsyncSession, tenant_id: UUID, project_id: UUID | None, api_key_id: UUID | None) -> bool:
    """Tell whether what a budget is to cover exists under the tenant."""
    found = await session.execute(
        text("""
            SELECT 1 FROM tenant t WHERE t.tenant_id = :tenant_id
                AND (CAST(:project_id AS uuid) IS NULL OR EXISTS (
                    SELECT FROM project WHERE tenant_id = :tenant_id AND project_id = :project_id))
                AND (CAST(:api_key_id AS uuid) IS NULL OR EXISTS (
                    SELECT FROM api_key WHERE tenant_id = :tenant_id AND api_key_id = :api_key_id))"""),
        {"tenant_id": tenant_id, "project_id": project_id, "api_key_id": api_key_id},
    )
    return found.one_or_none() is not None


async def find_limit(
    session: AsyncSession, tenant_id: UUID, period: str, project_id: UUID | None, api_key_id: UUID | None
) -> int | None:
    """The limit of a scope and period, locked against a second change; None: not set."""
    found = await session.execute(
        text("""
            SELECT limit_nano_usd FROM budget
            WHERE tenant_id = :tenant_id AND period = :period AND removed_at IS NULL
                AND project_id IS NOT DISTINCT FROM :project_id AND api_key_id IS NOT DISTINCT FROM :api_key_id
            FOR UPDATE"""),
        {"tenant_id": tenant_id, "period": period, "project_id": project_id, "api_key_id": api_key_id},
    )
    limit: int | None = found.scalar_one_or_none()
    return limit


async def put_budget(
    session: AsyncSession,
    tenant_id: UUID,
    budget_id: UUID,
    period: str,
    limit_nano_usd: int,
    *,
    project_id: UUID | None,
    api_key_id: UUID | None,
) -> UUID:
    """Make the budget of a scope and period, or move its limit; return its id."""
    stored = await session.execute(
        text("""
            INSERT INTO budget (tenant_id, budget_id, project_id, api_key_id, period, time_zone, limit_nano_usd)
            SELECT t.tenant_id, :budget_id, :project_id, :api_key_id, :period, t.time_zone, :limit_nano_usd
            FROM tenant t WHERE t.tenant_id = :tenant_id
            ON CONFLICT (tenant_id, project_id, api_key_id, period) WHERE removed_at IS NULL
                DO UPDATE SET limit_nano_usd = excluded.limit_nano_usd
            RETURNING budget_id"""),
        {
            "tenant_id": tenant_id,
            "budget_id": budget_id,
            "project_id": project_id,
            "api_key_id": api_key_id,
            "period": period,
            "limit_nano_usd": limit_nano_usd,
        },
    )
    kept: UUID = stored.scalar_one()
    return kept


async def remove_budget(session: AsyncSession, tenant_id: UUID, budget_id: UUID) -> int | None:
    """Mark a budget as removed; return its limit, or None when there is none."""
    removed = await session.execute(
        text("""
            UPDATE budget SET removed_at = now()
            WHERE tenant_id = :tenant_id AND budget_id = :budget_id AND removed_at IS NULL
                AND period NOT IN ('credit', 'credit_xts')
            RETURNING limit_nano_usd"""),
        {"tenant_id": tenant_id, "budget_id": budget_id},
    )
    limit: int | None = removed.scalar_one_or_none()
    return limit
