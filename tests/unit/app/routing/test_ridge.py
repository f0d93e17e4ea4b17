"""The Krylov solution is the ridge regression that the normal equations give."""

import random

import pytest

from app.routing.ridge import Gram
from app.routing.vocabulary import PromptRow

RARITIES = [1.0, 4.0, 2.25, 9.0]
ROWS = [
    PromptRow([0, 1], 5.0**0.5, (0.1, -0.2)),
    PromptRow([1, 2], 6.25**0.5, (0.3, 0.0)),
    PromptRow([3], 3.0, (-0.1, 0.2)),
    PromptRow([0, 2, 3], 12.25**0.5, (0.0, 0.0)),
    PromptRow([], 1.0, (0.2, 0.2)),
]
TARGET = [1.0, -1.0, 0.5, 0.0, 2.0]
EVERYWHERE = [True] * len(ROWS)


def unit(place: int) -> list[float]:
    return [float(place == other) for other in range(len(ROWS))]


def test_the_gram_matrix_is_symmetric_and_holds_likeness() -> None:
    gram = Gram(ROWS, RARITIES)
    matrix = [gram.times(unit(place)) for place in range(len(ROWS))]
    assert matrix[0][0] == pytest.approx(1.0 + 0.01 + 0.04)
    assert matrix[0][1] == pytest.approx(4.0 / (5.0**0.5 * 2.5) + 0.03)
    assert all(matrix[i][j] == pytest.approx(matrix[j][i]) for i in range(5) for j in range(5))


@pytest.mark.parametrize("strength", [0.1, 1.0, 30.0])
def test_duals_solve_the_normal_equations(strength: float) -> None:
    gram = Gram(ROWS, RARITIES)
    duals = gram.krylov(TARGET, EVERYWHERE).duals(strength)
    back = [value + strength * dual for value, dual in zip(gram.times(duals), duals, strict=True)]
    assert back == pytest.approx(TARGET, abs=1e-9)


def test_weights_predict_what_the_space_predicts() -> None:
    gram = Gram(ROWS, RARITIES)
    space = gram.krylov(TARGET, EVERYWHERE)
    weights = gram.weights(space.duals(1.0))
    assert [weights.predict(row) for row in ROWS] == pytest.approx(space.predict(1.0))


def test_a_row_that_is_not_trained_on_has_no_influence() -> None:
    gram, is_trained = Gram(ROWS, RARITIES), [True, True, False, True, True]
    plain = gram.krylov(TARGET, is_trained)
    other = gram.krylov([1.0, -1.0, 1e6, 0.0, 2.0], is_trained)
    assert plain.predict(1.0) == other.predict(1.0)
    assert plain.duals(1.0)[2] == 0.0


@pytest.mark.parametrize("size", [0, 1, 50])
def test_a_target_without_length_predicts_nothing(size: int) -> None:
    chance = random.Random(size)
    rows = [PromptRow([chance.randrange(4)], 1.0, (0.0, 0.0)) for _ in range(max(1, size))]
    space = Gram(rows, RARITIES).krylov([0.0] * len(rows), [True] * len(rows))
    assert space.predict(1.0) == [0.0] * len(rows)
    assert space.duals(1.0) == [0.0] * len(rows)
