"""What a tenant says of an answer: a score, the task that it really was, a comment; and the job that folds it.

Called by the data plane's `/v1/feedback`, the management API and the worker. Invariants: one row a request, the
last word counts; feedback is the tenant's own and moves its own candidates only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tenants import quality_repository as repository
from tenants.database import Database
from tenants.errors import FieldInvalid
from tenants.fields import slug_of, text_of

COMMENT_CHARACTERS_MAX: Final = 2_000
EXAMPLE_CHARACTERS_MAX: Final = 4_000
PENDING_TENANTS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedRequest:
    """The request that feedback is about, as its record tells it; `model` is `provider/model`, or empty."""

    request_id: UUID
    project_id: UUID
    api_key_id: UUID
    model: str
    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What is said of one request. `example` is its text, where the tenant offers it for its examples."""

    request_id: UUID
    project_id: UUID
    api_key_id: UUID
    model: str
    task: str
    score: float | None
    task_correction: str | None
    example: str | None
    comment: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredQuality:
    """The evidence of one model on one task from one source, in prompts that weigh less the older they are."""

    model: str
    task: str
    source: str
    prompts: float
    reached: float


async def give_feedback(
    database: Database,
    tenant_id: UUID,
    rated: RatedRequest,
    *,
    score: float | None = None,
    task_correction: str | None = None,
    example: str | None = None,
    comment: str | None = None,
) -> Feedback:
    """Keep what is said of a request, in place of what was said before. Raises FieldInvalid."""
    if score is None and task_correction is None and comment is None:
        raise FieldInvalid("score", "The feedback says nothing. Give a score, a thumb, a task or a comment.")
    if score is not None and not 0 <= score <= 1:
        raise FieldInvalid("score", f"score is {score:g}; give a number from 0 (useless) to 1 (perfect).")
    if example is not None and task_correction is None:
        raise FieldInvalid("task", "An example needs the task that it is one of. Give `task` too.")
    said = {
        "score": score,
        "task_correction": None if task_correction is None else slug_of("task", task_correction),
        "example": None if example is None else text_of("example", example, EXAMPLE_CHARACTERS_MAX),
        "comment": None if comment is None else text_of("comment", comment, COMMENT_CHARACTERS_MAX),
    }
    about = {name: getattr(rated, name) for name in RatedRequest.__slots__}
    async with database.tenant(tenant_id) as session:
        created_at, updated_at = await repository.upsert_feedback(session, tenant_id, **about, **said)
    return Feedback(**about, **said, created_at=created_at, updated_at=updated_at)  # type: ignore[arg-type]  # as checked above


async def list_feedback(
    database: Database,
    tenant_id: UUID,
    *,
    limit: int,
    after: UUID | None = None,
    project_id: UUID | None = None,
    only_corrections: bool = False,
    request_id: UUID | None = None,
) -> tuple[Feedback, ...]:
    """The tenant's feedback, the newest first; of a project, of a request, or what corrects a task when asked so."""
    async with database.tenant(tenant_id) as session:
        rows = await repository.select_feedback(
            session, tenant_id, limit=limit, after=after, project_id=project_id,
            only_corrections=only_corrections, request_id=request_id,
        )  # fmt: skip
    return tuple(Feedback(**row._mapping) for row in rows)


async def fold_quality(database: Database) -> int:
    """Fold feedback and evaluations of the tenants that wait for it; how many tenants were folded.

    Uses the operator's role to learn which tenants wait, and is no audit event. Any number of workers may run.
    """
    async with database.across_tenants() as session:
        tenant_ids = await repository.select_pending_tenants(session, PENDING_TENANTS_MAX)
    folded = 0
    for tenant_id in tenant_ids:
        async with database.tenant(tenant_id) as session:
            # First, and not last: what arrives meanwhile waits for the next turn.
            if await repository.take_pending(session, tenant_id):
                rows = await repository.sum_evidence(session, tenant_id)
                await repository.replace_evidence(session, tenant_id, rows)
                folded += 1
    return folded


async def measured_quality(database: Database, tenant_id: UUID) -> tuple[MeasuredQuality, ...]:
    """The tenant's evidence as it was folded last."""
    async with database.tenant(tenant_id) as session:
        return measured_of(await repository.select_evidence(session, tenant_id))


def measured_of(rows: Sequence[repository.EvidenceRow]) -> tuple[MeasuredQuality, ...]:
    """Rows as values; the snapshot reads them by its own role."""
    return tuple(MeasuredQuality(**row._mapping) for row in rows)
