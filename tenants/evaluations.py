"""Evaluations as stored: what models and policies reached on a tenant's own labelled prompts.

Called by the management API and the console; `signalbox eval` makes them. Invariants: sums alone are kept, no
prompt and no answer; an evaluation is never edited, and storing it again under its id changes nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tenants import evaluation_repository as repository
from tenants.audit import record_audit
from tenants.database import Database
from tenants.errors import FieldInvalid, NotFound
from tenants.evaluation_repository import EvaluationResult
from tenants.fields import name_of, whole_of
from tenants.principal import Actor

RESULTS_MAX: Final = 1_000
PROMPTS_MAX: Final = 1_000_000
EVALUATIONS_MAX: Final = 1_000
NAME_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One run of a labelled file; the results are left out in lists."""

    evaluation_id: UUID
    name: str
    prompts_sha256: str
    prompt_count: int
    created_by: str
    started_at: datetime
    created_at: datetime
    results: tuple[EvaluationResult, ...] = ()


async def add_evaluation(
    database: Database,
    actor: Actor,
    tenant_id: UUID,
    *,
    evaluation_id: UUID,
    name: str,
    prompts_sha256: str,
    prompt_count: int,
    started_at: datetime,
    results: Sequence[EvaluationResult],
) -> Evaluation:
    """Store an evaluation; one that is stored already is given back as it is. Raises FieldInvalid, LimitReached."""
    name = name_of("name", name)
    whole_of("prompt_count", prompt_count, least=1, most=PROMPTS_MAX)
    _check(results)
    async with database.tenant(tenant_id) as session:
        is_new = await repository.insert_evaluation(
            session, tenant_id, evaluation_id=evaluation_id, name=name, prompts_sha256=prompts_sha256,
            prompt_count=prompt_count, created_by=actor.name, started_at=started_at, evaluations_max=EVALUATIONS_MAX,
        )  # fmt: skip
        if is_new:
            await repository.insert_results(session, tenant_id, evaluation_id, results)
            await record_audit(
                session,
                tenant_id,
                actor,
                "evaluation.added",
                f"evaluation:{evaluation_id}",
                after={"name": name, "prompts_sha256": prompts_sha256, "prompt_count": prompt_count},
            )
    return await find_evaluation(database, tenant_id, evaluation_id)


async def list_evaluations(
    database: Database, tenant_id: UUID, *, limit: int, after: UUID | None = None
) -> tuple[Evaluation, ...]:
    """The tenant's evaluations, the newest first, without their results."""
    async with database.tenant(tenant_id) as session:
        rows = await repository.select_evaluations(session, tenant_id, limit=limit, after=after)
    return tuple(Evaluation(**row._mapping) for row in rows)


async def find_evaluation(database: Database, tenant_id: UUID, evaluation_id: UUID) -> Evaluation:
    """One evaluation with its results. Raises NotFound."""
    async with database.tenant(tenant_id) as session:
        row = await repository.find_evaluation(session, tenant_id, evaluation_id)
        results = await repository.select_results(session, tenant_id, evaluation_id)
    if row is None:
        raise NotFound("evaluation", evaluation_id)
    return Evaluation(**row._mapping, results=tuple(EvaluationResult(**each._mapping) for each in results))


async def remove_evaluation(database: Database, actor: Actor, tenant_id: UUID, evaluation_id: UUID) -> None:
    """Remove an evaluation, so that it counts for nothing. Raises NotFound."""
    async with database.tenant(tenant_id) as session:
        if not await repository.delete_evaluation(session, tenant_id, evaluation_id):
            raise NotFound("evaluation", evaluation_id)
        await record_audit(session, tenant_id, actor, "evaluation.removed", f"evaluation:{evaluation_id}")


def _check(results: Sequence[EvaluationResult]) -> None:
    if not 1 <= len(results) <= RESULTS_MAX:
        raise FieldInvalid("results", f"There are {len(results):,} results; give 1 to {RESULTS_MAX:,}.")
    keys = Counter((each.subject, each.model, each.task) for each in results)
    for (subject, model, task), count in keys.items():
        if count > 1:
            raise FieldInvalid("results", f"'{subject}' has {count} results for '{model}' and '{task}'. Add them up.")
    for each in results:
        for name in ("subject", "model", "task"):
            if len(getattr(each, name)) > NAME_CHARACTERS_MAX or not getattr(each, name).isprintable():
                raise FieldInvalid(
                    f"results.{name}", f"A {name} has one printable line of at most {NAME_CHARACTERS_MAX} characters."
                )
        if not 0 <= each.reached <= each.prompt_count:
            raise FieldInvalid(
                "results.reached",
                f"reached is {each.reached:g} of {each.prompt_count} prompts; scores are from 0 to 1, so their sum "
                "lies between 0 and the number of prompts.",
            )
