"""Figures of routers are what their definitions say, and do not hang on the order of prompts."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing.evaluation import accuracy_at, bootstrap, calibration_error, recovered_gap, wilson

BIT = st.integers(0, 1).map(float)


def gap_mean(leads: list[float], weak: list[float], strong: list[float]) -> float:
    gap = recovered_gap(leads, weak, strong)
    assert gap is not None
    return gap.mean


def test_a_perfect_order_recovers_the_gap_at_once() -> None:
    gap = recovered_gap([0.9, 0.1, 0.2, 0.3], [0, 1, 1, 1], [1, 1, 1, 1])
    assert gap is not None
    assert gap.curve == [0, 1, 1, 1, 1]
    assert gap.mean == pytest.approx(0.875)
    assert gap.strong_share(0.8) == 0.25


def test_the_worst_order_recovers_it_last() -> None:
    gap = recovered_gap([0.1, 0.9, 0.8, 0.7], [0, 1, 1, 1], [1, 1, 1, 1])
    assert gap is not None
    assert (gap.mean, gap.strong_share(0.5)) == (pytest.approx(0.125), 1.0)


def test_the_weak_model_may_be_right_where_the_strong_one_is_not() -> None:
    gap = recovered_gap([3, 2, 1], [0, 0, 1], [1, 1, 0])
    assert gap is not None
    assert gap.curve == [0, 1, 2, 1]


def test_equal_leads_are_half_the_gap_in_any_order() -> None:
    assert gap_mean([0.5] * 4, [0, 1, 1, 1], [1, 1, 1, 1]) == pytest.approx(0.5)
    assert gap_mean([0.5] * 4, [1, 1, 1, 0], [1, 1, 1, 1]) == pytest.approx(0.5)


def test_no_gap_has_no_figure() -> None:
    assert recovered_gap([1, 2], [1, 1], [1, 1]) is None
    assert recovered_gap([1, 2], [1, 1], [1, 0]) is None


@given(st.lists(st.tuples(st.integers(0, 3), BIT, BIT), min_size=1, max_size=30), st.randoms())
def test_the_order_of_prompts_changes_nothing(rows: list[tuple[int, float, float]], chance: random.Random) -> None:
    other = rows[:]
    chance.shuffle(other)
    one, two = (recovered_gap(*map(list, zip(*each, strict=True))) for each in (rows, other))
    assert (one is None) == (two is None)
    if one and two:
        assert one.curve == pytest.approx(two.curve)
        assert one.curve[-1] == pytest.approx(1.0)


def test_accuracy_is_of_the_most_confident() -> None:
    assert accuracy_at(0.5, [0.9, 0.1, 0.8, 0.2], [True, False, True, False]) == 1.0
    assert accuracy_at(1.0, [0.9, 0.1, 0.8, 0.2], [True, False, True, False]) == 0.5
    assert accuracy_at(0.25, [0.5] * 4, [True, False, False, False]) == 0.25


def test_calibration_error_is_the_gap_between_expected_and_reached() -> None:
    assert calibration_error([0.75] * 4, [1, 1, 1, 0]) == pytest.approx(0.0)
    assert calibration_error([1.0, 1.0, 0.0, 0.0], [0, 0, 1, 1]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"), [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (0, 0, 0.0, 1.0)]
)
def test_wilson_gives_the_published_intervals(successes: int, count: int, low: float, high: float) -> None:
    interval = wilson(successes, count)
    assert (interval.low, interval.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_a_bootstrap_interval_holds_the_mean_and_is_repeatable() -> None:
    values = [random.Random(place).random() for place in range(100)]

    def mean(places: object) -> float:
        assert isinstance(places, list | range)
        return sum(values[place] for place in places) / len(places)

    one, other = (bootstrap(mean, 100, random.Random(1).randrange) for _ in range(2))
    assert one == other
    assert one is not None
    assert one.low < one.value < one.high
    assert one.high - one.low == pytest.approx(4 * 0.29 / 10, rel=0.3)


def test_a_figure_without_a_value_has_no_interval() -> None:
    assert bootstrap(lambda _: None, 5, random.Random(1).randrange) is None
