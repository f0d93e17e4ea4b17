"""Expected quality q(task, model) as one tenant sees it: what was known before, moved by what the tenant measured.

Pure; called when a tenant's candidates are built and when its table is shown, so that the request path reads one
dict. A belief is worth so many prompts, and the tenant's own prompts are added to them (beta-binomial shrinkage,
Efron and Morris, JASA 70, 1975). What a tenant asks is easier or harder than public sets: the distance of its
measured models from what was believed of them moves the models that it did not measure too. Invariant: without
evidence q is the belief, and with more and more of it q is what the tenant measured.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cached_property, lru_cache
from math import exp, log
from typing import Final

import msgspec

from app.routing.evaluation import wilson
from app.routing.public_quality import GENERAL, Belief

LEVEL_PROMPTS: Final = 20.0  # of a tenant's evidence on a task, before half of its distance is believed
SMOOTHING_PROMPTS: Final = 2.0  # of the belief, so that no share is 0 or 1
VALUE_MIN: Final = 0.001
DECIMALS: Final = 3
NOTHING_KNOWN: Final = Belief(0.5, 2.0)


class QualitySource(StrEnum):
    """Where an expected quality comes from."""

    DECLARED = "declared"  # by whoever simulates the model
    PUBLIC = "public outcomes"
    PRICE = "price"  # nothing was measured: what models of this price reach
    NONE = "nothing known"
    EVALUATION = "evaluation"
    FEEDBACK = "feedback"


class Prior(msgspec.Struct, frozen=True, dict=True):
    """What is believed of a model before the tenant measured it; `beliefs` by task, "" for every other."""

    source: QualitySource
    beliefs: Mapping[str, Belief]

    def of(self, task: str) -> Belief:
        """Give the belief for a task."""
        return self.beliefs.get(task) or self.beliefs.get(GENERAL) or NOTHING_KNOWN

    @cached_property
    def values(self) -> Mapping[str, float]:
        """The expected quality by task of a tenant that measured nothing: one object for all of them."""
        return {task: belief.value for task, belief in self.beliefs.items()}


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant measured of a model on a task: the sum of scores over so many prompts."""

    task: str
    source: QualitySource
    prompts: float
    reached: float


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """An expected quality with its 95 % interval, its main source, and the tenant's own prompts behind it."""

    value: float
    low: float
    high: float
    source: QualitySource
    evaluation_prompts: float = 0.0
    feedback_prompts: float = 0.0


Measured = Mapping[str, tuple[Evidence, ...]]
"""A tenant's evidence by the name of the candidate."""


def levels_of(priors: Mapping[str, Prior], measured: Measured) -> dict[str, float]:
    """Give how far, in logits, a tenant's prompts lie above what was believed, by task."""
    distances: dict[str, list[tuple[float, float]]] = {}
    for name, evidence in measured.items():
        prior = priors.get(name)
        if prior is None:
            continue
        for task, (prompts, reached) in _by_task(evidence).items():
            believed = prior.of(task).value
            share = (reached + SMOOTHING_PROMPTS * believed) / (prompts + SMOOTHING_PROMPTS)
            distances.setdefault(task, []).append((prompts, _logit(share) - _logit(believed)))
    return {
        task: sum(prompts * distance for prompts, distance in pairs)
        / (LEVEL_PROMPTS + sum(prompts for prompts, _ in pairs))
        for task, pairs in distances.items()
    }


def expected(prior: Prior, evidence: Iterable[Evidence], levels: Mapping[str, float]) -> Mapping[str, float]:
    """Give a model's expected quality by task, with "" for every task that has none of its own."""
    sums = _by_task(evidence)
    if not sums and (not levels or not prior.beliefs):
        return prior.values
    values = dict(prior.values)
    if prior.beliefs:
        values |= {task: _lifted(prior.of(task).value, level) for task, level in levels.items()}
    for task, (prompts, reached) in sums.items():
        moved = _moved(prior.of(task), levels.get(task, 0.0), prompts, reached)
        values[task] = round(moved.value, DECIMALS)
    return values


def estimate(prior: Prior, evidence: Iterable[Evidence], levels: Mapping[str, float], task: str) -> Estimate:
    """Give the expected quality of a model on a task with where it comes from."""
    own = [each for each in evidence if each.task == task]
    prompts, reached = _by_task(own).get(task, (0.0, 0.0))
    belief = prior.of(task)
    moved = _moved(belief, levels.get(task, 0.0), prompts, reached)
    interval = wilson(moved.value * moved.weight, moved.weight)
    by_source = {
        source: sum(each.prompts for each in own if each.source is source)
        for source in (QualitySource.EVALUATION, QualitySource.FEEDBACK)
    }
    heaviest = max(by_source, key=lambda source: by_source[source])
    return Estimate(
        value=round(moved.value, DECIMALS),
        low=round(interval.low, DECIMALS),
        high=round(interval.high, DECIMALS),
        source=heaviest if prompts > belief.weight else prior.source,
        evaluation_prompts=round(by_source[QualitySource.EVALUATION], 1),
        feedback_prompts=round(by_source[QualitySource.FEEDBACK], 1),
    )


@lru_cache(maxsize=65_536)
def _lifted(value: float, level: float) -> float:
    """Give a value that was believed, at the level of the tenant's prompts. A tenant has a thousand candidates."""
    return round(_at_level(value, level), DECIMALS)


def _at_level(value: float, level: float) -> float:
    return 1 / (1 + exp(-_logit(value) - level)) if level else value


def _moved(belief: Belief, level: float, prompts: float, reached: float) -> Belief:
    value = _at_level(belief.value, level)
    weight = belief.weight + prompts
    return Belief((value * belief.weight + reached) / weight, weight)


def _by_task(evidence: Iterable[Evidence]) -> dict[str, tuple[float, float]]:
    sums: dict[str, tuple[float, float]] = {}
    for each in evidence:
        prompts, reached = sums.get(each.task, (0.0, 0.0))
        sums[each.task] = (prompts + each.prompts, reached + each.reached)
    return sums


def _logit(share: float) -> float:
    held = min(1 - VALUE_MIN, max(VALUE_MIN, share))
    return log(held / (1 - held))
