"""A tenant's table of expected quality: each candidate on each task, with its source and interval.

Made of a tenant's view when somebody looks at it; the management API and the console show it. Pure. Invariant: the
values are those that the request path reads.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from app.gateway.tenant_view import TenantView
from app.providers import priors_of
from app.routing import Estimate, Measured, Prior, QualitySource, estimate, levels_of


class QualityRow(msgspec.Struct, frozen=True, kw_only=True):
    """Expected quality of one model on one task; the task "" stands for every other.

    `evaluation_prompts` and `feedback_prompts` are the tenant's own, which weigh less the older they are.
    """

    model: str
    task: str
    value: float
    low: float
    high: float
    source: QualitySource
    evaluation_prompts: float
    feedback_prompts: float


def quality_rows(view: TenantView) -> tuple[QualityRow, ...]:
    """The table, by task and then by model."""
    priors = priors_of(view.candidates)
    return tuple(sorted(_rows(priors, view.measured), key=lambda row: (row.task, row.model)))


def _rows(priors: Mapping[str, Prior], measured: Measured) -> Iterator[QualityRow]:
    levels = levels_of(priors, measured)
    for name, prior in priors.items():
        evidence = measured.get(name, ())
        for task in _tasks(prior, (each.task for each in evidence), levels):
            yield _row(name, task, estimate(prior, evidence, levels, task))


def _tasks(prior: Prior, measured: Iterable[str], levels: Mapping[str, float]) -> Iterable[str]:
    return dict.fromkeys((*prior.beliefs, *(levels if prior.beliefs else ()), *measured))


def _row(name: str, task: str, found: Estimate) -> QualityRow:
    return QualityRow(
        model=name,
        task=task,
        value=found.value,
        low=found.low,
        high=found.high,
        source=found.source,
        evaluation_prompts=found.evaluation_prompts,
        feedback_prompts=found.feedback_prompts,
    )
