"""Ridge regression over sparse rows, for every strength at once, in plain Python.

`fit_router` calls it. A Krylov space of the rows' Gram matrix is built once for a target, and in that space the
solution for each strength is a small tridiagonal system. Invariant: rows that are not trained on have no
influence on a solution, and are predicted by it.
"""

from collections.abc import Iterable, Sequence
from math import sqrt
from operator import mul
from typing import Final

import msgspec

from app.routing.vocabulary import PromptRow

STEPS_MAX: Final = 12  # 8 cost MMLU 0.01 of its APGR, and 20 gained nothing
NEGLIGIBLE: Final = 1e-9  # of a target's length


class Weights(msgspec.Struct, frozen=True):
    """What a solution gives to each term and to each measure of shape."""

    of_terms: list[float]
    of_shape: list[float]

    def predict(self, row: PromptRow) -> float:
        """Give the prediction for a row."""
        of_words = sum(map(self.of_terms.__getitem__, row.terms)) / row.length
        return of_words + _dot(self.of_shape, row.shape)


class Krylov(msgspec.Struct, frozen=True):
    """A target seen in the space that its rows span: `alphas` and `betas` are the tridiagonal matrix."""

    basis: list[list[float]]
    predictions: list[list[float]]  # of all rows, for each vector of the basis
    alphas: list[float]
    betas: list[float]
    target_length: float
    rows: int

    def predict(self, strength: float) -> list[float]:
        """Give the predictions for all rows under a strength of shrinkage."""
        return self._combined(self._coordinates(strength), self.predictions)

    def duals(self, strength: float) -> list[float]:
        """Give the coefficient of each row."""
        return self._combined(self._coordinates(strength), self.basis)

    def _coordinates(self, strength: float) -> list[float]:
        """Solve (T + strength) c = |target| e1 by elimination; T is symmetric and positive."""
        diagonal = [alpha + strength for alpha in self.alphas]
        right = [self.target_length] + [0.0] * (len(diagonal) - 1) if diagonal else []
        for place in range(1, len(diagonal)):
            share = self.betas[place - 1] / diagonal[place - 1]
            diagonal[place] -= share * self.betas[place - 1]
            right[place] -= share * right[place - 1]
        for place in range(len(diagonal) - 1, -1, -1):
            if place + 1 < len(diagonal):
                right[place] -= self.betas[place] * right[place + 1]
            right[place] /= diagonal[place]
        return right

    def _combined(self, shares: list[float], vectors: list[list[float]]) -> list[float]:
        if not vectors:
            return [0.0] * self.rows
        return [_dot(shares, values) for values in zip(*vectors, strict=True)]


class Gram:
    """The likeness of each row to each other, never written out."""

    __slots__ = ("_rarities", "_rows", "_shape_columns")

    def __init__(self, rows: Sequence[PromptRow], rarities: list[float]) -> None:
        self._rows = rows
        self._rarities = rarities
        self._shape_columns = list(zip(*(row.shape for row in rows), strict=True))

    def weights(self, duals: list[float]) -> Weights:
        """Sum the rows, each by its coefficient."""
        of_terms = [0.0] * len(self._rarities)
        for row, dual in zip(self._rows, duals, strict=True):
            if dual:
                share = dual / row.length
                for term in row.terms:
                    of_terms[term] += share
        return Weights(
            list(map(mul, of_terms, self._rarities)),
            [_dot(column, duals) for column in self._shape_columns],
        )

    def times(self, duals: list[float]) -> list[float]:
        """Multiply the Gram matrix by a vector."""
        return list(map(self.weights(duals).predict, self._rows))

    def krylov(self, target: Sequence[float], is_trained: Sequence[bool]) -> Krylov:
        """Build the space of a target; what it is on rows that are not trained on is not read."""
        masked = [value if trained else 0.0 for value, trained in zip(target, is_trained, strict=True)]
        target_length = _length(masked)
        found = Krylov([], [], [], [], target_length, len(masked))
        vector, size = masked, target_length
        while len(found.basis) < STEPS_MAX and size > NEGLIGIBLE * max(target_length, NEGLIGIBLE):
            if found.basis:
                found.betas.append(size)
            unit = [value / size for value in vector]
            image = self.times(unit)
            found.basis.append(unit)
            found.predictions.append(image)
            found.alphas.append(_dot(unit, image))
            vector = [value if trained else 0.0 for value, trained in zip(image, is_trained, strict=True)]
            for _ in range(2):  # once leaves what rounding put in
                for earlier in found.basis:
                    overlap = _dot(vector, earlier)
                    vector = [value - overlap * other for value, other in zip(vector, earlier, strict=True)]
            size = _length(vector)
        return found


def _dot(one: Iterable[float], other: Iterable[float]) -> float:
    return sum(map(mul, one, other), 0.0)


def _length(vector: list[float]) -> float:
    return sqrt(_dot(vector, vector))
