"""Histograms merge without loss, and percentiles stay within one step."""

from hypothesis import given
from hypothesis import strategies as st

from billing.histogram import (
    add_histograms,
    bucket_of,
    count_in,
    latency_bounds_ms,
    percentile_ms,
)

latencies = st.lists(st.integers(0, 700_000), max_size=60)


def _histogram(values: list[int]) -> list[int]:
    counted: list[int] = []
    for value in values:
        count_in(counted, bucket_of(value))
    return counted


def test_bounds_rise_from_a_millisecond_to_ten_minutes() -> None:
    assert list(latency_bounds_ms) == sorted(set(latency_bounds_ms))
    assert (latency_bounds_ms[0], latency_bounds_ms[-1]) == (1, 600_000)


@given(latencies, latencies)
def test_merging_is_counting_together(first: list[int], second: list[int]) -> None:
    assert add_histograms(_histogram(first), _histogram(second)) == _histogram(first + second)
    assert add_histograms([], _histogram(second)) == _histogram(second)


@given(latencies)
def test_a_histogram_ends_with_its_last_bucket_that_counted(values: list[int]) -> None:
    assert len(_histogram(values)) == max((bucket_of(value) + 1 for value in values), default=0)


@given(latencies.filter(bool), st.integers(1, 100))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(values: list[int], percent: int) -> None:
    true = sorted(values)[max(1, -(-len(values) * percent // 100)) - 1]
    told = percentile_ms(_histogram(values), percent)
    assert told is not None
    if true > latency_bounds_ms[-1]:
        assert told == latency_bounds_ms[-1]
    else:
        assert bucket_of(told) in (bucket_of(true), bucket_of(true) - 1)


def test_nothing_counted_has_no_percentile() -> None:
    assert percentile_ms([], 95) is None
