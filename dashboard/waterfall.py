"""A request's time as a waterfall: what happened when, from its arrival to its last byte. Pure.

Called by the request page. Invariant: the steps cover the request's latency from its first to its last millisecond,
in order and without overlap; what was not measured is not made up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dashboard.outcomes import OutcomeClass
from dashboard.rows import AttemptFacts, RequestFacts

BAR_PERCENT_MIN: Final = 0.4  # so that the shortest step can be seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; `wait_ms` of it passed before the first token, None where there was none."""

    label: str
    about: str
    tone: str  # a class of outcomes, or 'gateway'
    start_ms: int
    length_ms: int
    wait_ms: int | None = None
    left_percent: float = 0
    width_percent: float = 0
    wait_percent: float = 0  # of the step's own width


def waterfall(facts: RequestFacts, attempts: Sequence[AttemptFacts]) -> tuple[Step, ...]:
    """The steps of a request in order of time."""
    steps = tuple(_steps(facts, attempts))
    whole = max(1, facts.latency_ms, *(step.start_ms + step.length_ms for step in steps))
    return tuple(_placed(step, whole) for step in steps)


def _steps(facts: RequestFacts, attempts: Sequence[AttemptFacts]) -> Iterator[Step]:
    if not attempts:
        about = f"Authenticate, admit, classify, route: {facts.words.meaning}"
        yield Step(label="Gateway", about=about, tone="gateway", start_ms=0, length_ms=facts.latency_ms)
        return
    end = 0
    for attempt in attempts:
        start = max(end, round((attempt.started_at - facts.started_at).total_seconds() * 1000))
        if start > end or attempt is attempts[0]:
            yield _between(end, start, is_first=attempt is attempts[0])
        yield _attempt(attempt, start)
        end = start + attempt.latency_ms
    if facts.latency_ms > end:
        about = "Settle usage and cost, respond"
        yield Step(label="Gateway", about=about, tone="gateway", start_ms=end, length_ms=facts.latency_ms - end)


def _between(end: int, start: int, *, is_first: bool) -> Step:
    about = "Authenticate, admit, classify, route, reserve" if is_first else "Give back what was held, choose the next"
    return Step(label="Gateway", about=about, tone="gateway", start_ms=end, length_ms=start - end)


def _attempt(attempt: AttemptFacts, start: int) -> Step:
    return Step(
        label=f"Attempt {attempt.attempt_number}",
        about=f"{attempt.provider_name}/{attempt.model}, {attempt.words.label}",
        tone=attempt.words.outcome_class.value,
        start_ms=start,
        length_ms=attempt.latency_ms,
        wait_ms=attempt.first_token_ms if attempt.words.outcome_class is not OutcomeClass.FAILED else None,
    )


def _placed(step: Step, whole_ms: int) -> Step:
    width = max(BAR_PERCENT_MIN, 100 * step.length_ms / whole_ms)
    wait = 0.0 if step.wait_ms is None or not step.length_ms else min(100.0, 100 * step.wait_ms / step.length_ms)
    return Step(
        label=step.label, about=step.about, tone=step.tone, start_ms=step.start_ms, length_ms=step.length_ms,
        wait_ms=step.wait_ms, left_percent=min(100 - width, 100 * step.start_ms / whole_ms), width_percent=width,
        wait_percent=wait,
    )  # fmt: skip
