"""Rows of `budget` and their running periods, in the tenant's session. Counters move in the meter's functions alone."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What one budget covers: nothing set is the whole tenant."""

    period: str
    project_id: UUID | None
    api_key_id: UUID | None
    is_per_end_user: bool
    model: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a budget says of what it covers."""

    limit_nano_usd: int
    mode: str
    cheaper_from_percent: int | None
    end_users_max: int


async def budgets_of(session: AsyncSession, tenant_id: UUID, budget_id: UUID | None) -> Sequence[Row[Any]]:
    """The standing budgets, or one of them, with their running periods; of a template, what all its end users spent."""
    rows = await session.execute(
        text(f"""
            SELECT b.budget_id, b.project_id, b.api_key_id, {SCOPE_COLUMNS}, b.is_per_end_user, b.end_users_max,
                   b.model, b.mode, b.cheaper_from_percent, b.period, b.time_zone, b.limit_nano_usd,
                   coalesce(p.spent_nano_usd, 0)::bigint AS spent_nano_usd,
                   coalesce(p.reserved_nano_usd, 0)::bigint AS reserved_nano_usd,
                   coalesce(p.end_user_count, 0)::integer AS end_user_count,
                   s.period_start, budget_period_end(b.period, b.time_zone, s.period_start) AS resets_at
            FROM budget b {SCOPE_TABLES}
            CROSS JOIN LATERAL (SELECT budget_period_start(b.period, b.time_zone, now()) AS period_start) s
            LEFT JOIN LATERAL (
                SELECT sum(p.spent_nano_usd) AS spent_nano_usd, sum(p.reserved_nano_usd) AS reserved_nano_usd,
                       sum(p.end_user_count) AS end_user_count
                FROM budget_period p WHERE p.tenant_id = b.tenant_id AND p.budget_id = b.budget_id
                    AND p.period_start = s.period_start
            ) p ON true
            WHERE b.tenant_id = :tenant_id AND b.removed_at IS NULL AND b.period NOT IN ('credit', 'credit_xts')
                AND (CAST(:budget_id AS uuid) IS NULL OR b.budget_id = :budget_id)
            ORDER BY scope DESC, scope_name, b.period, b.budget_id"""),  # noqa: S608 - constants
        {"tenant_id": tenant_id, "budget_id": budget_id},
    )
    return rows.all()


async def find_budget_name(session: AsyncSession, tenant_id: UUID, budget_id: UUID) -> Row[Any] | None:
    """A budget's scope, the name of what it covers, its period, and whom and which models within."""
    rows = await session.execute(
        text(f"""
            SELECT {SCOPE_COLUMNS}, b.period, b.model, b.is_per_end_user FROM budget b {SCOPE_TABLES}
            WHERE b.tenant_id = :tenant_id AND b.budget_id = :budget_id"""),  # noqa: S608 - constants
        {"tenant_id": tenant_id, "budget_id": budget_id},
    )
    return rows.one_or_none()


async def end_users_of(session: AsyncSession, tenant_id: UUID, budget_id: UUID, rows_max: int) -> Sequence[Row[Any]]:
    """The end users that spent most under a template in its running period."""
    rows = await session.execute(
        text("""
            SELECT p.end_user, p.spent_nano_usd, p.reserved_nano_usd, b.limit_nano_usd
            FROM budget b JOIN budget_period p USING (tenant_id, budget_id)
            WHERE b.tenant_id = :tenant_id AND b.budget_id = :budget_id AND b.is_per_end_user AND p.end_user <> ''
                AND p.period_start = budget_period_start(b.period, b.time_zone, now())
            ORDER BY p.spent_nano_usd DESC, p.end_user LIMIT :rows_max"""),
        {"tenant_id": tenant_id, "budget_id": budget_id, "rows_max": rows_max},
    )
    return rows.all()


async def events_of(
    session: AsyncSession, tenant_id: UUID, since: datetime | None, rows_max: int
) -> Sequence[Row[Any]]:
    """The newest events of all budgets, also of removed ones."""
    rows = await session.execute(
        text(f"""
            SELECT e.budget_id, b.project_id, b.api_key_id, {SCOPE_COLUMNS}, b.model, b.period, b.mode, e.period_start,
                   nullif(e.end_user, '') AS end_user, e.threshold_percent, e.limit_nano_usd, e.spent_nano_usd,
                   e.raised_at
            FROM budget_event e JOIN budget b USING (tenant_id, budget_id) {SCOPE_TABLES}
            WHERE e.tenant_id = :tenant_id AND (CAST(:since AS timestamptz) IS NULL OR e.raised_at > :since)
            ORDER BY e.raised_at DESC, e.budget_id, e.threshold_percent DESC LIMIT :rows_max"""),  # noqa: S608 - constants
        {"tenant_id": tenant_id, "since": since, "rows_max": rows_max},
    )
    return rows.all()


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


async def find_terms(session: AsyncSession, tenant_id: UUID, covers: Coverage) -> Row[Any] | None:
    """Limit and mode of what a budget covers, locked against a second change; None: not set.

    No lock that a period's foreign key would wait for: money moves meanwhile.
    """
    found = await session.execute(
        text("""
            SELECT limit_nano_usd, mode, cheaper_from_percent, end_users_max FROM budget
            WHERE tenant_id = :tenant_id AND period = :period AND removed_at IS NULL
                AND project_id IS NOT DISTINCT FROM :project_id AND api_key_id IS NOT DISTINCT FROM :api_key_id
                AND is_per_end_user = :is_per_end_user AND model IS NOT DISTINCT FROM :model
            FOR NO KEY UPDATE"""),
        {"tenant_id": tenant_id, **asdict(covers)},
    )
    return found.one_or_none()


async def put_budget(session: AsyncSession, tenant_id: UUID, budget_id: UUID, covers: Coverage, terms: Terms) -> UUID:
    """Make the budget of what is covered, or move its terms; return its id."""
    stored = await session.execute(
        text("""
            INSERT INTO budget (tenant_id, budget_id, project_id, api_key_id, is_per_end_user, model, period, time_zone,
                                limit_nano_usd, mode, cheaper_from_percent, end_users_max)
            SELECT t.tenant_id, :budget_id, :project_id, :api_key_id, :is_per_end_user, :model, :period, t.time_zone,
                   :limit_nano_usd, :mode, :cheaper_from_percent, :end_users_max
            FROM tenant t WHERE t.tenant_id = :tenant_id
            ON CONFLICT (tenant_id, project_id, api_key_id, is_per_end_user, model, period) WHERE removed_at IS NULL
                DO UPDATE SET limit_nano_usd = excluded.limit_nano_usd, mode = excluded.mode,
                    cheaper_from_percent = excluded.cheaper_from_percent, end_users_max = excluded.end_users_max
            RETURNING budget_id"""),
        {"tenant_id": tenant_id, "budget_id": budget_id, **asdict(covers), **asdict(terms)},
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
