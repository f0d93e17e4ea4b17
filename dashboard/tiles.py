"""Measures as they are printed: tiles of the whole, tables by a group.

Called by pages with sums of the range, of the compared period and of every bar. Invariant: a tile shows
what its measure's definition says of exactly these sums, and its table the same measure of their parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from billing import UsageDimension
from dashboard import formats
from dashboard.filters import GROUPINGS, group_filters, group_label
from dashboard.measures import Measure
from dashboard.sparkline import sparkline
from dashboard.usage import UsageRow, UsageSums, by_group, total

ROWS_MAX: Final = 200
Tone = Literal["good", "bad", "flat"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakdownRow:
    """One group as it is printed; `filters` lead to its requests, `share` and `change` are of the spend."""

    group: str
    label: str
    filters: dict[str, str]
    share: str
    change: str
    cells: tuple[tuple[str, str], ...]  # as written, and exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Measures by group; `columns` are labels with their definitions."""

    by: UsageDimension
    heading: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[BreakdownRow, ...]
    whole: BreakdownRow
    group_count: int


def tiles(
    current: UsageSums, previous: UsageSums, series: Sequence[UsageSums], measures: Sequence[Measure]
) -> tuple[Tile, ...]:
    """Measures of the range, with their change and their line over the bars."""
    return tuple(_tile(measure, current, previous, series) for measure in measures)


def breakdown(
    measures: Sequence[Measure],
    rows: Sequence[UsageRow],
    before: Sequence[UsageRow],
    by: UsageDimension,
    labels: Mapping[str, str],
) -> Breakdown:
    """The same measures split by a group; `labels` are the names behind ids."""
    groups, earlier, whole = by_group(rows), by_group(before), total(rows)

    def line(group: str, label: str, sums: UsageSums, previous: UsageSums) -> BreakdownRow:
        return BreakdownRow(
            group=group,
            label=label,
            filters=group_filters(by, group),
            share=formats.share(sums.billed_nano_usd, whole.billed_nano_usd),
            change=formats.change(sums.billed_nano_usd, previous.billed_nano_usd),
            cells=tuple((measure.write(sums), measure.exact(sums)) for measure in measures),
        )

    shown = tuple(groups)[:ROWS_MAX]
    return Breakdown(
        by=by,
        heading=GROUPINGS[by][0],
        columns=tuple((measure.label, measure.definition) for measure in measures),
        rows=tuple(
            line(name, group_label(by, name, labels), groups[name], earlier.get(name, UsageSums())) for name in shown
        ),
        whole=line("", "All", whole, total(before)),
        group_count=len(groups),
    )


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
