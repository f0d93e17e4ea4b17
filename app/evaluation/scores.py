"""What a run of a labelled file amounts to: accuracy by subject and task with intervals, and paired differences. Pure.

Called by `signalbox eval`. Invariants: amounts are integer sums of what the gateway billed; a prompt without an
answer is counted as failed and never as wrong; two subjects are compared on the prompts that both answered.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal

import msgspec

from app.routing.evaluation import Interval, bootstrap, wilson

SEED: Final = 20_261_124
ALL_TASKS: Final = "all"
NO_TASK: Final = ""

SubjectKind = Literal["model", "policy"]


class Graded(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt through one subject. A score of None: there was no answer, and `reason` says why."""

    line: int
    subject: str
    task: str
    model: str
    score: float | None
    reason: str | None = None
    cost_nano_usd: int | None = 0
    latency_ms: int = 0


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """The prompts of one subject, of one task or of one model. The interval is Wilson's."""

    subject: str
    task: str
    model: str
    prompts: int  # graded
    failed: int
    accuracy: float | None
    low: float
    high: float
    reached: float
    cost_nano_usd: int
    unknown_cost_count: int
    latency_ms_p50: int | None
    latency_ms_p95: int | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One subject less another, prompt by prompt: accuracy with a bootstrap interval, cost and median latency."""

    subject: str
    against: str
    task: str
    pairs: int
    accuracy: Interval
    better: int
    worse: int
    cost_nano_usd: int
    latency_ms_p50: int


def by_task(graded: Sequence[Graded]) -> tuple[Tally, ...]:
    """Sum up each subject over all its prompts, and then over each task."""
    tallies = []
    for subject in _named(each.subject for each in graded):
        own = [each for each in graded if each.subject == subject]
        tallies.append(_tally(own, subject=subject, task=ALL_TASKS, model=""))
        tasks = sorted({each.task for each in own} - {NO_TASK})
        tallies += [
            _tally([each for each in own if each.task == task], subject=subject, task=task, model="") for task in tasks
        ]
    return tuple(tallies)


def by_model_and_task(graded: Iterable[Graded]) -> tuple[Tally, ...]:
    """Sum up each subject by task and by the model that answered: what is stored."""
    groups: dict[tuple[str, str, str], list[Graded]] = {}
    for each in graded:
        groups.setdefault((each.subject, each.task, each.model), []).append(each)
    return tuple(
        _tally(group, subject=subject, task=task, model=model)
        for (subject, task, model), group in sorted(groups.items(), key=lambda item: item[0])
    )


def compare(graded: Sequence[Graded], subject: str, against: str) -> tuple[Comparison, ...]:
    """Compare two subjects over all prompts that both answered, and over each task."""
    theirs = {each.line: each for each in graded if each.subject == against and each.score is not None}
    pairs = [
        (each, theirs[each.line])
        for each in graded
        if each.subject == subject and each.score is not None and each.line in theirs
    ]
    tasks = [ALL_TASKS, *sorted({mine.task for mine, _ in pairs} - {NO_TASK})]
    found = (
        _comparison([pair for pair in pairs if task in (ALL_TASKS, pair[0].task)], subject, against, task)
        for task in tasks
    )
    return tuple(each for each in found if each is not None)


def _tally(group: Sequence[Graded], *, subject: str, task: str, model: str) -> Tally:
    scores = [each.score for each in group if each.score is not None]
    share = wilson(sum(scores), len(scores))
    latencies = sorted(each.latency_ms for each in group if each.score is not None)
    return Tally(
        subject=subject,
        task=task,
        model=model,
        prompts=len(scores),
        failed=len(group) - len(scores),
        accuracy=share.value if scores else None,
        low=share.low,
        high=share.high,
        reached=sum(scores),
        cost_nano_usd=sum(each.cost_nano_usd or 0 for each in group),
        unknown_cost_count=sum(each.cost_nano_usd is None for each in group),
        latency_ms_p50=_percentile(latencies, 50),
        latency_ms_p95=_percentile(latencies, 95),
    )


def _comparison(pairs: Sequence[tuple[Graded, Graded]], subject: str, against: str, task: str) -> Comparison | None:
    if not pairs:
        return None
    ahead = [(mine.score or 0.0) - (theirs.score or 0.0) for mine, theirs in pairs]
    draw = random.Random(SEED).randrange  # noqa: S311 - repeatable, not secret
    interval = bootstrap(_mean_of(ahead), len(ahead), draw)
    assert interval is not None
    latencies = [sorted(one.latency_ms for one in side) for side in zip(*pairs, strict=True)]
    medians = [_percentile(side, 50) or 0 for side in latencies]
    return Comparison(
        subject=subject,
        against=against,
        task=task,
        pairs=len(pairs),
        accuracy=interval,
        better=sum(each > 0 for each in ahead),
        worse=sum(each < 0 for each in ahead),
        cost_nano_usd=sum((mine.cost_nano_usd or 0) - (theirs.cost_nano_usd or 0) for mine, theirs in pairs),
        latency_ms_p50=medians[0] - medians[1],
    )


def _mean_of(values: Sequence[float]) -> Callable[[Sequence[int]], float]:
    return lambda places: sum(values[place] for place in places) / len(places)


def _percentile(ordered: Sequence[int], percent: int) -> int | None:
    return ordered[max(1, -(-len(ordered) * percent // 100)) - 1] if ordered else None


def _named(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
