"""The router: what score each model is expected to reach on a prompt, learnt from prompts and their outcomes.

`fit_router` is called by training, by evaluation and with a tenant's own outcomes. Scores are split into what all
models share (a prompt is hard) and a few directions in which models differ; each is predicted by ridge regression,
and dropped when held-out prompts do not bear it out. Invariant: without a signal every prompt gets each model's
mean score, so that the best single model stays the best; the same outcomes give the same router.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from operator import mul
from typing import Final

import msgspec

from app.routing.directions import directions_of
from app.routing.ridge import Gram, Weights
from app.routing.vocabulary import Vocabulary

DIRECTIONS_MIN: Final = 5
DIRECTED_PROMPTS_MAX: Final = 30_000  # directions x prompts: the time that a fit takes
FOLDS: Final = 3
STRENGTHS: Final = (1.0, 3.0, 10.0, 30.0, 100.0)
PROMPTS_MIN: Final = 40  # fewer bear nothing out
PROMPTS_HELD_OUT_MAX: Final = 6_000  # more choose the same strengths
BY_CHANCE_DEVIATIONS: Final = 3.0  # standard errors; at 2.33 three of six shuffles found a signal among many directions
GAIN_DEVIATIONS_MIN: Final = 2.6  # more than by chance, since four handicaps are tried
HANDICAP_MAX: Final = 1.0  # no lead is longer
DOUBT: Final = 1e-3  # by which a challenger within its handicap stays under the best single model
ADVANTAGE_SHARES: Final = (0.5, 0.75, 0.9)  # of the challenged prompts on which the challenger is refused

Score = Mapping[str, float]
"""What models reached on one prompt, in [0, 1]; a model that was not asked is left out."""


class Direction(msgspec.Struct, frozen=True):
    """How far each model moves with a prediction, and the weights that predict."""

    loadings: list[float]
    weights: Weights


class Router(msgspec.Struct, frozen=True, kw_only=True):
    """Expected scores of models. Made by `fit_router`."""

    models: tuple[str, ...]
    means: tuple[float, ...]
    vocabulary: Vocabulary
    directions: tuple[Direction, ...]
    handicap: float  # what every model but the best single one must be ahead by

    def expected(self, text: str) -> dict[str, float]:
        """Give the score in [0, 1] that each model is expected to reach on a prompt."""
        row = self.vocabulary.row(text)
        scores = list(self.means)
        for direction in self.directions:
            scores = _moved(scores, direction.weights.predict(row), direction.loadings)
        best = self.means.index(max(self.means))
        scores = [
            score if place == best else _challenging(score, scores[best], self.handicap)
            for place, score in enumerate(scores)
        ]
        return {model: max(0.0, min(1.0, score)) for model, score in zip(self.models, scores, strict=True)}


def fit_router(prompts: Sequence[str], outcomes: Sequence[Score]) -> Router:
    """Learn the expected score of each model from prompts and from what models reached on them.

    Deterministic. 15,000 prompts take about half a minute on one core. Raise ValueError when the two differ in
    length or hold nothing.
    """
    if len(prompts) != len(outcomes) or not any(outcomes):
        raise ValueError(
            f"{len(prompts)} prompts with {len(outcomes)} outcomes cannot be learnt from. Give each prompt its outcome."
        )
    models = tuple(dict.fromkeys(model for outcome in outcomes for model in outcome))
    means = tuple(_mean([outcome[model] for outcome in outcomes if model in outcome]) for model in models)
    deviations = [
        [outcome[model] - mean if model in outcome else 0.0 for model, mean in zip(models, means, strict=True)]
        for outcome in outcomes
    ]
    vocabulary = Vocabulary(prompts)
    rows = list(map(vocabulary.row, prompts))
    stride = 1 + (len(rows) - 1) // PROMPTS_HELD_OUT_MAX
    sample, sample_deviations = Gram(rows[::stride], vocabulary.rarities), deviations[::stride]
    count = max(DIRECTIONS_MIN, DIRECTED_PROMPTS_MAX // len(rows))
    proofs: list[_Proof] = []
    if len(rows) >= PROMPTS_MIN:
        proven = (_prove(sample, sample_deviations, line) for line in directions_of(deviations, count))
        proofs = [proof for proof in proven if proof]
    gram = Gram(rows, vocabulary.rarities)
    return Router(
        models=models,
        means=means,
        vocabulary=vocabulary,
        directions=tuple(_learnt(gram, deviations, proof) for proof in proofs),
        handicap=_handicap_of(means, sample_deviations, proofs),
    )


def _mean(scores: Sequence[float]) -> float:
    return sum(scores) / len(scores)


class _Proof(msgspec.Struct, frozen=True):
    """A direction that held-out prompts bear out, how strongly to shrink it, and what it predicted for them."""

    loadings: list[float]
    strength: float
    predictions: list[float]


def _prove(gram: Gram, deviations: Sequence[Sequence[float]], loadings: list[float]) -> _Proof | None:
    """Predict each fold from the others under each strength; None when the best is not better than chance."""
    target = [sum(map(mul, row, loadings)) for row in deviations]
    held_out: dict[float, list[float]] = {strength: [0.0] * len(target) for strength in STRENGTHS}
    for fold in range(FOLDS):
        space = gram.krylov(target, [place % FOLDS != fold for place in range(len(target))])
        for strength, predictions in held_out.items():
            predictions[fold::FOLDS] = space.predict(strength)[fold::FOLDS]
    best = min(
        STRENGTHS, key=lambda strength: sum((p - t) ** 2 for p, t in zip(held_out[strength], target, strict=True))
    )
    agreements = list(map(mul, held_out[best], target))
    is_signal = sum(agreements) > BY_CHANCE_DEVIATIONS * sqrt(sum(map(mul, agreements, agreements)))
    return _Proof(loadings, best, held_out[best]) if is_signal else None


def _learnt(gram: Gram, deviations: Sequence[Sequence[float]], proof: _Proof) -> Direction:
    target = [sum(map(mul, row, proof.loadings)) for row in deviations]
    duals = gram.krylov(target, [True] * len(target)).duals(proof.strength)
    return Direction(proof.loadings, gram.weights(duals))


def _handicap_of(means: Sequence[float], deviations: Sequence[Sequence[float]], proofs: Sequence[_Proof]) -> float:
    """Give the lead that challengers of the best single model need, so that following them pays on held-out prompts."""
    best = means.index(max(means))
    leads: list[tuple[float, float]] = []  # how far the first challenger is expected ahead, and how far it was
    for place, reached in enumerate(deviations):
        expected = list(means)
        for proof in proofs:
            expected = _moved(expected, proof.predictions[place], proof.loadings)
        first = max(range(len(means)), key=expected.__getitem__)
        if first != best:
            gained = means[first] + reached[first] - means[best] - reached[best]
            leads.append((expected[first] - expected[best], gained))
    leads.sort()
    thresholds = [0.0, *(leads[int(share * (len(leads) - 1))][0] for share in ADVANTAGE_SHARES if leads)]
    gains = {threshold: [gained for lead, gained in leads if lead > threshold] for threshold in thresholds}
    paying = [
        threshold
        for threshold, gained in gains.items()
        if sum(gained) > GAIN_DEVIATIONS_MIN * sqrt(sum(map(mul, gained, gained)))
    ]
    return max(paying, key=lambda threshold: sum(gains[threshold]), default=HANDICAP_MAX)


def _challenging(score: float, best: float, handicap: float) -> float:
    """Hold a challenger just under the best single model until it leads by the handicap; its order is kept."""
    lead = score - best
    if lead > handicap:
        return score - handicap
    return best - DOUBT * (1 - lead / handicap) if lead > 0 else score - DOUBT


def _moved(scores: Sequence[float], move: float, loadings: Sequence[float]) -> list[float]:
    return [score + move * loading for score, loading in zip(scores, loadings, strict=True)]
