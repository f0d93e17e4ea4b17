"""What a router is worth: recovered gap, coverage, calibration, and intervals. Pure.

`make eval-routing` and evaluations in the product call it. Invariant: prompts that a router cannot tell apart
count as if they came in random order, so that no figure hangs on the order of a file.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, groupby
from math import ceil, sqrt
from typing import Final

import msgspec

NORMAL_DEVIATIONS: Final = 1.959964  # two-sided 95 %
ROUNDS: Final = 200
BINS: Final = 10

Draw = Callable[[int], int]
"""Give a random number from zero up to, and without, the given one: `random.Random(seed).randrange`."""


class Interval(msgspec.Struct, frozen=True):
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


class Gap(msgspec.Struct, frozen=True):
    """The performance gap that a router recovers between a weak and a strong model, by the share sent to the strong."""

    curve: list[float]  # at 0/n, 1/n, … n/n

    @property
    def mean(self) -> float:
        """The average performance gap recovered (APGR, RouteLLM 2024); about one half by chance."""
        return (sum(self.curve) - (self.curve[0] + self.curve[-1]) / 2) / (len(self.curve) - 1)

    def strong_share(self, recovered: float) -> float:
        """Give the least share of calls to the strong model that recovers a part of the gap (CPT)."""
        place = next(place for place, value in enumerate(self.curve) if value >= recovered - 1e-9)
        return place / (len(self.curve) - 1)


def recovered_gap(leads: Sequence[float], weak: Sequence[float], strong: Sequence[float]) -> Gap | None:
    """Send prompts to the strong model in the order of its expected lead; None when it is not ahead in truth."""
    gained = [high - low for low, high in zip(weak, strong, strict=True)]
    total = sum(gained)
    if total <= 0:
        return None
    in_order = sorted(zip(leads, gained, strict=True), key=lambda pair: -pair[0])
    steps: list[float] = []
    for _, tied in groupby(in_order, key=lambda pair: pair[0]):
        group = [gain for _, gain in tied]
        steps += [sum(group) / len(group)] * len(group)
    return Gap([0.0, *(reached / total for reached in accumulate(steps))])


def accuracy_at(coverage: float, confidences: Sequence[float], is_right: Sequence[bool]) -> float:
    """Give the accuracy on the most confident share of prompts."""
    in_order = sorted(zip(confidences, is_right, strict=True), key=lambda pair: -pair[0])
    count = max(1, ceil(coverage * len(in_order)))
    last = in_order[count - 1][0]
    surer = [right for confidence, right in in_order if confidence > last]
    tied = [right for confidence, right in in_order if confidence == last]
    return (sum(surer) + sum(tied) / len(tied) * (count - len(surer))) / count


def calibration_error(expected: Sequence[float], reached: Sequence[float]) -> float:
    """Give the mean gap between what was expected and reached, over bins of equal width (ECE)."""
    bins: list[list[float]] = [[] for _ in range(BINS)]
    for high, real in zip(expected, reached, strict=True):
        bins[min(BINS - 1, int(high * BINS))].append(high - real)
    return sum(abs(sum(gaps)) for gaps in bins) / len(expected)


def wilson(successes: float, count: float) -> Interval:
    """Give a share with Wilson's score interval (1927), which holds for few and for extreme ones."""
    if count == 0:
        return Interval(0.0, 0.0, 1.0)
    share, squared = successes / count, NORMAL_DEVIATIONS**2
    centre = (share + squared / (2 * count)) / (1 + squared / count)
    reach = NORMAL_DEVIATIONS * sqrt(share * (1 - share) / count + squared / (4 * count**2)) / (1 + squared / count)
    return Interval(share, max(0.0, centre - reach), min(1.0, centre + reach))


def bootstrap(figure: Callable[[Sequence[int]], float | None], count: int, draw: Draw) -> Interval | None:
    """Give a figure of all places with its percentile interval over resamples; None when it has no value."""

    def alone(places: Sequence[int]) -> tuple[float] | None:
        value = figure(places)
        return None if value is None else (value,)

    intervals = bootstrap_all(alone, count, draw)
    return intervals[0] if intervals else None


def bootstrap_all(
    figures: Callable[[Sequence[int]], Sequence[float] | None], count: int, draw: Draw
) -> tuple[Interval, ...] | None:
    """Give several figures of all places, each with its interval over the same resamples; None without a value."""
    values = figures(range(count))
    drawn = (figures([draw(count) for _ in range(count)]) for _ in range(ROUNDS))
    samples = [each for each in drawn if each is not None]
    if values is None or not samples:
        return None
    columns = [sorted(column) for column in zip(*samples, strict=True)]
    low, high = int(0.025 * len(samples)), ceil(0.975 * len(samples)) - 1
    return tuple(Interval(value, column[low], column[high]) for value, column in zip(values, columns, strict=True))
