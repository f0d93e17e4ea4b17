"""Feedback and evaluations as stored, and what is folded of them for the request path."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from tenants import (
    Actor,
    CreatedTenant,
    Database,
    Evaluation,
    EvaluationResult,
    Feedback,
    FieldInvalid,
    NotFound,
    RatedRequest,
    Snapshot,
    Vault,
    add_evaluation,
    find_evaluation,
    fold_quality,
    give_feedback,
    list_evaluations,
    list_feedback,
    measured_quality,
    remove_evaluation,
)

MODEL, TASK = "sandbox/steady-base", "code_generation"


def rated(*, model: str = MODEL, task: str = TASK, request_id: UUID | None = None) -> RatedRequest:
    return RatedRequest(
        request_id=request_id or uuid4(), project_id=uuid4(), api_key_id=uuid4(), model=model, task=task
    )


def result(**changes: object) -> EvaluationResult:
    values = {
        "subject": MODEL, "subject_kind": "model", "model": MODEL, "task": TASK, "prompt_count": 40, "failed_count": 0,
        "reached": 30.0, "cost_nano_usd": 1_000, "unknown_cost_count": 0, "latency_ms_p50": 10, "latency_ms_p95": 20,
    }  # fmt: skip
    return EvaluationResult(**{**values, **changes})  # type: ignore[arg-type]  # a builder


async def evaluate(
    database: Database,
    actor: Actor,
    tenant_id: UUID,
    *results: EvaluationResult,
    prompts: str = "a" * 64,
    started_at: datetime | None = None,
    evaluation_id: UUID | None = None,
) -> Evaluation:
    return await add_evaluation(
        database, actor, tenant_id, evaluation_id=evaluation_id or uuid4(), name="nightly", prompts_sha256=prompts,
        prompt_count=40, started_at=started_at or datetime.now(UTC), results=results or (result(),),
    )  # fmt: skip


async def evidence(database: Database, tenant_id: UUID) -> dict[tuple[str, str, str], tuple[float, float]]:
    await fold_quality(database)
    rows = await measured_quality(database, tenant_id)
    return {(row.model, row.task, row.source): (row.prompts, row.reached) for row in rows}


async def said(database: Database, tenant_id: UUID) -> list[Feedback]:
    return list(await list_feedback(database, tenant_id, limit=10))


async def test_saying_it_again_replaces_what_was_said(
    database: Database, tenant: CreatedTenant, other_tenant: CreatedTenant
) -> None:
    about = rated()
    first = await give_feedback(database, tenant.tenant_id, about, score=0.2, comment="wrong")
    again = await give_feedback(database, tenant.tenant_id, about, score=0.9)
    assert (again.created_at, again.score, again.comment) == (first.created_at, 0.9, None)
    assert await said(database, tenant.tenant_id) == [again]
    assert await said(database, other_tenant.tenant_id) == []


async def test_two_at_once_about_one_request_leave_one_row(database: Database, tenant: CreatedTenant) -> None:
    about = rated()
    await asyncio.gather(*(give_feedback(database, tenant.tenant_id, about, score=n / 9) for n in range(10)))
    assert len(await said(database, tenant.tenant_id)) == 1


async def test_another_tenants_word_on_the_same_request_id_is_a_row_of_its_own(
    database: Database, tenant: CreatedTenant, other_tenant: CreatedTenant
) -> None:
    request_id = uuid4()
    await give_feedback(database, tenant.tenant_id, rated(request_id=request_id), score=1)
    await give_feedback(database, other_tenant.tenant_id, rated(request_id=request_id), score=0)
    assert [(await said(database, each.tenant_id))[0].score for each in (tenant, other_tenant)] == [1, 0]


@pytest.mark.parametrize(
    "words",
    [
        {}, {"score": 1.01}, {"score": -0.01}, {"score": float("nan")}, {"task_correction": "No slug"},
        {"comment": "x" * 2_001}, {"comment": "nul \x00"}, {"comment": "  "}, {"score": 1, "example": "no task"},
        {"task_correction": "triage", "example": "x" * 4_001},
    ],
)  # fmt: skip
async def test_feedback_that_says_nothing_or_too_much_is_refused(
    database: Database, tenant: CreatedTenant, words: dict[str, object]
) -> None:
    with pytest.raises(FieldInvalid):
        await give_feedback(database, tenant.tenant_id, rated(), **words)  # type: ignore[arg-type]  # what is refused
    assert await said(database, tenant.tenant_id) == []


async def test_pages_follow_one_another_and_corrections_can_be_had_alone(
    database: Database, tenant: CreatedTenant
) -> None:
    for number in range(5):
        correction = "triage" if number % 2 else None
        await give_feedback(database, tenant.tenant_id, rated(), score=number / 5, task_correction=correction)
    first = await list_feedback(database, tenant.tenant_id, limit=3)
    rest = await list_feedback(database, tenant.tenant_id, limit=3, after=first[-1].request_id)
    assert [each.score for each in (*first, *rest)] == [0.8, 0.6, 0.4, 0.2, 0.0]
    corrections = await list_feedback(database, tenant.tenant_id, limit=9, only_corrections=True)
    assert [each.task_correction for each in corrections] == ["triage", "triage"]


async def test_ratings_are_folded_at_half_a_prompt_under_the_task_that_it_really_was(
    database: Database, tenant: CreatedTenant, other_tenant: CreatedTenant
) -> None:
    for score in (1.0, 0.5):
        await give_feedback(database, tenant.tenant_id, rated(), score=score)
    await give_feedback(database, tenant.tenant_id, rated(), score=0.0, task_correction="triage")
    await give_feedback(database, tenant.tenant_id, rated(model=""), score=0.0)
    await give_feedback(database, tenant.tenant_id, rated(), comment="no score")
    found = await evidence(database, tenant.tenant_id)
    assert found == {
        (MODEL, TASK, "feedback"): (pytest.approx(1.0), pytest.approx(0.75)),
        (MODEL, "triage", "feedback"): (pytest.approx(0.5), 0.0),
    }
    assert await evidence(database, other_tenant.tenant_id) == {}


async def test_of_runs_of_one_file_the_newest_counts_and_of_two_files_both(
    database: Database, member: Actor, tenant: CreatedTenant
) -> None:
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    await evaluate(database, member, tenant.tenant_id, result(reached=40.0), started_at=hour_ago)
    await evaluate(database, member, tenant.tenant_id, result(reached=10.0))
    assert await evidence(database, tenant.tenant_id) == {
        (MODEL, TASK, "evaluation"): (pytest.approx(40, rel=1e-3), pytest.approx(10, rel=1e-3))
    }
    await evaluate(database, member, tenant.tenant_id, result(reached=20.0), prompts="b" * 64)
    prompts, reached = (await evidence(database, tenant.tenant_id))[MODEL, TASK, "evaluation"]
    assert (prompts, reached) == (pytest.approx(80, rel=1e-3), pytest.approx(30, rel=1e-3))


async def test_what_a_policy_chose_says_nothing_of_a_model(
    database: Database, member: Actor, tenant: CreatedTenant
) -> None:
    await evaluate(database, member, tenant.tenant_id, result(subject="auto/default", subject_kind="policy"))
    assert await evidence(database, tenant.tenant_id) == {}


async def test_evidence_fades_and_ends(database: Database, member: Actor, tenant: CreatedTenant) -> None:
    now = datetime.now(UTC)
    await evaluate(database, member, tenant.tenant_id, started_at=now - timedelta(days=90))
    prompts, reached = (await evidence(database, tenant.tenant_id))[MODEL, TASK, "evaluation"]
    assert (prompts, reached) == (pytest.approx(20, rel=1e-3), pytest.approx(15, rel=1e-3))
    await evaluate(database, member, tenant.tenant_id, prompts="b" * 64, started_at=now - timedelta(days=366))
    assert (await evidence(database, tenant.tenant_id))[MODEL, TASK, "evaluation"][0] == pytest.approx(20, rel=1e-3)


async def test_removing_an_evaluation_takes_its_evidence_away(
    database: Database, member: Actor, tenant: CreatedTenant, other_tenant: CreatedTenant
) -> None:
    stored = await evaluate(database, member, tenant.tenant_id)
    assert await evidence(database, tenant.tenant_id) != {}
    with pytest.raises(NotFound):
        await remove_evaluation(database, member, other_tenant.tenant_id, stored.evaluation_id)
    await remove_evaluation(database, member, tenant.tenant_id, stored.evaluation_id)
    assert await evidence(database, tenant.tenant_id) == {}
    assert await list_evaluations(database, tenant.tenant_id, limit=9) == ()


async def test_storing_an_evaluation_again_changes_nothing(
    database: Database, member: Actor, tenant: CreatedTenant, other_tenant: CreatedTenant
) -> None:
    key = uuid4()
    first = await evaluate(database, member, tenant.tenant_id, evaluation_id=key)
    assert await evaluate(database, member, tenant.tenant_id, result(reached=1.0), evaluation_id=key) == first
    assert (await find_evaluation(database, tenant.tenant_id, key)).results == (result(),)
    with pytest.raises(NotFound):
        await find_evaluation(database, other_tenant.tenant_id, key)


@pytest.mark.parametrize(
    "results",
    [
        [result(reached=40.5)], [result(reached=-1.0)], [result(reached=float("nan"))], [result(), result()],
        [result(task="a\nb")], [result(model="m" * 201)],
    ],
)  # fmt: skip
async def test_sums_that_cannot_be_are_refused(
    database: Database, member: Actor, tenant: CreatedTenant, results: list[EvaluationResult]
) -> None:
    with pytest.raises(FieldInvalid):
        await evaluate(database, member, tenant.tenant_id, *results)
    assert await list_evaluations(database, tenant.tenant_id, limit=9) == ()


async def test_only_tenants_that_wait_are_folded_and_workers_do_not_count_twice(
    database: Database, tenant: CreatedTenant, other_tenant: CreatedTenant
) -> None:
    await give_feedback(database, tenant.tenant_id, rated(), score=1)
    assert sum(await asyncio.gather(fold_quality(database), fold_quality(database))) == 1
    assert await fold_quality(database) == 0
    assert await evidence(database, tenant.tenant_id) == {(MODEL, TASK, "feedback"): (pytest.approx(0.5),) * 2}


async def test_the_snapshot_hears_of_folded_evidence_and_not_of_each_word(
    database: Database, vault: Vault, tenant: CreatedTenant, admin: asyncpg.Connection
) -> None:
    snapshot = Snapshot(database, vault, is_listening=False)
    assert await snapshot.measured_quality(tenant.tenant_id) == ()
    before = await admin.fetchval("SELECT max(changed_at) FROM change")
    await give_feedback(database, tenant.tenant_id, rated(), score=1)
    assert await admin.fetchval("SELECT max(changed_at) FROM change") == before
    await fold_quality(database)
    assert await admin.fetchval("SELECT max(changed_at) FROM change") > before
    fresh = Snapshot(database, vault, is_listening=False)
    (row,) = await fresh.measured_quality(tenant.tenant_id)
    assert (row.model, row.task, row.source) == (MODEL, TASK, "feedback")
