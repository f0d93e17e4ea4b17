"""The SQL of feedback, and of folding it with evaluations into evidence of quality."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

# What a month ago was said of a model counts less than what is said today, and what is older than this nothing.
HALF_LIFE_DAYS: Final = 90
EVIDENCE_DAYS_MAX: Final = 365
# A person's rating says less of an answer than a grader does: half a prompt.
RATING_PROMPTS: Final = 0.5
EVIDENCE_ROWS_MAX: Final = 5_000

UPSERT: Final = text("""
    INSERT INTO feedback (tenant_id, request_id, project_id, api_key_id, model, task, score, task_correction, example,
        comment)
    VALUES (:tenant_id, :request_id, :project_id, :api_key_id, :model, :task, :score, :task_correction, :example,
        :comment)
    ON CONFLICT (tenant_id, request_id) DO UPDATE SET score = excluded.score, comment = excluded.comment,
        task_correction = excluded.task_correction, example = excluded.example, updated_at = now()
    RETURNING created_at, updated_at
""")
FEEDBACK_COLUMNS: Final = (
    "request_id, project_id, api_key_id, model, task, score, task_correction, example, comment, created_at, updated_at"
)
# `after` is the request whose feedback ended the page before.
SELECT_FEEDBACK: Final = """
    SELECT {columns} FROM feedback f
    WHERE tenant_id = :tenant_id {conditions}
        AND (CAST(:after AS uuid) IS NULL OR (f.updated_at, f.request_id) <
            (SELECT p.updated_at, p.request_id FROM feedback p
             WHERE p.tenant_id = f.tenant_id AND p.request_id = :after))
    ORDER BY f.updated_at DESC, f.request_id DESC LIMIT :limit
"""

# Of runs of one file only the newest counts: asking the same again is no new evidence.
EVIDENCE: Final = text("""
    WITH evaluated AS (
        SELECT DISTINCT ON (r.model, r.task, e.prompts_sha256) r.model, r.task, r.prompt_count, r.reached,
            power(0.5, greatest(0, extract(epoch FROM now() - e.started_at)) / 86400.0 / :half_life_days) AS freshness
        FROM evaluation_result r JOIN evaluation e USING (tenant_id, evaluation_id)
        WHERE r.tenant_id = :tenant_id AND r.subject_kind = 'model' AND r.model <> '' AND r.prompt_count > 0
            AND e.started_at > now() - make_interval(days => :days_max)
        ORDER BY r.model, r.task, e.prompts_sha256, e.started_at DESC, e.evaluation_id DESC
    ), rated AS (
        SELECT model, coalesce(task_correction, task) AS task, score,
            :rating_prompts * power(0.5, extract(epoch FROM now() - updated_at) / 86400.0 / :half_life_days) AS prompts
        FROM feedback
        WHERE tenant_id = :tenant_id AND score IS NOT NULL AND model <> '' AND task <> ''
            AND updated_at > now() - make_interval(days => :days_max)
    ), found AS (
        SELECT model, task, 'evaluation' AS source, sum(prompt_count * freshness) AS prompts,
            sum(reached * freshness) AS reached
        FROM evaluated GROUP BY model, task
        UNION ALL
        SELECT model, task, 'feedback', sum(prompts), sum(score * prompts) FROM rated GROUP BY model, task
    )
    SELECT model, task, source, prompts, reached FROM found ORDER BY prompts DESC, model, task, source LIMIT :rows_max
""")
REPLACE: Final = text("""
    INSERT INTO quality_evidence (tenant_id, model, task, source, prompts, reached)
    SELECT :tenant_id, * FROM unnest(CAST(:models AS text[]), CAST(:tasks AS text[]), CAST(:sources AS text[]),
        CAST(:prompts AS double precision[]), CAST(:reached AS double precision[]))
    ON CONFLICT (tenant_id, model, task, source) DO UPDATE
        SET prompts = excluded.prompts, reached = excluded.reached, folded_at = now()
""")
FORGET: Final = text("""
    DELETE FROM quality_evidence q WHERE tenant_id = :tenant_id AND NOT EXISTS (
        SELECT FROM unnest(CAST(:models AS text[]), CAST(:tasks AS text[]), CAST(:sources AS text[]))
            AS kept (model, task, source)
        WHERE kept.model = q.model AND kept.task = q.task AND kept.source = q.source)
""")

FeedbackRow = Row[UUID, UUID, UUID, str, str, float | None, str | None, str | None, str | None, datetime, datetime]
EvidenceRow = Row[str, str, str, float, float]


async def upsert_feedback(session: AsyncSession, tenant_id: UUID, **values: object) -> tuple[datetime, datetime]:
    """Write what is said of a request in place of what was said before; when first and when now."""
    row = (await session.execute(UPSERT, {"tenant_id": tenant_id, **values})).one()
    return row[0], row[1]


async def select_feedback(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    limit: int,
    after: UUID | None = None,
    project_id: UUID | None = None,
    only_corrections: bool = False,
    request_id: UUID | None = None,
) -> Sequence[FeedbackRow]:
    """The tenant's feedback, the newest first."""
    conditions = {
        "AND f.project_id = :project_id": project_id is not None,
        "AND f.request_id = :request_id": request_id is not None,
        "AND f.task_correction IS NOT NULL": only_corrections,
    }
    wanted = " ".join(condition for condition, is_wanted in conditions.items() if is_wanted)
    found = await session.execute(
        text(SELECT_FEEDBACK.format(columns=FEEDBACK_COLUMNS, conditions=wanted)),
        {
            "tenant_id": tenant_id,
            "limit": limit,
            "after": after,
            "project_id": project_id,
            "request_id": request_id,
        },
    )
    return found.all()


async def select_pending_tenants(session: AsyncSession, limit: int) -> list[UUID]:
    """Tenants whose evidence is to be folded; across tenants."""
    found = await session.execute(text("SELECT tenant_id FROM quality_pending LIMIT :limit"), {"limit": limit})
    return list(found.scalars())


async def take_pending(session: AsyncSession, tenant_id: UUID) -> bool:
    """End the tenant's wait; whether it waited. What is written from now on makes it wait again."""
    found = await session.execute(
        text("DELETE FROM quality_pending WHERE tenant_id = :tenant_id RETURNING 1"), {"tenant_id": tenant_id}
    )
    return found.one_or_none() is not None


async def sum_evidence(session: AsyncSession, tenant_id: UUID) -> Sequence[EvidenceRow]:
    """Fresh feedback and evaluations by model and task; of too many the weightiest."""
    found = await session.execute(
        EVIDENCE,
        {
            "tenant_id": tenant_id,
            "half_life_days": HALF_LIFE_DAYS,
            "days_max": EVIDENCE_DAYS_MAX,
            "rating_prompts": RATING_PROMPTS,
            "rows_max": EVIDENCE_ROWS_MAX,
        },
    )
    return found.all()


async def replace_evidence(session: AsyncSession, tenant_id: UUID, rows: Sequence[EvidenceRow]) -> None:
    """Put these rows in place of the tenant's evidence."""
    names = {
        "tenant_id": tenant_id,
        "models": [row[0] for row in rows],
        "tasks": [row[1] for row in rows],
        "sources": [row[2] for row in rows],
    }
    await session.execute(FORGET, names)
    await session.execute(REPLACE, {**names, "prompts": [row[3] for row in rows], "reached": [row[4] for row in rows]})


async def select_evidence(session: AsyncSession, tenant_id: UUID) -> Sequence[EvidenceRow]:
    """The tenant's evidence as it was folded last."""
    found = await session.execute(
        text("SELECT model, task, source, prompts, reached FROM quality_evidence WHERE tenant_id = :tenant_id"),
        {"tenant_id": tenant_id},
    )
    return found.all()
