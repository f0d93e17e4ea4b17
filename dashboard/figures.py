"""Figures, built with plotly from sums of usage; the only importer of plotly.

Called by pages. Each figure comes with a sentence, a legend and the same rows as a table. Invariants:
bars, lines and maps only; a sum without requests is 0 and a percentile without requests is a gap;
names are escaped, because plotly reads a subset of HTML in them.
"""

import html
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from math import floor, log10
from typing import Any, Final

import msgspec
import plotly.graph_objects as go

from billing import percentile_ms
from dashboard import formats
from dashboard.outcomes import CLASS_LABELS, OutcomeClass
from dashboard.ranges import Grain, TimeRange
from dashboard.usage import UsageRow, UsageSums, by_model, by_slot

MODELS_MAX: Final = 8
PALETTE_SIZE: Final = 10
OPEN_OPACITY: Final = 0.45
SECONDS_FROM_MS: Final = 2000
NO_MODEL_LABEL: Final = "reached no model"
CLASS_COLOURS: Final = {
    OutcomeClass.ANSWERED: "answered",
    OutcomeClass.CUT: "cut",
    OutcomeClass.REFUSED: "refused",
    OutcomeClass.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class LegendRow:
    """One entity of a figure: its colour's name in the stylesheet, its label, total and share."""

    colour: str
    label: str
    value: str
    share: str = ""
    name: str | None = None  # the entity itself, for a link; None for "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure with its twins: a sentence for everybody and a table for who cannot see it."""

    figure_id: str
    title: str
    summary: str
    definition: str
    json: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    legend: tuple[LegendRow, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Series:
    label: str
    colour: str
    values: tuple[int, ...]
    name: str | None


def plotly_script() -> bytes:
    """The script that the installed plotly package brings along."""
    return (files("plotly") / "package_data" / "plotly.min.js").read_bytes()


def plotted(traces: Sequence[Mapping[str, object]], layout: Mapping[str, object]) -> str:
    """A figure of plain traces as JSON for a page. `meta.colour` of each names its colour in the stylesheet."""
    return _json(traces, go.Layout(template=go.layout.Template(), **layout))


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """A palette colour for each name, by the name's hash; of two that collide the later takes the next free one."""
    colours: dict[str, str] = {}
    for name in names:
        slot = zlib.crc32(name.encode()) % PALETTE_SIZE
        while f"c{slot}" in colours.values() and len(colours) < PALETTE_SIZE:
            slot = (slot + 1) % PALETTE_SIZE
        colours[name] = f"c{slot}"
    return colours


def spend_by_model(within: TimeRange, rows: Sequence[UsageRow], previous: Sequence[UsageSums]) -> Figure:
    """Billed amounts stacked by model, with the period before as a dotted line."""
    starts = within.buckets()
    totals = {name: sums for name, sums in by_model(rows).items() if sums.billed_nano_usd}
    series, note = _top_models(rows, tuple(totals), len(starts))
    before = [formats.usd(sums.billed_nano_usd) for sums in previous]
    labels = _labels(starts, within)
    traces = [_bars(one, labels, formats.usd, within, "%{y:$,.6~f}") for one in series]
    if any(before):
        traces.append(_previous_line(before, labels))
    total = sum(sums.billed_nano_usd for sums in totals.values())
    before_total = sum(sums.billed_nano_usd for sums in previous)
    stacks = [sum(values) for values in zip(*(one.values for one in series), strict=True)]
    highest = max([0.0, *map(formats.usd, stacks), *before])
    return Figure(
        figure_id="spend-by-model",
        title="Spend by model",
        summary=_spend_summary(totals, total, within),
        definition=f"Billed amounts by {_grain_words(within)}; the dotted line is the period before.",
        json=_json(traces, _layout(labels, within, tickformat=_money_ticks(highest), is_flat=highest == 0)),
        columns=("Time", *(one.label for one in series), "Total"),
        rows=_table(starts, within, series, formats.money, stacks),
        legend=(
            *(
                LegendRow(s.colour, s.label, formats.money(sum(s.values)), formats.share(sum(s.values), total), s.name)
                for s in series
            ),
            *([LegendRow("previous", "Period before", formats.money(before_total))] if any(before) else []),
        ),
        note=note,
    )


def requests_over_time(within: TimeRange, rows: Sequence[UsageRow]) -> Figure:
    """Requests stacked by what the caller got: answered, broken off, refused, failed."""
    starts = within.buckets()
    slots = by_slot(rows, len(starts))
    series = [
        _Series(
            CLASS_LABELS[outcome_class],
            CLASS_COLOURS[outcome_class],
            tuple(getattr(sums, f"{outcome_class}_count") for sums in slots),
            outcome_class.value,
        )
        for outcome_class in OutcomeClass
    ]
    labels = _labels(starts, within)
    total = sum(sums.request_count for sums in slots)
    failed = sum(sums.failed_count for sums in slots)
    bars = [_bars(one, labels, int, within, "%{y:,}") for one in series if any(one.values)]
    return Figure(
        figure_id="requests",
        title="Requests and errors",
        summary=_requests_summary(total, failed, slots, starts, within),
        definition=f"Logical requests by {_grain_words(within)} and by what the caller got.",
        json=_json(bars, _layout(labels, within, tickformat=",d", is_flat=total == 0)),
        columns=("Time", *(one.label for one in series), "Total"),
        rows=_table(starts, within, series, formats.count, [sums.request_count for sums in slots]),
        legend=tuple(
            LegendRow(s.colour, s.label, formats.count(sum(s.values)), formats.share(sum(s.values), total), s.name)
            for s in series
        ),
    )


def latency_over_time(within: TimeRange, rows: Sequence[UsageRow]) -> Figure:
    """Median and p95 latency of answered requests; no requests leave a gap."""
    starts = within.buckets()
    slots = by_slot(rows, len(starts))
    labels = _labels(starts, within)
    lines = {percent: tuple(percentile_ms(sums.latency_histogram, percent) for sums in slots) for percent in (50, 95)}
    names = {50: ("Median", "p50"), 95: ("p95", "p95")}
    known = [value for values in lines.values() for value in values if value is not None]
    divisor, unit = (1000, "s") if max(known, default=0) >= SECONDS_FROM_MS else (1, "ms")
    traces = [_line(names[percent], values, labels, divisor, unit) for percent, values in lines.items()]
    whole = by_slot([UsageRow(0, "", sums) for sums in slots], 1)[0].latency_histogram
    medians = {percent: formats.duration(percentile_ms(whole, percent)) for percent in lines}
    summary = f"Half of the answers took at most {medians[50]}, 95% at most {medians[95]}."
    return Figure(
        figure_id="latency",
        title="Latency",
        summary=summary if known else f"No request was answered in {within.words}.",
        definition=f"First byte in to last byte out of answered requests, by {_grain_words(within)}, from histograms.",
        json=_json(traces, _layout(labels, within, tickformat=",~f", is_flat=not known, ticksuffix=f" {unit}")),
        columns=("Time", "Median", "p95"),
        rows=tuple(
            (_time(start, within), *(formats.duration(values[slot]) for values in lines.values()))
            for slot, start in enumerate(starts)
            if lines[50][slot] is not None
        ),
        legend=tuple(LegendRow(names[percent][1], names[percent][0], medians[percent]) for percent in lines),
    )


def _top_models(rows: Sequence[UsageRow], ranked: Sequence[str], slots: int) -> tuple[list[_Series], str]:
    # One model more than fits is drawn itself: an "Other" of one would tell less.
    limit = MODELS_MAX + 1 if len(ranked) == MODELS_MAX + 1 else MODELS_MAX
    shown, rest = ranked[:limit], set(ranked[limit:])
    colours = colours_of(shown)
    values = {name: by_slot([row for row in rows if row.model == name], slots) for name in shown}
    series = [
        _Series(name or NO_MODEL_LABEL, colours[name], tuple(s.billed_nano_usd for s in values[name]), name or None)
        for name in shown
    ]
    if not rest:
        return series, ""
    others = by_slot([row for row in rows if row.model in rest], slots)
    series.append(_Series(f"Other ({len(rest)} models)", "other", tuple(s.billed_nano_usd for s in others), None))
    return series, f"Showing the top {MODELS_MAX} of {len(ranked)} models; the rest is Other."


def _bars(
    series: _Series, labels: Sequence[str], scale: Callable[[int], float], within: TimeRange, hover: str
) -> go.Bar:
    opacity = [1.0] * len(labels)
    if within.is_open and opacity:
        opacity[-1] = OPEN_OPACITY
    label = html.escape(series.label)
    return go.Bar(
        name=label,
        x=labels,
        y=[scale(value) for value in series.values],
        marker={"opacity": opacity, "line": {"width": 0}},
        hovertemplate=f"{label}  {hover}<extra></extra>",
        meta={"colour": series.colour},
    )


def _previous_line(values: Sequence[float], labels: Sequence[str]) -> go.Scatter:
    return go.Scatter(
        name="period before",
        x=labels,
        y=list(values[: len(labels)]),
        mode="lines",
        line={"dash": "dot", "width": 1.5},
        hovertemplate="period before  %{y:$,.6~f}<extra></extra>",
        meta={"colour": "previous"},
    )


def _line(
    names: tuple[str, str], values: Sequence[int | None], labels: Sequence[str], divisor: int, unit: str
) -> go.Scatter:
    # A point between two gaps has no line: it gets a dot.
    padded = (None, *values, None)
    dots = [
        5 if value is not None and padded[place] is None and padded[place + 2] is None else 0
        for place, value in enumerate(values)
    ]
    return go.Scatter(
        name=names[0],
        x=labels,
        y=[None if value is None else value / divisor for value in values],
        mode="lines+markers",
        line={"width": 2, "dash": "solid" if names[1] == "p95" else "dash"},
        marker={"size": dots},
        connectgaps=False,
        hovertemplate=f"{names[0]}  %{{y:,~f}} {unit}<extra></extra>",
        meta={"colour": names[1]},
    )


def _layout(
    labels: Sequence[str], within: TimeRange, *, tickformat: str, is_flat: bool, ticksuffix: str = ""
) -> go.Layout:
    return go.Layout(
        template=go.layout.Template(),
        barmode="stack",
        bargap=0.18,
        hovermode="x unified",
        dragmode=False,
        showlegend=False,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={
            "type": "date",
            "automargin": True,
            "fixedrange": True,
            "showgrid": False,
            "nticks": 8,
            "range": _span(labels, within),
            "hoverformat": "%a %d %b %Y" if within.grain is Grain.DAY else "%a %d %b %H:%M",
        },
        yaxis={
            "automargin": True,
            "fixedrange": True,
            "rangemode": "tozero",
            "nticks": 5,
            "tickformat": tickformat,
            "ticksuffix": ticksuffix,
            "zeroline": False,
            **({"range": [0, 1], "showticklabels": False} if is_flat else {}),
        },
    )


def _span(labels: Sequence[str], within: TimeRange) -> list[str]:
    half: timedelta = within.grain.value / 2
    first, last = datetime.fromisoformat(labels[0]), datetime.fromisoformat(labels[-1])
    return [(first - half).isoformat(), (last + half).isoformat()]


def _json(traces: Sequence[Any], layout: go.Layout) -> str:
    """The figure as JSON that may stand inside a script element of any page."""
    figure = go.Figure(traces, layout).to_plotly_json()
    text = msgspec.json.encode(figure).decode()
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _labels(starts: Sequence[datetime], within: TimeRange) -> list[str]:
    # Without an offset, so that plotly draws the tenant's zone and not the viewer's.
    middle = timedelta(hours=1) if within.grain is Grain.DAY else timedelta()
    pattern = "%Y-%m-%d" if within.grain is Grain.DAY else "%Y-%m-%dT%H:%M"
    return [f"{(start + middle).astimezone(within.zone):{pattern}}" for start in starts]


def _table(
    starts: Sequence[datetime],
    within: TimeRange,
    series: Sequence[_Series],
    write: Callable[[int], str],
    totals: Sequence[int],
) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (_time(start, within), *(write(one.values[slot]) for one in series), write(totals[slot]))
        for slot, start in enumerate(starts)
        if totals and totals[slot]
    )


def _time(start: datetime, within: TimeRange) -> str:
    if within.grain is Grain.DAY:
        return f"{(start + timedelta(hours=1)).astimezone(within.zone):%a %d %b %Y}"
    return f"{start.astimezone(within.zone):%a %d %b %H:%M}"


def _grain_words(within: TimeRange) -> str:
    return {Grain.FIVE_MINUTES: "five minutes", Grain.HOUR: "hour", Grain.DAY: "day"}[within.grain]


def _money_ticks(highest_usd: float) -> str:
    decimals = max(0, 2 - floor(log10(highest_usd))) if 0 < highest_usd < 100 else 0
    return f"$,.{min(decimals, 9)}~f"


def _spend_summary(totals: Mapping[str, UsageSums], total: int, within: TimeRange) -> str:
    if not total:
        return f"Nothing was spent in {within.words}."
    name, sums = next(iter(totals.items()))
    part = formats.share(sums.billed_nano_usd, total)
    models = "1 model" if len(totals) == 1 else f"{len(totals)} models"
    return f"{formats.money(total)} over {models}; {name or NO_MODEL_LABEL} took {part} of it."


def _requests_summary(
    total: int, failed: int, slots: Sequence[UsageSums], starts: Sequence[datetime], within: TimeRange
) -> str:
    if not total:
        return f"There was no request in {within.words}."
    busiest = max(range(len(slots)), key=lambda slot: slots[slot].request_count)
    errors = "none failed" if not failed else f"{formats.share(failed, total)} failed"
    return (
        f"{formats.count(total)} requests, {errors}; the busiest {_grain_words(within)} was "
        f"{_time(starts[busiest], within)} with {formats.count(slots[busiest].request_count)}."
    )
