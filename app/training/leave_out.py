"""Predictions for prompts of styles that the model did not see. Called by `train` and `evaluate`.

Invariant: a prompt's own style, and every source of its fold, is left out of what predicts it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from app.training.examples import Example, measured
from app.training.linear import Floats, Labels, Sparse, train

FOLDS: Final = 6  # of files of the corpus, and of sources: several are left out at once, which is harder and quicker


def folds_of(examples: Sequence[Example]) -> list[frozenset[str]]:
    """Give the sets of styles to leave out: files of the corpus and sources apart, in folds of like size."""
    counts = Counter(each.style for each in examples if not (each.is_corpus or each.is_composed))
    sources = sorted(counts, key=lambda style: (-counts[style], style))
    styles = sorted({example.style for example in examples if example.is_corpus})
    folds = [frozenset(names[first::FOLDS]) for names in (sources, styles) for first in range(FOLDS)]
    return [fold for fold in folds if fold]


def predict_unseen(examples: Sequence[Example], prompts: Sequence[Sparse], labels: Labels) -> Floats:
    """Give each measured prompt's sums per task and domain from a model that saw none of its style."""
    held_out = measured(examples)
    sums: list[Floats] = [np.zeros(0)] * len(held_out)
    for fold in folds_of(examples):
        weights = train_without(fold, examples, prompts, labels)
        for place, each in enumerate(held_out):
            if each.style in fold:
                sums[place] = predicted(prompts[place], weights)
    return np.array(sums)


def train_without(
    fold: frozenset[str], examples: Sequence[Example], prompts: Sequence[Sparse], labels: Labels
) -> Floats:
    """Learn from all prompts but those of some styles."""
    return train(prompts, labels, [place for place, each in enumerate(examples) if each.style not in fold])


def predicted(prompt: Sparse, weights: Floats) -> Floats:
    """Sum a prompt's weights."""
    return np.asarray(prompt.values @ weights[prompt.rows])
