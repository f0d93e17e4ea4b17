"""What decisions and routes add up to: exclusions, confidence, each model's cost and expected quality. Pure.

Called by the page "Routing & quality". Invariant: a decision of another release counts as far as it can be read, and
one that cannot be read is left out and not guessed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from dashboard.routing_repository import RouteCount

CONFIDENCE_STEPS: Final = 10
EVERY_OTHER_TASK: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityLine:
    """Expected quality of a model on a task, as whoever wires the console gives it; the task "" is every other."""

    model: str
    task: str
    value: float
    low: float
    high: float
    source: str
    evaluation_prompts: float
    feedback_prompts: float


class _Told(msgspec.Struct):
    value: str = ""
    confidence: float | None = None
    decided_by: str = "unknown"


class _Exclusion(msgspec.Struct, array_like=True):
    excluded: str
    detail: str = ""
    rows: list[int] = []


class _Columns(msgspec.Struct):
    excluded: list[_Exclusion] = []

    def counts(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for each in self.excluded:
            found[each.excluded] += len(each.rows)
        return found


class _Candidate(msgspec.Struct):
    """As releases wrote them before decisions were kept in columns."""

    excluded: str | None = None


class _Decision(msgspec.Struct):
    task: _Told | None = None
    candidates: _Columns | list[_Candidate] | None = None

    def excluded(self) -> Counter[str]:
        """How many candidates fell for each reason."""
        match self.candidates:
            case _Columns():
                return self.candidates.counts()
            case None:
                return Counter()
            case candidates:
                return Counter(each.excluded for each in candidates if each.excluded)


_DECODER: Final = msgspec.json.Decoder(_Decision)


@dataclass(slots=True)
class DecisionSums:
    """Counts over decisions. `confidence` counts by tenths, from 0 to 0.1 on."""

    decisions: int = 0
    excluded: Counter[str] = field(default_factory=Counter)  # candidates, by reason
    requests_with: Counter[str] = field(default_factory=Counter)  # decisions in which the reason occurs
    confidence: list[int] = field(default_factory=lambda: [0] * CONFIDENCE_STEPS)
    decided_by: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class ModelWorth:
    """A model with what its answers cost and how good they are expected to be, over the tasks that it got."""

    model: str
    answered_count: int
    cost_nano_usd: int  # per answer, rounded down
    quality: float
    low: float
    high: float


def sum_decisions(stored: Iterable[str]) -> DecisionSums:
    """Count the exclusions, the confidence and who decided the task."""
    sums = DecisionSums()
    for text in stored:
        try:
            decision = _DECODER.decode(text)
        except msgspec.DecodeError:
            continue
        sums.decisions += 1
        excluded = decision.excluded()
        sums.excluded += excluded
        sums.requests_with.update(excluded.keys())
        if decision.task is not None and decision.task.confidence is not None:
            step = int(decision.task.confidence * CONFIDENCE_STEPS)
            sums.confidence[max(0, min(CONFIDENCE_STEPS - 1, step))] += 1
            sums.decided_by[decision.task.decided_by] += 1
    return sums


def worth_of(routes: Sequence[RouteCount], quality: Iterable[QualityLine]) -> tuple[ModelWorth, ...]:
    """Weigh each model's expected quality by the tasks that it got; models without any are left out."""
    lines = {(line.model, line.task): line for line in quality}
    by_model: dict[str, list[RouteCount]] = {}
    for route in routes:
        by_model.setdefault(route.model, []).append(route)
    found = (_worth(model, own, lines) for model, own in by_model.items())
    return tuple(sorted((each for each in found if each is not None), key=lambda each: -each.answered_count))


def lines_to_show(
    quality: Iterable[QualityLine], routes: Sequence[RouteCount], *, rows_max: int
) -> tuple[tuple[QualityLine, ...], int]:
    """Give rows about models that are used or were measured, by task, the best first; and how many more there are."""
    used = {route.model for route in routes}
    tasks = {route.task for route in routes} | {EVERY_OTHER_TASK}
    shown = [
        line
        for line in quality
        if line.evaluation_prompts or line.feedback_prompts or (line.model in used and line.task in tasks)
    ]
    shown.sort(key=lambda line: (line.task == EVERY_OTHER_TASK, line.task, -line.value, line.model))
    return tuple(shown[:rows_max]), max(0, len(shown) - rows_max)


def _worth(model: str, routes: Sequence[RouteCount], lines: Mapping[tuple[str, str], QualityLine]) -> ModelWorth | None:
    weighed = [
        (route.answered_count, line)
        for route in routes
        if (line := lines.get((model, route.task)) or lines.get((model, EVERY_OTHER_TASK))) is not None
    ]
    total = sum(weight for weight, _ in weighed)
    if not total:
        return None
    answered = sum(route.answered_count for route in routes)
    value, low, high = (
        sum(weight * getattr(line, name) for weight, line in weighed) / total for name in ("value", "low", "high")
    )
    return ModelWorth(model, answered, sum(route.billed_nano_usd for route in routes) // answered, value, low, high)
