"""The SQL of the page "Routing & quality": what went where, what newest decisions say, what evaluations found.

Called by the page in its transaction. Invariant: each statement names the tenant beside what row security enforces,
and is bounded by groups or by rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from dashboard.ranges import TimeRange

DECISIONS_READ_MAX: Final = 1_000
EVALUATIONS_SHOWN: Final = 10
GROUPS_MAX: Final = 5_000


@dataclass(frozen=True, slots=True)
class RouteCount:
    """The requests of one task that one model answered, and what they were billed. Models are `provider/model`."""

    model: str
    task: str
    answered_count: int
    billed_nano_usd: int


@dataclass(frozen=True, slots=True)
class EvaluationSummary:
    """What one subject reached in one evaluation."""

    evaluation_id: UUID
    name: str
    started_at: datetime
    created_by: str
    subject: str
    prompt_count: int
    failed_count: int
    reached: float
    cost_nano_usd: int


ROUTES: Final = text("""
    SELECT provider_name || '/' || model AS model, task, sum(request_count)::bigint, sum(billed_nano_usd)::bigint
    FROM usage_rollup
    WHERE tenant_id = :tenant_id AND hour >= :since AND hour < :until AND outcome = 'ok' AND model <> ''
        AND (CAST(:project_id AS uuid) IS NULL OR project_id = :project_id)
    GROUP BY 1, 2 ORDER BY 3 DESC LIMIT :limit
""")
# The id of a request holds its time, and the exact moment stands beside it: as in `billing.queries`.
DECISIONS: Final = text("""
    SELECT decision::text FROM request_record
    WHERE tenant_id = :tenant_id AND decision IS NOT NULL AND started_at >= :since AND started_at < :until
        AND request_id >= uuid_floor(CAST(:since AS timestamptz) - interval '1 hour')
        AND request_id < uuid_floor(CAST(:until AS timestamptz) + interval '1 hour')
        AND (CAST(:project_id AS uuid) IS NULL OR project_id = :project_id)
    ORDER BY request_id DESC LIMIT :limit
""")
EVALUATIONS: Final = text("""
    WITH newest AS (
        SELECT tenant_id, evaluation_id, name, started_at, created_by FROM evaluation
        WHERE tenant_id = :tenant_id ORDER BY started_at DESC, evaluation_id DESC LIMIT :limit
    )
    SELECT evaluation_id, n.name, n.started_at, n.created_by, r.subject, sum(r.prompt_count)::bigint,
        sum(r.failed_count)::bigint, sum(r.reached), sum(r.cost_nano_usd)::bigint
    FROM newest n JOIN evaluation_result r USING (tenant_id, evaluation_id)
    GROUP BY 1, 2, 3, 4, 5 ORDER BY n.started_at DESC, evaluation_id DESC, 8 DESC, 5
""")


async def route_counts(
    session: AsyncSession, tenant_id: UUID, within: TimeRange, project_id: UUID | None
) -> tuple[RouteCount, ...]:
    """Answered requests by model and task, the most first."""
    found = await session.execute(ROUTES, _bounds(tenant_id, within, project_id, GROUPS_MAX))
    return tuple(RouteCount(*row) for row in found)


async def newest_decisions(
    session: AsyncSession, tenant_id: UUID, within: TimeRange, project_id: UUID | None
) -> Sequence[str]:
    """The newest decisions of a range, as JSON."""
    found = await session.execute(DECISIONS, _bounds(tenant_id, within, project_id, DECISIONS_READ_MAX))
    return list(found.scalars())


async def evaluation_summaries(session: AsyncSession, tenant_id: UUID) -> tuple[EvaluationSummary, ...]:
    """The newest evaluations by subject, the best subject of each first."""
    found = await session.execute(EVALUATIONS, {"tenant_id": tenant_id, "limit": EVALUATIONS_SHOWN})
    return tuple(EvaluationSummary(*row) for row in found)


def _bounds(tenant_id: UUID, within: TimeRange, project_id: UUID | None, limit: int) -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        "since": within.since,
        "until": within.until,
        "project_id": project_id,
        "limit": limit,
    }
