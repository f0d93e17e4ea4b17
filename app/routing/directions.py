"""The directions in which models differ: an orthonormal basis of score vectors, the widest first.

`fit_router` calls it. Invariant: the first direction is what all models share, and every other is at right angles
to it, so that a prompt's hardness moves no model past another.
"""

from collections.abc import Sequence
from math import sqrt
from operator import mul
from typing import Final

ROUNDS: Final = 100  # of the power method; models are few and their first directions far apart
NEGLIGIBLE: Final = 1e-9


def directions_of(deviations: Sequence[Sequence[float]], count_max: int) -> list[list[float]]:
    """Give up to `count_max` unit vectors for rows of deviations from the models' means."""
    size = len(deviations[0])
    found = [[1 / sqrt(size)] * size]
    columns = list(zip(*deviations, strict=True))
    covariance = [[sum(map(mul, one, other)) for other in columns] for one in columns]
    while len(found) < min(size, count_max):
        # Any start will do that no direction is at right angles to.
        vector = [1 / (1 + place) for place in range(size)]
        for _ in range(ROUNDS):
            vector = _beside(found, [sum(map(mul, row, vector)) for row in covariance])
            length = sqrt(sum(map(mul, vector, vector)))
            if length < NEGLIGIBLE:
                return found
            vector = [value / length for value in vector]
        found.append(vector)
    return found


def _beside(found: list[list[float]], vector: list[float]) -> list[float]:
    """Take out of a vector what lies in directions that were found."""
    for direction in found:
        overlap = sum(map(mul, direction, vector))
        vector = [value - overlap * other for value, other in zip(vector, direction, strict=True)]
    return vector
