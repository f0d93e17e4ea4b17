"""What `signalbox eval` prints: one document, and the tables that show it; and what it stores by the API."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import click
import msgspec

from app.commands.eval_run import JudgeCost, Subject
from app.commands.output import print_table
from app.evaluation.scores import Comparison, Graded, Tally, by_model_and_task, by_task
from billing import usd

FEW: Final = 30  # prompts; fewer say little
UNKNOWN: Final = "—"


class EvalReport(msgspec.Struct, frozen=True, kw_only=True):
    """The document. `stored` says whether the gateway keeps it under its id."""

    evaluation_id: UUID
    prompts_sha256: str
    prompts: int
    subjects: tuple[str, ...]
    tallies: tuple[Tally, ...]
    by_model: tuple[Tally, ...]
    comparisons: tuple[Comparison, ...]
    reasons: dict[str, int]  # of prompts without a score
    judge_calls: int
    judge_cost_nano_usd: int
    wall_s: float
    stored: bool = False


def report_of(
    graded: Sequence[Graded],
    subjects: Sequence[Subject],
    comparisons: tuple[Comparison, ...],
    judged: JudgeCost,
    *,
    evaluation_id: UUID,
    prompts_sha256: str,
    wall_s: float,
) -> EvalReport:
    """Sum up a run."""
    reasons = [each.reason or UNKNOWN for each in graded if each.score is None]
    return EvalReport(
        evaluation_id=evaluation_id,
        prompts_sha256=prompts_sha256,
        prompts=len({each.line for each in graded}),
        subjects=tuple(subject.name for subject in subjects),
        tallies=by_task(graded),
        by_model=by_model_and_task(graded),
        comparisons=comparisons,
        reasons={reason: reasons.count(reason) for reason in sorted(set(reasons))},
        judge_calls=judged.calls,
        judge_cost_nano_usd=judged.cost_nano_usd,
        wall_s=round(wall_s, 3),
    )


def stored_document(report: EvalReport, *, name: str, started_at: datetime) -> dict[str, object]:
    """What `POST /api/v1/evaluations` takes of a report: sums."""
    kinds = {name: Subject(name).kind for name in report.subjects}
    return {
        "evaluation_id": str(report.evaluation_id),
        "name": name,
        "prompts_sha256": report.prompts_sha256,
        "prompt_count": report.prompts,
        "started_at": started_at.isoformat(),
        "results": [
            {
                "subject": each.subject,
                "subject_kind": kinds[each.subject],
                "model": each.model,
                "task": each.task,
                "prompt_count": each.prompts,
                "failed_count": each.failed,
                "reached": each.reached,
                "cost_nano_usd": each.cost_nano_usd,
                "unknown_cost_count": each.unknown_cost_count,
                "latency_ms_p50": each.latency_ms_p50,
                "latency_ms_p95": each.latency_ms_p95,
            }
            for each in report.by_model
        ],
    }


def print_report(report: EvalReport) -> None:
    """Print the tables and the totals."""
    numbers = ("prompts", "failed", "accuracy", "95 %", "cost", "per prompt", "p50 ms", "p95 ms")
    rows = [
        (
            each.subject, each.task, f"{each.prompts:,}", f"{each.failed:,}", _share(each.accuracy),
            _interval(each.low, each.high) if each.prompts else UNKNOWN,
            usd(each.cost_nano_usd) + ("+" if each.unknown_cost_count else ""),
            usd(each.cost_nano_usd // max(1, each.prompts + each.failed)),
            _whole(each.latency_ms_p50), _whole(each.latency_ms_p95),
        )
        for each in report.tallies
    ]  # fmt: skip
    print_table(("subject", "task", *numbers), rows, title="Accuracy", numbers=numbers)
    if report.comparisons:
        _print_comparisons(report.comparisons)
    for reason, count in report.reasons.items():
        click.echo(f"no score: {count:,} × {reason}", err=True)
    if report.judge_calls:
        click.echo(f"judge:    {report.judge_calls:,} calls, {usd(report.judge_cost_nano_usd)}, not in the costs above")
    if any(each.prompts < FEW for each in report.tallies):
        click.echo(f"A row with fewer than {FEW} prompts says little: look at its interval.", err=True)


def _print_comparisons(comparisons: Sequence[Comparison]) -> None:
    numbers = ("pairs", "accuracy", "95 %", "better", "worse", "cost", "p50 ms")
    rows = [
        (
            f"{each.subject} less {each.against}", each.task, f"{each.pairs:,}", f"{each.accuracy.value:+.3f}",
            f"[{each.accuracy.low:+.3f}, {each.accuracy.high:+.3f}]", f"{each.better:,}", f"{each.worse:,}",
            usd(each.cost_nano_usd), f"{each.latency_ms_p50:+,}",
        )
        for each in comparisons
    ]  # fmt: skip
    print_table(("difference", "task", *numbers), rows, title="Paired, prompt by prompt", numbers=numbers)


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"


def _interval(low: float, high: float) -> str:
    return f"[{low:.3f}, {high:.3f}]"


def _whole(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"
