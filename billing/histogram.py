"""Latency histograms that add up: the same bounds everywhere, so that hours, writers and models merge.

The bounds are ten steps a decade (the Renard series R10) from 1 ms to 10 min; a percentile read from
them is off by at most one step. A histogram ends with its last bucket that counted. Invariant: changing
the bounds changes the meaning of stored rows.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

latency_bounds_ms: Final = (
    1, 2, 3, 4, 5, 6, 8,
    10, 13, 16, 20, 25, 32, 40, 50, 63, 80,
    100, 130, 160, 200, 250, 320, 400, 500, 630, 800,
    1_000, 1_300, 1_600, 2_000, 2_500, 3_200, 4_000, 5_000, 6_300, 8_000,
    10_000, 13_000, 16_000, 20_000, 25_000, 32_000, 40_000, 50_000, 63_000, 80_000,
    100_000, 130_000, 160_000, 200_000, 250_000, 320_000, 400_000, 500_000, 600_000,
)  # fmt: skip


def bucket_of(latency_ms: int) -> int:
    """The index of the bucket that counts a latency: that of the first bound not below it, or one past them all."""
    return bisect_left(latency_bounds_ms, latency_ms)


def count_in(histogram: list[int], bucket: int) -> None:
    """Count once in a bucket; the histogram grows up to it."""
    histogram += [0] * (bucket + 1 - len(histogram))
    histogram[bucket] += 1


def add_histograms(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """Both counts together."""
    return [a + b for a, b in zip_longest(first, second, fillvalue=0)]


def percentile_ms(histogram: Sequence[int], percent: int) -> int | None:
    """The latency that `percent` of the counted requests did not exceed, interpolated; None: nothing counted."""
    total = sum(histogram)
    if total == 0:
        return None
    rank = max(1, -(-total * percent // 100))
    below = 0
    for bucket, count in enumerate(histogram):
        if below + count >= rank:
            return _within(bucket, rank - below, count)
        below += count
    raise AssertionError("the ranks of a histogram end at its total")


def _within(bucket: int, position: int, count: int) -> int:
    if bucket == len(latency_bounds_ms):
        return latency_bounds_ms[-1]
    lower = latency_bounds_ms[bucket - 1] if bucket else 0
    return lower + (latency_bounds_ms[bucket] - lower) * position // count
