"""The orders that hang on more than prices: drawn by weight, by latency, by utility. Called by `ranking`.

Plain columns in, rows out. Invariants: every row that came in goes out once; columns and draw that a record keeps
give the same order again.
"""

import math
from collections.abc import Sequence
from typing import Final

from app.routing.circumstances import uniform

NANO_USD_PER_USD: Final = 1_000_000_000
MS_PER_S: Final = 1_000
# One request of so many tries first what nobody has measured lately; the others go by what is known.
EXPLORED_PER: Final = 16

Groups = Sequence[Sequence[int]]


def drawn_by_weight(
    groups: Groups, places: Sequence[int], entries: Sequence[tuple[str, int]], draw: str
) -> list[Sequence[int]]:
    """Order groups of rows by a draw in which an entry comes first as often as its weight says; no weight: behind.

    An entry that falls hands its share to the others and moves none of them (Efraimidis and Spirakis 2006,
    "Weighted random sampling with a reservoir", by exponential clocks).
    """
    clocks = [-math.log(uniform(draw, text)) / weight if weight else math.inf for text, weight in entries]
    return sorted(groups, key=lambda group: clocks[places[group[0]]])


def by_latency(
    rows: Sequence[int], latencies_ms: Sequence[int | None], estimates_nano_usd: Sequence[int], draw: str
) -> list[int]:
    """Order rows by their latency, then by cost. What was not measured comes last, but for some requests first."""
    explores = int(draw, 16) % EXPLORED_PER == 0

    def key(row: int) -> tuple[bool, int, int]:
        latency_ms = latencies_ms[row]
        return (latency_ms is None) is not explores, latency_ms or 0, estimates_nano_usd[row]

    return sorted(rows, key=key)


def by_utility(rows: Sequence[int], utilities: Sequence[float | None], estimates_nano_usd: Sequence[int]) -> list[int]:
    """Order rows by their utility, then by cost; those of unknown quality come last."""

    def key(row: int) -> tuple[bool, float, int]:
        utility = utilities[row]
        return utility is None, -(utility or 0.0), estimates_nano_usd[row]

    return sorted(rows, key=key)


def utilities_of(
    qualities: Sequence[float | None],
    estimates_nano_usd: Sequence[int],
    latencies_ms: Sequence[int | None],
    *,
    quality_per_usd: float,
    quality_per_second: float,
) -> list[float | None]:
    """Give q − λ·cost − μ·latency for each row. A latency that is unknown counts as the mean of the known ones."""
    known = [latency_ms for latency_ms in latencies_ms if latency_ms is not None]
    usual_ms = sum(known) / len(known) if known else 0.0
    per_nano_usd, per_ms = quality_per_usd / NANO_USD_PER_USD, quality_per_second / MS_PER_S
    utilities: list[float | None] = []
    for row, quality in enumerate(qualities):
        latency_ms = latencies_ms[row] if latencies_ms else None
        waited_ms = usual_ms if latency_ms is None else latency_ms
        utilities.append(
            None if quality is None else round(quality - per_nano_usd * estimates_nano_usd[row] - per_ms * waited_ms, 6)
        )
    return utilities
