"""Directions are an orthonormal basis that starts with what all models share."""

import random

import pytest

from app.routing.directions import directions_of


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("models", [1, 2, 3, 9, 23])
def test_directions_are_orthonormal_and_the_first_is_shared(models: int) -> None:
    chance = random.Random(models)
    found = directions_of([[chance.gauss(0, 1) for _ in range(models)] for _ in range(60)], 5)
    assert len(found) == min(models, 5)
    assert len(set(found[0])) == 1
    for i, one in enumerate(found):
        for j, other in enumerate(found):
            assert dot(one, other) == pytest.approx(float(i == j), abs=1e-6)


def test_the_second_direction_is_where_models_differ_most() -> None:
    chance = random.Random(7)
    rows = [[x := chance.gauss(0, 1), chance.gauss(0, 0.1), -x] for _ in range(200)]
    wide = directions_of(rows, 2)[1]
    assert abs(wide[0] - wide[2]) == pytest.approx(2**0.5, abs=0.05)


def test_models_that_never_differ_have_no_direction_of_their_own() -> None:
    assert len(directions_of([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.5, 0.5, 0.5]], 3)) == 1
