"""Figures: what is drawn, in which colour, and its twins."""

import json
from datetime import UTC, datetime
from typing import Any

from dashboard.figures import Figure, colours_of
from dashboard.ranges import TimeRange, parse_range, zone_of
from dashboard.usage import UsageRow, UsageSums
from dashboard.usage_figures import GROUPS_MAX, latency_over_time, requests_over_time, spend_by_group

NOW = datetime(2026, 11, 24, 9, 5, tzinfo=UTC)
WITHIN = parse_range({}, now=NOW, zone=zone_of("UTC"))


def a_row(slot: int = 0, model: str = "openai/gpt-5", *, billed: int = 1_000_000_000, **sums: Any) -> UsageRow:
    return UsageRow(
        slot, model, UsageSums(billed_nano_usd=billed, **({"request_count": 1, "answered_count": 1} | sums))
    )


def drawn(figure: Figure) -> Any:
    return json.loads(figure.json)


def test_spend_is_stacked_by_model_and_silence_costs_nothing() -> None:
    figure = spend_by_group(WITHIN, [a_row(0), a_row(2), a_row(2, "a/b", billed=500_000_000)], ())
    data = drawn(figure)["data"]
    assert [trace["name"] for trace in data] == ["openai/gpt-5", "a/b"]
    assert data[0]["y"][:4] == [1, 0, 1, 0]
    assert drawn(figure)["layout"]["barmode"] == "stack"
    assert figure.summary == "$2.50 over 2 models; openai/gpt-5 took 80.0% of it."


def test_the_table_holds_the_figure_s_sums() -> None:
    figure = spend_by_group(WITHIN, [a_row(0), a_row(2), a_row(2, "a/b", billed=500_000_000)], ())
    assert figure.columns == ("Time", "openai/gpt-5", "a/b", "Total")
    assert [row[1:] for row in figure.rows] == [("$1.00", "$0.00", "$1.00"), ("$1.00", "$0.5000", "$1.50")]


def test_the_running_bar_is_paler() -> None:
    opacity = drawn(spend_by_group(WITHIN, [a_row(0)], ()))["data"][0]["marker"]["opacity"]
    assert opacity[-1] < opacity[-2] == 1


def test_the_period_before_is_a_dotted_line() -> None:
    before = [UsageSums(billed_nano_usd=2_000_000_000)] * len(WITHIN.buckets())
    figure = spend_by_group(WITHIN, [a_row(0)], before)
    line = drawn(figure)["data"][-1]
    assert (line["type"], line["line"]["dash"], line["y"][0]) == ("scatter", "dot", 2)
    assert figure.legend[-1].value == "$50.00"


def test_what_is_beyond_the_top_becomes_other_and_is_counted() -> None:
    rows = [a_row(0, f"p/m{number}", billed=(50 - number) * 1_000_000_000) for number in range(43)]
    figure = spend_by_group(WITHIN, rows, ())
    assert len(drawn(figure)["data"]) == GROUPS_MAX + 1
    assert figure.note == f"Showing the top {GROUPS_MAX} of 43 models; the rest is Other."
    assert sum(trace["y"][0] for trace in drawn(figure)["data"]) == sum(50 - number for number in range(43))


def test_an_other_of_one_model_is_that_model() -> None:
    rows = [a_row(0, f"p/m{number}") for number in range(GROUPS_MAX + 1)]
    figure = spend_by_group(WITHIN, rows, ())
    assert not figure.note
    assert len({row.colour for row in figure.legend}) == GROUPS_MAX + 1


def test_a_model_keeps_its_colour_in_other_company() -> None:
    names = ["openai/gpt-5", "openai/gpt-4o-mini", "anthropic/claude-sonnet-4"]
    alone = {name: colours_of([name])[name] for name in names}
    assert colours_of(names)[names[0]] == alone[names[0]]
    assert len(set(colours_of([f"m{number}" for number in range(10)]).values())) == 10


def test_classes_of_outcomes_add_up_to_all_requests() -> None:
    row = a_row(3, request_count=10, answered_count=6, cut_count=1, refused_count=2, failed_count=1)
    figure = requests_over_time(WITHIN, [row])
    data = drawn(figure)["data"]
    assert [trace["name"] for trace in data] == ["Answered", "Broken off", "Refused", "Failed"]
    assert sum(trace["y"][3] for trace in data) == 10
    assert "10.0% failed" in figure.summary


def test_latency_without_answers_is_a_gap_and_a_lone_point_a_dot() -> None:
    histogram = (0,) * 20 + (5,)
    rows = [a_row(slot, latency_histogram=histogram) for slot in (1, 4, 5)]
    data = drawn(latency_over_time(WITHIN, rows))["data"][1]
    assert [value is None for value in data["y"][:6]] == [True, False, True, True, False, False]
    assert data["marker"]["size"][:6] == [0, 5, 0, 0, 0, 0]
    assert data["connectgaps"] is False


def test_only_plain_traces_are_used() -> None:
    for figure in every_figure([a_row(0, latency_histogram=(0, 1))]):
        assert {trace["type"] for trace in drawn(figure)["data"]} <= {"bar", "scatter", "heatmap"}
        assert all("colour" in trace["meta"] for trace in drawn(figure)["data"])


def test_nothing_is_said_and_not_drawn_as_zero() -> None:
    figures = every_figure([])
    assert [figure.rows for figure in figures] == [(), (), ()]
    assert "Nothing was spent" in figures[0].summary
    assert "no request" in figures[1].summary.lower()
    assert "No request was answered" in figures[2].summary


def test_a_hostile_name_ends_neither_the_script_nor_plotly_s_labels() -> None:
    figure = spend_by_group(WITHIN, [a_row(0, "x/</script><a href='javascript:alert(1)'>&")], ())
    assert not set("<>&") & set(figure.json)
    trace = drawn(figure)["data"][0]
    assert "<a" not in trace["name"]
    assert "<a" not in trace["hovertemplate"]


def test_times_are_of_the_tenant_s_zone() -> None:
    within: TimeRange = parse_range({}, now=NOW, zone=zone_of("Asia/Tokyo"))
    assert drawn(spend_by_group(within, [a_row(0)], ()))["data"][0]["x"][0] == "2026-11-23T18:00"


def every_figure(rows: list[UsageRow]) -> tuple[Figure, ...]:
    return spend_by_group(WITHIN, rows, ()), requests_over_time(WITHIN, rows), latency_over_time(WITHIN, rows)
