"""The tiles of the overview: each a row with its definition, how it is read and which way is better.

Called by pages with sums of the range, of the period before and of every bar. Invariant: a tile shows
what its definition says of exactly these sums, and "—" where they do not tell.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from billing import percentile_ms
from dashboard import formats
from dashboard.sparkline import sparkline
from dashboard.usage import UsageSums

Tone = Literal["good", "bad", "flat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What a tile measures. `better` says whether a rise is good news."""

    name: str
    label: str
    definition: str
    read: Callable[[UsageSums], int | float | None]
    write: Callable[[UsageSums], str]
    better: Literal["more", "less", "neither"]
    note: Callable[[UsageSums], str] = lambda sums: ""
    exact: Callable[[UsageSums], str] = lambda sums: ""
    is_share: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A tile as it is printed."""

    name: str
    label: str
    value: str
    exact: str
    note: str
    definition: str
    change: str
    tone: Tone
    path: str


def p95_ms(sums: UsageSums) -> int | None:
    """The latency that 95% of the answered requests did not exceed."""
    return percentile_ms(sums.latency_histogram, 95)


def _spend_note(sums: UsageSums) -> str:
    parts = []
    if sums.own_credential_cost_nano_usd:
        parts.append(f"plus {formats.money(sums.own_credential_cost_nano_usd)} paid directly to providers")
    if sums.unpriced_count:
        parts.append(f"{formats.count(sums.unpriced_count)} requests of unknown provider cost")
    return " · ".join(parts)


def _saved_note(sums: UsageSums) -> str:
    if sums.saved_nano_usd is None:
        return "no request has a baseline"
    covered = formats.share(sums.baselined_billed_nano_usd, sums.billed_nano_usd)
    return f"{formats.share(sums.saved_nano_usd, sums.baseline_nano_usd)} of baseline · covers {covered} of spend"


MEASURES: Final = (
    Measure(
        name="spend",
        label="Spend",
        definition="What you are billed: the sum over all requests, failed and broken off ones too.",
        read=lambda sums: sums.billed_nano_usd,
        write=lambda sums: formats.money(sums.billed_nano_usd),
        exact=lambda sums: formats.exact_money(sums.billed_nano_usd),
        note=_spend_note,
        better="neither",
    ),
    Measure(
        name="requests",
        label="Requests",
        definition="Logical requests, one for each call of a client; refused ones count, attempts do not.",
        read=lambda sums: sums.request_count,
        write=lambda sums: formats.count(sums.request_count),
        note=lambda sums: f"{formats.count(sums.input_tokens)} tokens in · {formats.count(sums.output_tokens)} out",
        better="neither",
    ),
    Measure(
        name="cost_per_query",
        label="Cost per query",
        definition="Spend ÷ requests answered in full. What failed attempts cost is inside.",
        read=lambda sums: sums.cost_per_query_nano_usd,
        write=lambda sums: formats.money(sums.cost_per_query_nano_usd),
        exact=lambda sums: formats.exact_money(sums.cost_per_query_nano_usd),
        better="less",
    ),
    Measure(
        name="success_rate",
        label="Success rate",
        definition="Requests answered in full ÷ all requests, refused ones included.",
        read=lambda sums: sums.success_ratio,
        write=lambda sums: formats.share(sums.answered_count, sums.request_count),
        note=lambda sums: f"{formats.count(sums.failed_count)} failed · {formats.count(sums.refused_count)} refused",
        better="more",
        is_share=True,
    ),
    Measure(
        name="p95_latency",
        label="p95 latency",
        definition=(
            "First byte in to last byte out, that 95% of the answered requests did not exceed. "
            "From merged histograms, exact to one of ten steps a decade."
        ),
        read=p95_ms,
        write=lambda sums: formats.duration(p95_ms(sums)),
        note=lambda sums: f"median {formats.duration(percentile_ms(sums.latency_histogram, 50))}",
        better="less",
    ),
    Measure(
        name="saved",
        label="Saved vs baseline",
        definition=(
            "Baseline less spend, over requests that have a baseline: the dearest candidate that could have "
            "served the request, at the same tokens. May be negative."
        ),
        read=lambda sums: sums.saved_nano_usd,
        write=lambda sums: formats.money(sums.saved_nano_usd),
        exact=lambda sums: formats.exact_money(sums.saved_nano_usd),
        note=_saved_note,
        better="more",
    ),
)


def tiles(
    current: UsageSums, previous: UsageSums, series: Sequence[UsageSums], measures: Sequence[Measure] = MEASURES
) -> tuple[Tile, ...]:
    """Every measure of the range, with its change and its line over the bars."""
    return tuple(_tile(measure, current, previous, series) for measure in measures)


def _tile(measure: Measure, current: UsageSums, previous: UsageSums, series: Sequence[UsageSums]) -> Tile:
    now, before = measure.read(current), measure.read(previous)
    write_change = formats.points if measure.is_share else formats.change
    return Tile(
        name=measure.name,
        label=measure.label,
        value=measure.write(current),
        exact=measure.exact(current),
        note=measure.note(current),
        definition=measure.definition,
        change=write_change(now, before),
        tone=_tone(measure, now, before),
        path=sparkline([measure.read(sums) for sums in series]),
    )


def _tone(measure: Measure, now: float | None, before: float | None) -> Tone:
    if now is None or not before or now == before or measure.better == "neither":
        return "flat"
    return "good" if (now > before) == (measure.better == "more") else "bad"
