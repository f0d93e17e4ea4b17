"""What the samples mean: CPU of a request, added latency, CPU of a streamed event, what bounds the rate. Pure.

Invariant: a figure that was not measured is missing, never zero.
"""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Final

import msgspec

from tests.load.measurement import (
    ANTHROPIC_AT_32,
    AT_32,
    AT_64,
    PACED,
    ROUTED_AT_32,
    STREAMS,
    TRANSLATED_AT_32,
    TRANSLATED_STREAMS,
    Load,
    Sample,
)

Samples = Mapping[str, Sample]  # by the load's name

WHOLE: Final = (AT_32, AT_64, ROUTED_AT_32, TRANSLATED_AT_32, ANTHROPIC_AT_32)
# A stream costs what a whole answer does, and something for each event.
STREAMED: Final = ((STREAMS, AT_32), (TRANSLATED_STREAMS, TRANSLATED_AT_32))


class Goal(msgspec.Struct, frozen=True):
    """What a figure is to reach: at least, or at most."""

    value: float
    is_least: bool = False

    def is_reached(self, figure: float) -> bool:
        """Whether it is."""
        return figure >= self.value if self.is_least else figure <= self.value


GOALS: Final[Mapping[str, Goal]] = {
    "at_32_requests_per_s": Goal(3_500, is_least=True),
    "at_64_requests_per_s": Goal(3_500, is_least=True),
    "at_32_gateway_cpu_us": Goal(200),
    "at_64_gateway_cpu_us": Goal(200),
    "at_64_postgres_cpu_us": Goal(150),
    "paced_added_p50_ms": Goal(5),
    "paced_added_p99_ms": Goal(12),
    "streams_event_cpu_us": Goal(30),
    "translated_added_cpu_us": Goal(150),
    "resident_mb_max": Goal(150),
}


def figures(samples: Samples, direct: Samples) -> dict[str, float]:
    """The figures of one subject in one round; `direct` are the samples of the mock by itself."""
    found: dict[str, float | None] = {}
    for load in WHOLE:
        if one := samples.get(load.name):
            found |= _rate(load, one)
    for streamed, whole in STREAMED:
        if (one := samples.get(streamed.name)) and one.answered:
            found[f"{streamed.name}_per_s"] = one.answered / one.seconds
            found[f"{streamed.name}_event_cpu_us"] = _event_cpu_us(one, samples.get(whole.name))
    if (one := samples.get(PACED.name)) and (mock := direct.get(PACED.name)):
        found["paced_added_p50_ms"] = _less(one.p50_ms, mock.p50_ms)
        found["paced_added_p99_ms"] = _less(one.p99_ms, mock.p99_ms)
    native_us = found.get("at_32_gateway_cpu_us")
    for load in (ROUTED_AT_32, TRANSLATED_AT_32):
        found[f"{load.name}_added_cpu_us"] = _less(found.get(f"{load.name}_gateway_cpu_us"), native_us)
    found["failures"] = sum(one.failures for one in samples.values())
    return {name: value for name, value in found.items() if value is not None}


def medians(rounds: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Each figure's median over the rounds that have it; failures add up."""
    rounds = list(rounds)
    names = {name: None for one in rounds for name in one}
    found = {name: median([one[name] for one in rounds if name in one]) for name in names}
    return found | {"failures": sum(one.get("failures", 0) for one in rounds)}


def _rate(load: Load, one: Sample) -> dict[str, float | None]:
    name = load.name
    found: dict[str, float | None] = {
        f"{name}_requests_per_s": one.answered / one.seconds,
        f"{name}_gateway_cpu_us": _each_us(one.gateway_cpu_s, one.answered),
        f"{name}_postgres_cpu_us": _each_us(one.postgres_cpu_s, one.answered),
        f"{name}_p50_ms": one.p50_ms,
        f"{name}_p99_ms": one.p99_ms,
    }
    if load is not AT_64:
        return found
    # At saturation: which of the three is full?
    found[f"{name}_gateway_core_percent"] = _percent(one.gateway_cpu_s, one.seconds)
    found[f"{name}_load_core_percent"] = _percent(one.core_busy_s, one.seconds)
    if one.flushed and one.flushed.count:
        found[f"{name}_fsync_percent"] = _percent(one.flushed.seconds, one.seconds)
        found[f"{name}_fsync_us"] = one.flushed.seconds * 1e6 / one.flushed.count
        found[f"{name}_requests_per_fsync"] = one.answered / one.flushed.count
    return found


def _event_cpu_us(streamed: Sample, whole: Sample | None) -> float | None:
    whole_us = _each_us(whole.gateway_cpu_s, whole.answered) if whole else None
    if streamed.gateway_cpu_s is None or whole_us is None or not streamed.events:
        return None
    return max(0.0, streamed.gateway_cpu_s * 1e6 - whole_us * streamed.answered) / streamed.events


def _each_us(seconds: float | None, count: int) -> float | None:
    return seconds * 1e6 / count if seconds is not None and count else None


def _percent(part: float | None, whole: float) -> float | None:
    return 100 * part / whole if part is not None else None


def _less(value: float | None, other: float | None) -> float | None:
    return value - other if value is not None and other is not None else None
