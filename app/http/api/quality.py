"""`/quality`, `/evaluations` and `/feedback`: what models are expected to reach for this tenant, and on what ground.

Invariant: evaluations hold sums, no prompt and no answer; what is stored under an id is never changed.
"""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from uuid_utils.compat import uuid7

from app.gateway.quality_table import QualityRow
from app.http.api.access import Caller
from app.http.api.answers import PAGE, After, Limit, Page, answer_of, page_of, page_within
from app.http.api.bounds import FilterText, moment_of
from app.http.api.services import Services
from tenants import (
    Evaluation,
    EvaluationResult,
    SubjectKind,
    add_evaluation,
    find_evaluation,
    list_evaluations,
    list_feedback,
    remove_evaluation,
)

SHA256: Final = r"^[0-9a-f]{64}$"
COUNT_MAX: Final = 1_000_000
COST_NANO_USD_MAX: Final = 10**17
MS_MAX: Final = 10**9

Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=MS_MAX)]
AfterText = Annotated[str | None, QueryParameter(max_length=400, description="The `last_id` of the page before.")]
OnlyCorrections = Annotated[bool, QueryParameter(description="Only feedback that corrects the task.")]


class NewResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one subject reached on the prompts of one task, as one model answered them."""

    subject: str
    subject_kind: SubjectKind
    model: str
    task: str
    prompt_count: Count
    failed_count: Count = 0
    reached: Annotated[float, msgspec.Meta(ge=0)]
    cost_nano_usd: Annotated[int, msgspec.Meta(ge=0, le=COST_NANO_USD_MAX)] = 0
    unknown_cost_count: Count = 0
    latency_ms_p50: Milliseconds | None = None
    latency_ms_p95: Milliseconds | None = None


class NewEvaluation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run of a labelled file. Under an `evaluation_id` that is stored already nothing is stored again."""

    name: str
    prompts_sha256: Annotated[str, msgspec.Meta(pattern=SHA256)]
    prompt_count: Annotated[int, msgspec.Meta(ge=1, le=COUNT_MAX)]
    started_at: datetime
    results: tuple[NewResult, ...]
    evaluation_id: UUID | None = None


class EvaluationLine(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation without its results."""

    evaluation_id: UUID
    name: str
    prompts_sha256: str
    prompt_count: int
    created_by: str
    started_at: datetime
    created_at: datetime


class ResultAnswer(NewResult, frozen=True, kw_only=True):
    """The same, stored."""

    cost_usd: str


class EvaluationAnswer(EvaluationLine, frozen=True, kw_only=True):
    """An evaluation with its results."""

    results: tuple[ResultAnswer, ...]


class FeedbackAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of one request last. A correction with an `example` can become one of the tenant's examples."""

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


class Quality(Controller):
    """Expected quality by model and task."""

    path = "/quality"
    tags = ("Quality",)

    @get(summary="List expected quality")
    async def list_quality(
        self,
        caller: Caller,
        services: Services,
        task: FromQuery[FilterText] = None,
        model: FromQuery[FilterText] = None,
        limit: Limit = PAGE,
        after: AfterText = None,
    ) -> Page[QualityRow]:
        """What routing goes by, with 95 % interval and source, by task and model. The task '' is every other."""
        rows = [
            row
            for row in await services.quality(caller.tenant_id)
            if task in (None, row.task) and model in (None, row.model)
        ]
        return page_within(rows, lambda row: f"{row.task}|{row.model}", limit=limit, after=after)


class Evaluations(Controller):
    """Runs of labelled files; those of models move expected quality within a minute."""

    path = "/evaluations"
    tags = ("Quality",)

    @get(summary="List evaluations")
    async def list_evaluations(
        self, caller: Caller, services: Services, limit: Limit = PAGE, after: After = None
    ) -> Page[EvaluationLine]:
        """The newest first."""
        found = await list_evaluations(services.database, caller.tenant_id, limit=limit + 1, after=after)
        lines = [answer_of(EvaluationLine, each) for each in found]
        return page_of(lines, lambda line: line.evaluation_id, limit=limit)

    @get("/{evaluation_id:uuid}", summary="Show an evaluation")
    async def show_evaluation(
        self, caller: Caller, services: Services, evaluation_id: FromPath[UUID]
    ) -> EvaluationAnswer:
        """With its results by subject, task and model."""
        return _answer(await find_evaluation(services.database, caller.tenant_id, evaluation_id))

    @post(summary="Store an evaluation", status_code=200)
    async def add_evaluation(
        self, caller: Caller, services: Services, data: JSONBody[NewEvaluation]
    ) -> EvaluationAnswer:
        """Store sums that `signalbox eval`, or a program of yours, made. Sending the same id again is safe."""
        stored = await add_evaluation(
            services.database,
            caller.principal.actor,
            caller.tenant_id,
            evaluation_id=data.evaluation_id or uuid7(),
            name=data.name,
            prompts_sha256=data.prompts_sha256,
            prompt_count=data.prompt_count,
            started_at=min(moment_of("started_at", data.started_at), services.now()),
            results=tuple(EvaluationResult(**msgspec.structs.asdict(each)) for each in data.results),
        )
        return _answer(stored)

    @delete("/{evaluation_id:uuid}", summary="Remove an evaluation")
    async def remove_evaluation(self, caller: Caller, services: Services, evaluation_id: FromPath[UUID]) -> None:
        """It counts for nothing from then on."""
        await remove_evaluation(services.database, caller.principal.actor, caller.tenant_id, evaluation_id)


class FeedbackList(Controller):
    """What applications said of answers by `POST /v1/feedback`."""

    path = "/feedback"
    tags = ("Quality",)

    @get(summary="List feedback")
    async def list_feedback(
        self,
        caller: Caller,
        services: Services,
        corrections: OnlyCorrections = False,
        project_id: FromQuery[UUID | None] = None,
        limit: Limit = PAGE,
        after: After = None,
    ) -> Page[FeedbackAnswer]:
        """The newest first. With `corrections` it is the list of suggestions for the tenant's examples."""
        found = await list_feedback(
            services.database,
            caller.tenant_id,
            limit=limit + 1,
            after=after,
            project_id=caller.project_within_reach(project_id),
            only_corrections=corrections,
        )
        return page_of(
            [answer_of(FeedbackAnswer, each) for each in found], lambda answer: answer.request_id, limit=limit
        )


def _answer(stored: Evaluation) -> EvaluationAnswer:
    results = tuple(answer_of(ResultAnswer, each) for each in stored.results)
    return answer_of(EvaluationAnswer, stored, results=results)
