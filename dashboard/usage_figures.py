"""The figures of usage: spend, requests, tokens, errors and latency over the bars of a range.

Called by pages with rows of sums; drawn by `dashboard.figures`. Invariant: what is drawn, the sentence, the legend
and the table are folds of the same rows, and colour belongs to the entity on every page.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from billing import UsageDimension, percentile_ms
from dashboard import formats
from dashboard.figures import (
    COUNT,
    MONEY,
    Figure,
    LegendRow,
    Series,
    Words,
    colours_of,
    grain_words,
    percentiles,
    plotted,
    stacked,
    time_words,
)
from dashboard.filters import GROUPINGS, group_filters, group_label
from dashboard.outcomes import CLASS_LABELS, OutcomeClass, words_of
from dashboard.ranges import TimeRange
from dashboard.usage import UsageRow, UsageSums, by_group, by_slot, total

GROUPS_MAX: Final = 8
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
CLASS_COLOURS: Final = {
    OutcomeClass.ANSWERED: "answered",
    OutcomeClass.CUT: "cut",
    OutcomeClass.REFUSED: "refused",
    OutcomeClass.FAILED: "failed",
}
# The parts of tokens that do not overlap, as they are priced.
TOKEN_KINDS: Final[tuple[tuple[str, str, Callable[[UsageSums], int]], ...]] = (
    ("Input", "c0", lambda sums: sums.plain_input_tokens),
    ("Read from cache", "c2", lambda sums: sums.cache_read_input_tokens),
    ("Written to cache", "c4", lambda sums: sums.cache_creation_input_tokens),
    ("Output", "c5", lambda sums: sums.output_tokens - sums.reasoning_output_tokens),
    ("Reasoning", "c3", lambda sums: sums.reasoning_output_tokens),
)
Read = Callable[[UsageSums], int]


def spend_by_group(
    within: TimeRange,
    rows: Sequence[UsageRow],
    previous: Sequence[UsageSums],
    by: UsageDimension = UsageDimension.MODEL,
    names: Mapping[str, str] | None = None,
) -> Figure:
    """Billed amounts stacked by group, with the compared period as a dotted line."""
    heading = GROUPINGS[by][0]
    totals = {name: sums for name, sums in by_group(rows).items() if sums.billed_nano_usd}
    series, note = _top(within, rows, tuple(totals), lambda sums: sums.billed_nano_usd, by, names or {})
    words = Words(
        figure_id=f"spend-by-{by}",
        title=f"Spend by {_lower(heading)}",
        summary=_spend_summary(totals, within, by, names or {}),
        definition=f"Billed amounts by {grain_words(within)}; the dotted line is {within.compared_words}.",
        note=note,
    )
    return stacked(within, series, MONEY, words, previous=[sums.billed_nano_usd for sums in previous])


def requests_by_group(
    within: TimeRange, rows: Sequence[UsageRow], by: UsageDimension, names: Mapping[str, str]
) -> Figure:
    """Requests stacked by group."""
    groups = by_group(rows)
    ranked = sorted((name for name in groups if groups[name].request_count), key=lambda n: -groups[n].request_count)
    series, note = _top(within, rows, ranked, lambda sums: sums.request_count, by, names)
    count = total(rows).request_count
    summary = f"There was no request in {within.words}."
    if ranked:
        most = formats.share(groups[ranked[0]].request_count, count)
        summary = f"{_counted(count, 'request')}; {group_label(by, ranked[0], names)} had {most}."
    words = Words(
        figure_id=f"requests-by-{by}",
        title=f"Requests by {_lower(GROUPINGS[by][0])}",
        summary=summary,
        definition=f"Logical requests by {grain_words(within)}, refused ones included.",
        note=note,
    )
    return stacked(within, series, COUNT, words)


def requests_over_time(within: TimeRange, rows: Sequence[UsageRow]) -> Figure:
    """Requests stacked by what the caller got: answered, broken off, refused, failed."""
    starts = within.buckets()
    slots = by_slot(rows, len(starts))
    series = [
        Series(
            CLASS_LABELS[outcome_class],
            CLASS_COLOURS[outcome_class],
            tuple(getattr(sums, f"{outcome_class}_count") for sums in slots),
            {"outcome": outcome_class.value},
        )
        for outcome_class in OutcomeClass
    ]
    words = Words(
        figure_id="requests",
        title="Requests and errors",
        summary=_requests_summary(within, slots),
        definition=f"Logical requests by {grain_words(within)} and by what the caller got.",
    )
    return stacked(within, series, COUNT, words)


def errors_by_outcome(within: TimeRange, rows: Sequence[UsageRow]) -> Figure:
    """What was not answered in full, stacked by outcome; `rows` are grouped by outcome."""
    bad = [row for row in rows if words_of(row.group).outcome_class is not OutcomeClass.ANSWERED]
    groups = by_group(bad)
    ranked = sorted(groups, key=lambda name: -groups[name].request_count)
    series, note = _top(within, bad, ranked, lambda sums: sums.request_count, UsageDimension.OUTCOME, {})
    count, of = sum(sums.request_count for sums in groups.values()), total(rows).request_count
    summary = f"All {_counted(of, 'request')} were answered in full." if of else f"No request in {within.words}."
    if ranked:
        first = groups[ranked[0]].request_count
        summary = (
            f"{formats.share(count, of)} of {_counted(of, 'request')} were not answered in full; "
            f"most often: {words_of(ranked[0]).label} ({formats.count(first)})."
        )
    words = Words(
        figure_id="errors",
        title="What went wrong",
        summary=summary,
        definition=f"Requests that were not answered in full, by {grain_words(within)} and outcome.",
        note=note,
    )
    return stacked(within, series, COUNT, words)


def tokens_by_kind(within: TimeRange, rows: Sequence[UsageRow]) -> Figure:
    """Tokens stacked by kind, each token in one."""
    slots = by_slot(rows, len(within.buckets()))
    series = [Series(label, colour, tuple(read(sums) for sums in slots)) for label, colour, read in TOKEN_KINDS]
    whole = total(rows)
    tokens = whole.input_tokens + whole.output_tokens
    words = Words(
        figure_id="tokens",
        title="Tokens by kind",
        summary=f"{formats.count(tokens)} tokens: {formats.share(whole.input_tokens, tokens)} in, of them "
        f"{formats.share(whole.cache_read_input_tokens, whole.input_tokens)} read from a provider's cache."
        if tokens
        else f"No token was used in {within.words}.",
        definition=f"Tokens of all attempts by {grain_words(within)}; each is counted in one kind.",
    )
    return stacked(within, [one for one in series if any(one.values)], COUNT, words)


def latency_over_time(within: TimeRange, rows: Sequence[UsageRow]) -> Figure:
    """Median, p95 and p99 latency of answered requests; no requests leave a gap."""
    slots = by_slot(rows, len(within.buckets()))
    whole = total(rows).latency_histogram
    half, most = (formats.duration(percentile_ms(whole, percent)) for percent in (50, 95))
    words = Words(
        figure_id="latency",
        title="Latency",
        summary=f"Half of the answers took at most {half}, 95% at most {most}."
        if whole
        else f"No request was answered in {within.words}.",
        definition=f"First byte in to last byte out of answered requests, by {grain_words(within)}, from histograms.",
    )
    return percentiles(within, [sums.latency_histogram for sums in slots], words, percents=(50, 95, 99))


def first_token_over_time(within: TimeRange, rows: Sequence[UsageRow]) -> Figure:
    """Median and p95 time to the first token of answered streams."""
    slots = by_slot(rows, len(within.buckets()))
    whole = total(rows).first_token_histogram
    half, most = (formats.duration(percentile_ms(whole, percent)) for percent in (50, 95))
    words = Words(
        figure_id="first-token",
        title="Time to first token",
        summary=f"Half of the streams began within {half}, 95% within {most}."
        if any(whole)
        else f"No stream was answered in {within.words}.",
        definition=f"First byte in to first token out of answered streams, by {grain_words(within)}, from histograms.",
    )
    return percentiles(within, [sums.first_token_histogram for sums in slots], words)


def savings_bridge(within: TimeRange, sums: UsageSums) -> Figure:
    """From what the baseline would have cost to what was billed."""
    saved, covered_nano_usd = sums.saved_nano_usd, sums.baselined_billed_nano_usd
    rest_nano_usd = sums.billed_nano_usd - covered_nano_usd
    # label, amount, where its bar begins, colour
    steps = [
        ("Baseline", sums.baseline_nano_usd, 0, "other"),
        ("Saved", saved or 0, covered_nano_usd, "answered"),
        ("Billed", covered_nano_usd, 0, "c0"),
    ]
    if rest_nano_usd:
        steps += [
            ("No baseline", rest_nano_usd, covered_nano_usd, "c9"),
            ("All billed", sums.billed_nano_usd, 0, "c0"),
        ]
    traces: list[Mapping[str, object]] = [
        {
            "type": "bar", "x": [label], "y": [formats.usd(amount)], "base": [formats.usd(base)],
            "hovertemplate": f"{label}  {formats.money(amount)}<extra></extra>", "meta": {"colour": colour},
        }
        for label, amount, base, colour in steps
    ]  # fmt: skip
    covered = formats.share(covered_nano_usd, sums.billed_nano_usd)
    return Figure(
        figure_id="savings",
        title="What routing saved",
        summary=f"{formats.money(saved)} of {formats.money(sums.baseline_nano_usd)}, "
        f"{formats.share(saved, sums.baseline_nano_usd)}; {covered} of the spend has a baseline."
        if saved is not None
        else f"No request in {within.words} has a baseline, so nothing is claimed.",
        definition="Baseline: the dearest candidate that could have served the request, at the same tokens. Saved is "
        "baseline less billed, and may be negative.",
        json=plotted(traces if saved is not None else [], _plain_layout(yaxis={"tickformat": "$,.4~f"})),
        columns=("Step", "Amount"),
        rows=tuple((label, formats.money(amount)) for label, amount, *_ in steps) if saved is not None else (),
        legend=(),
    )


def week_of_hours(within: TimeRange, hours: Sequence[tuple[datetime, int]]) -> Figure:
    """Requests by weekday and hour in the range's zone, from hours with their counts."""
    cells = [[0] * 24 for _ in WEEKDAYS]
    for hour, requests in hours:
        at = hour.astimezone(within.zone)
        cells[at.weekday()][at.hour] += requests
    count = sum(map(sum, cells))
    busiest = max(
        ((n, day, hour) for day, hours in enumerate(cells) for hour, n in enumerate(hours)), default=(0, 0, 0)
    )
    trace: Mapping[str, object] = {
        "type": "heatmap", "x": [f"{hour:02}" for hour in range(24)], "y": list(WEEKDAYS), "z": cells, "xgap": 2,
        "ygap": 2, "showscale": False, "hovertemplate": "%{y} %{x}:00  %{z:,} requests<extra></extra>",
        "meta": {"colour": "c2"},
    }  # fmt: skip
    return Figure(
        figure_id="week",
        title="Hours of the week",
        summary=f"Busiest on {WEEKDAYS[busiest[1]]} from {busiest[2]:02}:00: {_counted(busiest[0], 'request')}."
        if count
        else f"There was no request in {within.words}.",
        definition=f"Requests by weekday and hour, {within.zone.key}.",
        json=plotted(
            [trace] if count else [], _plain_layout(xaxis={"type": "category"}, yaxis={"autorange": "reversed"})
        ),
        columns=("Day", *(f"{hour:02}" for hour in range(24))),
        rows=tuple((day, *(formats.count(n) for n in hours)) for day, hours in zip(WEEKDAYS, cells, strict=True))
        if count
        else (),
        legend=(LegendRow("c2", "Stronger is more", formats.count(count)),) if count else (),
    )


def _top(
    within: TimeRange,
    rows: Sequence[UsageRow],
    ranked: Sequence[str],
    read: Read,
    by: UsageDimension,
    names: Mapping[str, str],
) -> tuple[list[Series], str]:
    """The largest groups, and the rest as one."""
    # One group more than fits is drawn itself: an "Other" of one would tell less.
    limit = GROUPS_MAX + 1 if len(ranked) == GROUPS_MAX + 1 else GROUPS_MAX
    shown, rest = ranked[:limit], set(ranked[limit:])
    slots, colours = len(within.buckets()), colours_of(shown)

    def values(members: set[str]) -> tuple[int, ...]:
        return tuple(map(read, by_slot([row for row in rows if row.group in members], slots)))

    series = [
        Series(group_label(by, name, names), colours[name], values({name}), group_filters(by, name)) for name in shown
    ]
    if not rest:
        return series, ""
    plural = f"{_lower(GROUPINGS[by][0])}s"
    series.append(Series(f"Other ({len(rest)} {plural})", "other", values(rest)))
    return series, f"Showing the top {GROUPS_MAX} of {len(ranked)} {plural}; the rest is Other."


def _spend_summary(
    totals: Mapping[str, UsageSums], within: TimeRange, by: UsageDimension, names: Mapping[str, str]
) -> str:
    spent = sum(sums.billed_nano_usd for sums in totals.values())
    if not spent:
        return f"Nothing was spent in {within.words}."
    name, sums = next(iter(totals.items()))
    part = formats.share(sums.billed_nano_usd, spent)
    groups = _counted(len(totals), _lower(GROUPINGS[by][0]))
    return f"{formats.money(spent)} over {groups}; {group_label(by, name, names)} took {part} of it."


def _requests_summary(within: TimeRange, slots: Sequence[UsageSums]) -> str:
    count, failed = (sum(getattr(sums, name) for sums in slots) for name in ("request_count", "failed_count"))
    if not count:
        return f"There was no request in {within.words}."
    busiest = max(range(len(slots)), key=lambda slot: slots[slot].request_count)
    errors = "none failed" if not failed else f"{formats.share(failed, count)} failed"
    return (
        f"{_counted(count, 'request')}, {errors}; the busiest {grain_words(within)} was "
        f"{time_words(within.buckets()[busiest], within)} with {formats.count(slots[busiest].request_count)}."
    )


def _plain_layout(*, yaxis: Mapping[str, object], xaxis: Mapping[str, object] | None = None) -> dict[str, object]:
    fixed = {"automargin": True, "fixedrange": True, "zeroline": False}
    return {
        "dragmode": False,
        "showlegend": False,
        "bargap": 0.3,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "xaxis": {**fixed, "showgrid": False, **(xaxis or {})},
        "yaxis": {**fixed, **yaxis},
    }


def _counted(number: int, noun: str) -> str:
    return f"{formats.count(number)} {noun}{'' if number == 1 else 's'}"


def _lower(heading: str) -> str:
    return heading if heading.startswith("API") else heading.lower()
