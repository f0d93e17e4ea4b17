"""What "Routing & quality" draws: sums of decisions and routes, and the twins of each figure."""

import json
from datetime import UTC, datetime

import pytest

from dashboard.figures import Figure
from dashboard.ranges import parse_range, zone_of
from dashboard.routing_figures import MODELS_MAX, OTHER, confidence, cost_and_quality, exclusions, route_share
from dashboard.routing_repository import RouteCount
from dashboard.routing_sums import QualityLine, lines_to_show, sum_decisions, worth_of

WITHIN = parse_range({}, now=datetime(2026, 11, 24, 9, 5, tzinfo=UTC), zone=zone_of("UTC"))
HOSTILE = "x/<b>&</script>"


def line(model: str, task: str, value: float, **changes: float) -> QualityLine:
    fields = {"low": 0.1, "high": 0.9, "evaluation_prompts": 0.0, "feedback_prompts": 0.0, **changes}
    return QualityLine(model=model, task=task, value=value, source="public outcomes", **fields)


def decision(confidence: float | None = 0.83, decided_by: str = "classifier", **excluded: list[int]) -> str:
    columns = {"name": ["a", "b", "c"], "excluded": [[reason, "why", rows] for reason, rows in excluded.items()]}
    task = {"value": "open_qa", "confidence": confidence, "decided_by": decided_by}
    return json.dumps({"task": task, "candidates": columns})


def drawn(figure: Figure) -> dict[str, object]:
    assert "<" not in figure.json
    return dict(json.loads(figure.json))


def test_decisions_of_the_form_before_count_too() -> None:
    stored = json.dumps({"candidates": [{"name": "a", "excluded": "over_budget"}, {"name": "b", "excluded": None}]})
    assert sum_decisions([stored]).excluded == {"over_budget": 1}


def test_exclusions_count_candidates_and_the_requests_that_they_fell_in() -> None:
    sums = sum_decisions([decision(over_budget=[0, 1], not_capable=[2]), decision(over_budget=[1]), decision()])
    assert (sums.excluded, sums.requests_with["over_budget"], sums.decisions) == (
        {"over_budget": 3, "not_capable": 1}, 2, 3,
    )  # fmt: skip
    figure = exclusions(sums)
    assert figure.rows == (("over budget", "3", "2"), ("not capable", "1", "1"))
    assert "4 times" in figure.summary
    assert drawn(figure)["data"][0]["x"] == [3, 1]  # type: ignore[index]  # JSON


def test_confidence_is_counted_in_tenths_up_to_certainty() -> None:
    told = [decision(value) for value in (0.0, 0.05, 0.83, 1.0)]
    sums = sum_decisions([*told, decision(None)])
    assert (sums.confidence[0], sums.confidence[8], sums.confidence[9], sum(sums.confidence)) == (2, 1, 1, 4)
    figure = confidence(sums)
    assert figure.rows[-1] == ("0.9 – 1.0", "1")
    assert "50.0%" in figure.summary


@pytest.mark.parametrize("stored", ["null", "[]", "{", '{"task": 3}', '{"candidates": [{"name": "old form"}]}'])
def test_a_decision_of_another_form_breaks_nothing(stored: str) -> None:
    assert sum_decisions([stored, decision(over_budget=[0])]).excluded == {"over_budget": 1}


def test_shares_are_of_a_tasks_requests_and_add_up() -> None:
    figure = route_share(
        [RouteCount("a/x", "open_qa", 30, 1), RouteCount("b/y", "open_qa", 10, 1), RouteCount("a/x", "", 5, 1)], WITHIN
    )
    assert figure.columns == ("Task", "Requests", "a/x", "b/y")
    assert figure.rows == (("open qa", "40", "75.0%", "25.0%"), ("not classified", "5", "100%", "0%"))
    assert figure.summary == "45 answers by 2 models; most were open qa, and a/x got 75.0% of it."


def test_more_models_than_fit_are_one_column() -> None:
    routes = [RouteCount(f"p/m{n}", "open_qa", 10, 1) for n in range(MODELS_MAX + 5)]
    figure = route_share(routes, WITHIN)
    assert figure.columns[-1] == OTHER
    assert figure.rows[0][-1] == "33.3%"


def test_quality_is_weighed_by_the_tasks_that_a_model_got() -> None:
    routes = [
        RouteCount("a/x", "math", 30, 3_000),
        RouteCount("a/x", "chat", 10, 1_001),
        RouteCount("b/y", "chat", 5, 5),
    ]
    (first,) = worth_of(routes, [line("a/x", "math", 0.4), line("a/x", "", 0.8)])
    assert (first.quality, first.answered_count, first.cost_nano_usd) == (pytest.approx(0.5), 40, 100)
    figure = cost_and_quality([first])
    assert figure.rows == (("a/x", "40", "$0.000000100", "0.50", "0.10 – 0.90"),)
    assert drawn(figure)["data"][0]["y"] == [0.5]  # type: ignore[index]  # JSON


def test_the_table_shows_what_is_used_or_measured_and_says_what_it_leaves_out() -> None:
    routes = [RouteCount("a/x", "math", 1, 1)]
    quality = [
        line("a/x", "", 0.5), line("a/x", "math", 0.4), line("a/x", "chat", 0.4), line("b/y", "math", 0.9),
        line("c/z", "law", 0.7, evaluation_prompts=4),
    ]  # fmt: skip
    shown, left_out = lines_to_show(quality, routes, rows_max=2)
    assert ([(each.model, each.task) for each in shown], left_out) == ([("c/z", "law"), ("a/x", "math")], 1)


def test_nothing_is_drawn_of_nothing() -> None:
    empty = sum_decisions([])
    for figure in (route_share([], WITHIN), cost_and_quality([]), exclusions(empty), confidence(empty)):
        assert drawn(figure)["data"] == []
        assert figure.summary


def test_a_name_is_never_markup() -> None:
    worth = worth_of([RouteCount(HOSTILE, "<i>", 1, 1)], [line(HOSTILE, "", 0.5)])
    for figure in (route_share([RouteCount(HOSTILE, "<i>", 1, 1)], WITHIN), cost_and_quality(worth)):
        assert "x/<b>" not in json.dumps(drawn(figure))
        assert "x/&lt;b&gt;" in json.dumps(drawn(figure))
