"""Honest confidence: how sharp shares may be, and how often a guess is right. Called by `train` and `evaluate`.

Fitted on predictions for styles that were left out, so that it holds for sources nobody has seen.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from app.routing.classifier import measures_of
from app.routing.features import features_of
from app.routing.reading import read_prompt
from app.routing.scoring import hear
from app.training.examples import Example
from app.training.linear import TASKS, Floats, Integers, Labels, shares

SHARPNESSES: Final = tuple(round(0.3 + 0.05 * place, 2) for place in range(60))
ROUNDS: Final = 30  # of Newton's method: more change nothing
RIDGE: Final = 1e-3


class Calibration(NamedTuple):
    """How logits become confidence."""

    sharpness: dict[str, float]
    confidence: tuple[float, ...]


def calibrate(examples: Sequence[Example], labels: Labels, sums: Floats) -> Calibration:
    """Fit on the sums of prompts that were left out."""
    split = len(TASKS)
    task = _sharpest(sums[:, :split], labels.tasks)
    domain = _sharpest(sums[:, split:], labels.domains)
    measures = measures_for(examples, sums, task)
    is_right = (sums[:, :split].argmax(axis=1) == labels.tasks).astype(np.float64)
    slopes = _logistic_fit(measures, is_right)
    return Calibration({"task": task, "domain": domain}, tuple(float(each) for each in slopes))


def confidence_of(measures: Floats, calibration: Calibration) -> Floats:
    """Give the confidence in each guess of a task."""
    *slopes, constant = calibration.confidence
    return np.asarray(1 / (1 + np.exp(-(measures @ np.array(slopes) + constant))))


def measures_for(examples: Sequence[Example], sums: Floats, sharpness: float) -> Floats:
    """Measure each guess as serving does."""
    rows = []
    for example, each in zip(examples, sums, strict=True):
        reading = read_prompt(example.text)
        heard = hear(reading)
        has_concepts = features_of(reading, heard).has_concepts
        of_task = shares(each * sharpness)[: len(TASKS)].tolist()
        first = TASKS[int(np.argmax(of_task))]
        rows.append(measures_of(of_task, first, reading, heard, has_concepts=has_concepts))
    return np.array(rows)


def _sharpest(sums: Floats, labels: Integers) -> float:
    """Find the sharpness at which the right label surprises least."""

    def surprise(sharpness: float) -> float:
        logits = sums * sharpness
        logits -= logits.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]))

    return min(SHARPNESSES, key=surprise)


def _logistic_fit(measures: Floats, is_right: Floats) -> Floats:
    """Fit a logistic regression by Newton's method; the constant comes last."""
    inputs = np.hstack([measures, np.ones((len(measures), 1))])
    slopes = np.zeros(inputs.shape[1])
    for _ in range(ROUNDS):
        expected = 1 / (1 + np.exp(-(inputs @ slopes)))
        slope = inputs.T @ (is_right - expected) - RIDGE * slopes
        curve = (inputs * (expected * (1 - expected))[:, None]).T @ inputs + RIDGE * np.eye(len(slopes))
        slopes = slopes + np.linalg.solve(curve, slope)
    return slopes
