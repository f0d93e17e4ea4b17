"""Figures over time, drawn with plotly; the only importer of plotly.

Called by `usage_figures` and `routing_figures`, which know what is shown. Each figure comes with a sentence, a
legend and the same rows as a table. Invariants: bars, lines and maps only; a sum without requests is 0 and a
percentile without requests is a gap; names are escaped, because plotly reads a subset of HTML in them.
"""

import html
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.resources import files
from itertools import zip_longest
from math import floor, log10
from typing import Any, Final

import msgspec
import plotly.graph_objects as go

from billing import percentile_ms
from dashboard import formats
from dashboard.ranges import Grain, TimeRange

PALETTE_SIZE: Final = 10
OPEN_OPACITY: Final = 0.45
SECONDS_FROM_MS: Final = 2000
KILO_TICKS_FROM: Final = 10_000
COUNTED_UP_TO: Final = 5
PERCENT_LABELS: Final = {50: "Median", 95: "p95", 99: "p99"}
PERCENT_DASHES: Final = {50: "dash", 95: "solid", 99: "dot"}


@dataclass(frozen=True, slots=True)
class LegendRow:
    """One entity of a figure: its colour's name in the stylesheet, its label, total and share."""

    colour: str
    label: str
    value: str
    share: str = ""
    filters: Mapping[str, str] = field(default_factory=dict)  # lead to its requests; none for "other"


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
class Series:
    """One entity over the bars of a range: its label, its colour's name, a value for each bar."""

    label: str
    colour: str
    values: tuple[int, ...]
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a figure is called and says."""

    figure_id: str
    title: str
    summary: str
    definition: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """How values are written in tables, and how far apart and in which form they are drawn."""

    write: Callable[[int], str]
    draw: Callable[[int], float]
    hover: str  # plotly's template of one value

    def ticks(self, highest: float) -> str:
        """The form of the axis, for its highest value."""
        return _money_ticks(highest) if "$" in self.hover else ",~s" if highest >= KILO_TICKS_FROM else ",d"

    def step(self, highest: float) -> int | None:
        """How far ticks are apart; None leaves it to plotly. Few things are counted one by one."""
        return 1 if "$" not in self.hover and highest <= COUNTED_UP_TO else None


MONEY: Final = Scale(formats.money, formats.usd, "%{y:$,.6~f}")
COUNT: Final = Scale(formats.count, int, "%{y:,}")


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


def stacked(
    within: TimeRange, series: Sequence[Series], scale: Scale, words: Words, *, previous: Sequence[int] = ()
) -> Figure:
    """Bars on top of each other, with the compared period as a dotted line."""
    starts = within.buckets()
    labels = _labels(starts, within)
    stacks = [sum(values) for values in zip(*(one.values for one in series), strict=True)] or [0] * len(starts)
    total, before = sum(stacks), list(previous[: len(labels)])
    traces: list[Any] = [_bars(one, labels, scale, within) for one in series if any(one.values)]
    if any(before):
        traces.append(_previous_line(before, labels, scale))
    highest = max([0.0, *map(scale.draw, stacks), *map(scale.draw, before)])
    return Figure(
        figure_id=words.figure_id,
        title=words.title,
        summary=words.summary,
        definition=words.definition,
        json=_json(
            traces,
            _layout(labels, within, tickformat=scale.ticks(highest), is_flat=highest == 0, dtick=scale.step(highest)),
        ),
        columns=("Time", *(one.label for one in series), "Total"),
        rows=_table(starts, within, series, scale.write, stacks),
        legend=(
            *(
                LegendRow(s.colour, s.label, scale.write(sum(s.values)), formats.share(sum(s.values), total), s.filters)
                for s in series
            ),
            *([LegendRow("previous", "Compared", scale.write(sum(before)))] if any(before) else []),
        ),
        note=words.note,
    )


def percentiles(
    within: TimeRange, histograms: Sequence[Sequence[int]], words: Words, *, percents: Sequence[int] = (50, 95)
) -> Figure:
    """Percentiles over the bars, from merged histograms; no requests leave a gap."""
    starts = within.buckets()
    labels = _labels(starts, within)
    lines = {percent: tuple(percentile_ms(one, percent) for one in histograms) for percent in percents}
    known = [value for values in lines.values() for value in values if value is not None]
    divisor, unit = (1000, "s") if max(known, default=0) >= SECONDS_FROM_MS else (1, "ms")
    traces = [_line(percent, values, labels, divisor, unit) for percent, values in lines.items()]
    whole = tuple(map(sum, zip_longest(*histograms, fillvalue=0)))
    written = {percent: formats.duration(percentile_ms(whole, percent)) for percent in percents}
    return Figure(
        figure_id=words.figure_id,
        title=words.title,
        summary=words.summary,
        definition=words.definition,
        json=_json(traces, _layout(labels, within, tickformat=",~f", is_flat=not known, ticksuffix=f" {unit}")),
        columns=("Time", *(PERCENT_LABELS[percent] for percent in percents)),
        rows=tuple(
            (time_words(start, within), *(formats.duration(values[slot]) for values in lines.values()))
            for slot, start in enumerate(starts)
            if lines[percents[0]][slot] is not None
        ),
        legend=tuple(LegendRow(f"p{percent}", PERCENT_LABELS[percent], written[percent]) for percent in percents),
    )


def time_words(start: datetime, within: TimeRange) -> str:
    """When a bar starts, in the range's zone."""
    if within.grain is Grain.DAY:
        return f"{(start + timedelta(hours=1)).astimezone(within.zone):%a %d %b %Y}"
    return f"{start.astimezone(within.zone):%a %d %b %H:%M}"


def grain_words(within: TimeRange) -> str:
    """How wide a bar is, as a person says it."""
    return {Grain.FIVE_MINUTES: "five minutes", Grain.HOUR: "hour", Grain.DAY: "day"}[within.grain]


def _bars(series: Series, labels: Sequence[str], scale: Scale, within: TimeRange) -> go.Bar:
    opacity = [1.0] * len(labels)
    if within.is_open and opacity:
        opacity[-1] = OPEN_OPACITY
    label = html.escape(series.label)
    return go.Bar(
        name=label,
        x=labels,
        y=[scale.draw(value) for value in series.values],
        marker={"opacity": opacity, "line": {"width": 0}},
        hovertemplate=f"{label}  {scale.hover}<extra></extra>",
        meta={"colour": series.colour},
    )


def _previous_line(values: Sequence[int], labels: Sequence[str], scale: Scale) -> go.Scatter:
    return go.Scatter(
        name="compared",
        x=labels[: len(values)],
        y=[scale.draw(value) for value in values],
        mode="lines",
        line={"dash": "dot", "width": 1.5},
        hovertemplate=f"compared  {scale.hover}<extra></extra>",
        meta={"colour": "previous"},
    )


def _line(percent: int, values: Sequence[int | None], labels: Sequence[str], divisor: int, unit: str) -> go.Scatter:
    # A point between two gaps has no line: it gets a dot.
    padded = (None, *values, None)
    dots = [
        5 if value is not None and padded[place] is None and padded[place + 2] is None else 0
        for place, value in enumerate(values)
    ]
    label = PERCENT_LABELS[percent]
    return go.Scatter(
        name=label,
        x=labels,
        y=[None if value is None else value / divisor for value in values],
        mode="lines+markers",
        line={"width": 2, "dash": PERCENT_DASHES[percent]},
        marker={"size": dots},
        connectgaps=False,
        hovertemplate=f"{label}  %{{y:,~f}} {unit}<extra></extra>",
        meta={"colour": f"p{percent}"},
    )


def _layout(
    labels: Sequence[str],
    within: TimeRange,
    *,
    tickformat: str,
    is_flat: bool,
    ticksuffix: str = "",
    dtick: int | None = None,
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
            **({} if dtick is None else {"dtick": dtick}),
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
    series: Sequence[Series],
    write: Callable[[int], str],
    totals: Sequence[int],
) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (time_words(start, within), *(write(one.values[slot]) for one in series), write(totals[slot]))
        for slot, start in enumerate(starts)
        if totals and totals[slot]
    )


def _money_ticks(highest_usd: float) -> str:
    decimals = max(0, 2 - floor(log10(highest_usd))) if 0 < highest_usd < 100 else 0
    return f"$,.{min(decimals, 9)}~f"
