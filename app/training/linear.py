"""A linear model over sparse features, trained by adaptive gradient steps. Called by `train` and `evaluate`.

Two heads share each feature's row: tasks, then domains. Invariant: one thread, a fixed order and seed, 64-bit
floats, so that the same examples give the same weights bit for bit.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.routing.classifier import PARTS, share_of
from app.routing.concepts import CONCEPTS
from app.routing.features import WHOLE, features_of, features_of_word
from app.routing.reading import read_prompt
from app.routing.scoring import hear
from app.routing.structure import CONCEPT_FLAGS, STRUCTURE
from app.routing.taxonomy import Domain, Task

TASKS: Final = tuple(Task)
DOMAINS: Final = tuple(Domain)
COLUMNS: Final = len(TASKS) + len(DOMAINS)
ROWS: Final = 1 << 16  # of the table of hashed features
SEED: Final = 20_261_124
EPOCHS: Final = 5
RATE: Final = 0.15
RATE_LAST: Final = 0.1  # of the first rate
WORDS_DROPPED: Final = 0.4  # of the features of words, anew at each step: what is left must do
FLAGS_DROPPED: Final = 0.1
CONCEPTS_DROPPED: Final = 0.15  # wherever they stand in the prompt, since their flags say the same
SMOOTHING: Final = 0.05  # of the labels: people differ about so many
CAUTION: Final = 0.01  # of the first steps
FLAG_SHARE: Final = 0.3  # how much a flag weighs against a word
VOTE_SHARE: Final = 0.09

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_SHARES: Final = np.array([VOTE_SHARE if "vote" in name or "lead" in name else FLAG_SHARE for name in STRUCTURE])


def _concept_of_rows() -> Integers:
    """Number the concept that each row tells of; most tell of none, which is the last number."""
    numbers = np.full(ROWS + len(STRUCTURE), len(CONCEPTS))
    for start in CONCEPT_FLAGS.values():
        numbers[ROWS + start : ROWS + start + len(CONCEPTS)] = np.arange(len(CONCEPTS))
    return numbers


_CONCEPT_OF: Final = _concept_of_rows()


class Sparse(NamedTuple):
    """One prompt: the rows of its features and their values."""

    rows: Integers
    values: Floats


class Labels(NamedTuple):
    """What is to be learnt, a place per prompt."""

    tasks: Integers
    domains: Integers
    weights: Floats
    domain_weights: Floats  # beside them, for the second head: most prompts are of no domain of their own

    def of(self, places: Sequence[int]) -> "Labels":
        """Give those of some prompts."""
        return Labels(*(each[list(places)] for each in self))


def sparse_of(texts: Sequence[str]) -> list[Sparse]:
    """Read prompts as they are read in serving."""
    kept: dict[str, list[int]] = {}
    return [_sparse(text, kept) for text in texts]


def labels_of(tasks: Sequence[str], domains: Sequence[str], weights: Sequence[float]) -> Labels:
    """Number the labels."""
    numbered = np.array([DOMAINS.index(Domain(domain)) for domain in domains])
    rarity = np.bincount(numbered, minlength=len(DOMAINS))[numbered] ** -0.5
    return Labels(
        tasks=np.array([TASKS.index(Task(task)) for task in tasks]),
        domains=numbered,
        weights=np.array(weights),
        domain_weights=rarity / rarity.mean(),
    )


def train(prompts: Sequence[Sparse], labels: Labels, chosen: Sequence[int]) -> Floats:
    """Learn from the chosen prompts; the answer has a row per hashed feature, then one per flag."""
    chance = np.random.default_rng(SEED)
    weights = np.zeros((ROWS + len(STRUCTURE), COLUMNS))
    squares = np.full_like(weights, CAUTION)
    for epoch in range(EPOCHS):
        rate = RATE * (1 - (1 - RATE_LAST) * epoch / EPOCHS)
        for place in chance.permutation(np.asarray(chosen)):
            rows, values = _left(prompts[place], chance)
            error = shares(values @ weights[rows])
            error[: len(TASKS)] -= SMOOTHING / len(TASKS)
            error[len(TASKS) :] -= SMOOTHING / len(DOMAINS)
            error[labels.tasks[place]] -= 1 - SMOOTHING
            error[len(TASKS) + labels.domains[place]] -= 1 - SMOOTHING
            error[len(TASKS) :] *= labels.domain_weights[place]
            slope = values[:, None] * (error * labels.weights[place])
            square = squares[rows] + slope * slope
            squares[rows] = square
            weights[rows] -= rate * slope / np.sqrt(square)
    return weights


def shares(sums: Floats) -> Floats:
    """Turn the sums of both heads into shares of 1."""
    answer = np.empty_like(sums)
    for head in (slice(0, len(TASKS)), slice(len(TASKS), COLUMNS)):
        powers = np.exp(sums[head] - sums[head].max())
        answer[head] = powers / powers.sum()
    return answer


def _left(prompt: Sparse, chance: np.random.Generator) -> Sparse:
    dropped = np.where(prompt.rows < ROWS, WORDS_DROPPED, FLAGS_DROPPED)
    is_left = chance.random(len(dropped)) >= dropped
    is_dropped = chance.random(len(CONCEPTS) + 1) < CONCEPTS_DROPPED
    is_dropped[-1] = False
    is_left &= ~is_dropped[_CONCEPT_OF[prompt.rows]]
    return Sparse(prompt.rows[is_left], prompt.values[is_left])


def _sparse(text: str, kept: dict[str, list[int]]) -> Sparse:
    reading = read_prompt(text)
    prompt = features_of(reading, hear(reading))
    values: dict[int, float] = {}
    for word in prompt.words:
        if word not in kept:
            kept[word] = features_of_word(word)
        _add(values, kept[word], share_of(WHOLE, len(prompt.words)))
    for place, hashes in prompt.phrases:
        _add(values, hashes, share_of(place, max(1, len(hashes))))
    for number, count in (*[(number, 1) for number in prompt.flags], *prompt.counts):
        values[ROWS + number] = values.get(ROWS + number, 0.0) + count * float(_SHARES[number])
    rows = sorted(values)
    return Sparse(np.array(rows), np.array([values[row] for row in rows]))


def _add(values: dict[int, float], hashes: Sequence[int], share: int) -> None:
    for each in hashes:
        row = each % ROWS
        values[row] = values.get(row, 0.0) + share / PARTS


def flag_shares() -> Floats:
    """Give what a flag's count is multiplied by, so that weights can be written for plain counts."""
    return _SHARES
