"""Predictions for prompts of styles that the model did not see. Called by `train` and `evaluate`.

Invariant: a prompt's own style, and every source of its fold, is left out of what predicts it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from app.training.examples import Example
from app.training.linear import Floats, Labels, Sparse, train

SOURCE_FOLDS: Final = 6  # sources of the development set are left out several at once, which is harder and quicker


def folds_of(examples: Sequence[Example]) -> list[frozenset[str]]:
    """Give the sets of styles to leave out: each file of the corpus alone, the sources in folds of like size."""
    counts = Counter(example.style for example in examples if not example.is_corpus)
    sources = sorted(counts, key=lambda style: (-counts[style], style))
    styles = sorted({example.style for example in examples if example.is_corpus})
    folds = [frozenset(sources[first::SOURCE_FOLDS]) for first in range(SOURCE_FOLDS)]
    return [*(fold for fold in folds if fold), *(frozenset({style}) for style in styles)]


def predict_unseen(examples: Sequence[Example], prompts: Sequence[Sparse], labels: Labels) -> Floats:
    """Give each prompt's sums per task and domain from a model that saw none of its style."""
    sums: list[Floats] = [np.zeros(0)] * len(examples)
    for fold in folds_of(examples):
        weights = train(prompts, labels, [place for place, each in enumerate(examples) if each.style not in fold])
        for place, each in enumerate(examples):
            if each.style in fold:
                sums[place] = predicted(prompts[place], weights)
    return np.array(sums)


def predicted(prompt: Sparse, weights: Floats) -> Floats:
    """Sum a prompt's weights."""
    return np.asarray(prompt.values @ weights[prompt.rows])
