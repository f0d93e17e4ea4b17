"""The SQL of evaluations as stored."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.errors import LimitReached
from tenants.repository import lock_tenant

COLUMNS: Final = "evaluation_id, name, prompts_sha256, prompt_count, created_by, started_at, created_at"
RESULT_COLUMNS: Final = (
    "subject, subject_kind, model, task, prompt_count, failed_count, reached, cost_nano_usd, unknown_cost_count, "
    "latency_ms_p50, latency_ms_p95"
)

SubjectKind = Literal["model", "policy"]
EvaluationRow = Row[UUID, str, str, int, str, datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """What one subject reached on the prompts of one task, as one model answered them.

    `prompt_count` are the graded answers and `reached` the sum of their scores; `failed_count` got no answer.
    """

    subject: str
    subject_kind: SubjectKind
    model: str
    task: str
    prompt_count: int
    failed_count: int
    reached: float
    cost_nano_usd: int
    unknown_cost_count: int
    latency_ms_p50: int | None
    latency_ms_p95: int | None


async def insert_evaluation(session: AsyncSession, tenant_id: UUID, *, evaluations_max: int, **values: object) -> bool:
    """Add an evaluation unless its id is there; whether it was added. Raises LimitReached."""
    await lock_tenant(session, tenant_id)
    key = {"tenant_id": tenant_id}
    known = await session.execute(
        text("SELECT 1 FROM evaluation WHERE tenant_id = :tenant_id AND evaluation_id = :evaluation_id"),
        {**key, "evaluation_id": values["evaluation_id"]},
    )
    if known.one_or_none() is not None:
        return False
    count = await session.execute(text("SELECT count(*) FROM evaluation WHERE tenant_id = :tenant_id"), key)
    if count.scalar_one() >= evaluations_max:
        raise LimitReached("evaluations", evaluations_max)
    await session.execute(
        text("""
            INSERT INTO evaluation
                (tenant_id, evaluation_id, name, prompts_sha256, prompt_count, created_by, started_at)
            VALUES (:tenant_id, :evaluation_id, :name, :prompts_sha256, :prompt_count, :created_by, :started_at)"""),
        {**key, **values},
    )
    return True


async def insert_results(
    session: AsyncSession, tenant_id: UUID, evaluation_id: UUID, results: Sequence[EvaluationResult]
) -> None:
    """Add the results of an evaluation."""
    await session.execute(
        text(f"""
            INSERT INTO evaluation_result (tenant_id, evaluation_id, {RESULT_COLUMNS})
            VALUES (:tenant_id, :evaluation_id, :{RESULT_COLUMNS.replace(", ", ", :")})"""),  # noqa: S608 - constants
        [{"tenant_id": tenant_id, "evaluation_id": evaluation_id, **asdict(result)} for result in results],
    )


async def select_evaluations(
    session: AsyncSession, tenant_id: UUID, *, limit: int, after: UUID | None
) -> Sequence[EvaluationRow]:
    """The evaluations behind one, the newest first."""
    found = await session.execute(
        text(f"""
            SELECT {COLUMNS} FROM evaluation e WHERE tenant_id = :tenant_id
                AND (CAST(:after AS uuid) IS NULL OR (e.started_at, e.evaluation_id) <
                    (SELECT p.started_at, p.evaluation_id FROM evaluation p
                     WHERE p.tenant_id = e.tenant_id AND p.evaluation_id = :after))
            ORDER BY e.started_at DESC, e.evaluation_id DESC LIMIT :limit"""),  # noqa: S608 - constants
        {"tenant_id": tenant_id, "after": after, "limit": limit},
    )
    return found.all()


async def find_evaluation(session: AsyncSession, tenant_id: UUID, evaluation_id: UUID) -> EvaluationRow | None:
    """One evaluation."""
    found = await session.execute(
        text(f"SELECT {COLUMNS} FROM evaluation WHERE tenant_id = :tenant_id AND evaluation_id = :evaluation_id"),  # noqa: S608 - constants
        {"tenant_id": tenant_id, "evaluation_id": evaluation_id},
    )
    return found.one_or_none()


async def select_results(session: AsyncSession, tenant_id: UUID, evaluation_id: UUID) -> Sequence[Row[Any]]:
    """The results of one evaluation, by subject, task and model."""
    found = await session.execute(
        text(f"""
            SELECT {RESULT_COLUMNS} FROM evaluation_result
            WHERE tenant_id = :tenant_id AND evaluation_id = :evaluation_id ORDER BY subject, task, model"""),  # noqa: S608 - constants
        {"tenant_id": tenant_id, "evaluation_id": evaluation_id},
    )
    return found.all()


async def delete_evaluation(session: AsyncSession, tenant_id: UUID, evaluation_id: UUID) -> bool:
    """Remove an evaluation with its results; whether there was one."""
    found = await session.execute(
        text("DELETE FROM evaluation WHERE tenant_id = :tenant_id AND evaluation_id = :evaluation_id RETURNING 1"),
        {"tenant_id": tenant_id, "evaluation_id": evaluation_id},
    )
    return found.one_or_none() is not None
