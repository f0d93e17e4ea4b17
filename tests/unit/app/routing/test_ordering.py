"""Strategies that hang on more than prices: shares, latencies, utilities, and that they can be computed again."""

from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing import RouteDecision
from app.routing.circumstances import uniform
from app.routing.ordering import EXPLORED_PER, by_latency, by_utility, drawn_by_weight, utilities_of
from tests.unit.app.routing.builders import (
    compile_document,
    excluded_names,
    make_candidate,
    make_document,
    make_signals,
    ranked_names,
    route,
)

SMALL = make_candidate("x/small", usd_per_million=1, quality={"": 0.6})
MIDDLE = make_candidate("x/middle", usd_per_million=3, quality={"": 0.8})
LARGE = make_candidate("x/large", usd_per_million=9, quality={"": 0.9})
UNKNOWN = make_candidate("x/unknown", usd_per_million=2)
ALL = [MIDDLE, LARGE, SMALL, UNKNOWN]
NAMES = [candidate.name for candidate in ALL]


def decided(choice: dict[str, Any], *, number: int = 7, session: str | None = None, **how: Any) -> RouteDecision:
    document = make_document()
    document["default"] = {"candidates": ["x/*"], **choice}
    signals = make_signals(session=session)
    return route(signals, compile_document(document), candidates=ALL, request_id=UUID(int=number), **how)


def weighted(**weights: int) -> dict[str, Any]:
    named = {f"x/{name}": weight for name, weight in weights.items()}
    return {"strategy": "weighted", "candidates": [*named, "x/*"], "weights": named}


def test_weights_are_shares_of_the_first_choice() -> None:
    firsts = Counter(ranked_names(decided(weighted(small=70, large=30), number=n))[0] for n in range(2_000))
    assert set(firsts) == {"x/small", "x/large"}
    assert 0.66 < firsts["x/small"] / 2_000 < 0.74


def test_what_has_no_weight_stands_behind_and_in_its_place() -> None:
    for number in range(50):
        names = ranked_names(decided(weighted(small=1, large=1), number=number))
        assert set(names[:2]) == {"x/small", "x/large"}
        assert names[2:] == ["x/unknown", "x/middle"]


def test_one_request_and_one_session_draw_the_same_again() -> None:
    choice = weighted(small=1, middle=1, large=1)
    assert ranked_names(decided(choice, number=5)) == ranked_names(decided(choice, number=5))
    of_session = {tuple(ranked_names(decided(choice, number=n, session="a chat"))) for n in range(30)}
    assert len(of_session) == 1
    of_sessions = {ranked_names(decided(choice, session=f"chat {n}"))[0] for n in range(40)}
    assert of_sessions == {"x/small", "x/middle", "x/large"}


def test_draw_does_not_tell_the_session() -> None:
    decision = decided(weighted(small=1), session="customer-4711")
    assert decision.draw is not None
    assert "4711" not in decision.draw
    assert len(decision.draw) == 16


@given(draw=st.integers(0, 2**64 - 1).map(lambda n: f"{n:016x}"), gone=st.integers(0, 3))
def test_an_entry_that_falls_moves_no_other(draw: str, gone: int) -> None:
    entries = [("a", 5), ("b", 1), ("c", 3), ("d", 1)]
    groups = [[place] for place in range(4)]
    whole = drawn_by_weight(groups, range(4), entries, draw)
    rest = drawn_by_weight([group for group in groups if group != [gone]], range(4), entries, draw)
    assert [group for group in whole if group != [gone]] == rest


@given(draw=st.integers(0, 2**64 - 1).map(lambda n: f"{n:016x}"), text=st.text(max_size=20))
def test_uniform_has_a_logarithm(draw: str, text: str) -> None:
    assert 0 < uniform(draw, text) <= 1


def test_fastest_goes_by_what_was_measured() -> None:
    latencies = {"x/large": 80, "x/small": 200, "x/middle": 900}
    names = [ranked_names(decided({"strategy": "fastest"}, number=n, latencies_ms=latencies)) for n in range(400)]
    usual = ["x/large", "x/small", "x/middle", "x/unknown"]
    explored = ["x/unknown", "x/large", "x/small", "x/middle"]
    assert {tuple(each) for each in names} == {tuple(usual), tuple(explored)}
    assert 0 < names.count(explored) < 3 * 400 / EXPLORED_PER


def test_fastest_before_any_measurement_is_the_cheapest() -> None:
    assert ranked_names(decided({"strategy": "fastest"}))[0] == "x/small"


def test_latency_limit_bars_what_was_slow_and_lets_the_unmeasured_show() -> None:
    decision = decided({"strategy": "best", "latency_ms_max": 500}, latencies_ms={"x/large": 501, "x/middle": 500})
    assert ranked_names(decision) == ["x/middle", "x/small", "x/unknown"]
    assert excluded_names(decision) == {"x/large": "too_slow"}
    (slow,) = [verdict for verdict in decision.verdicts if verdict.excluded]
    assert slow.detail == "it took 501 ms lately; the rule asks for at most 500"
    assert slow.latency_ms == 501


@pytest.mark.parametrize(
    ("worth", "first"),
    [
        ({"quality_per_usd": 0.001}, "x/large"),
        ({"quality_per_usd": 1_000}, "x/small"),
        ({"quality_per_usd": 0, "quality_per_second": 1}, "x/middle"),
    ],
)
def test_balanced_weighs_quality_against_cost_and_latency(worth: dict[str, float], first: str) -> None:
    latencies = {"x/large": 900, "x/middle": 100, "x/small": 400}
    decision = decided({"strategy": "balanced", **worth}, latencies_ms=latencies)
    assert ranked_names(decision)[0] == first
    assert ranked_names(decision)[-1] == "x/unknown"
    utilities = [verdict.utility for verdict in decision.verdicts]
    assert utilities[-1] is None
    assert utilities[:-1] == sorted([each for each in utilities if each is not None], reverse=True)


def test_utility_is_the_formula() -> None:
    assert utilities_of(
        [0.9, None, 0.5],
        [2_000_000, 0, 1_000_000],
        [100, None, None],
        quality_per_usd=50,
        quality_per_second=2,
    ) == [0.6, None, 0.25]


@given(
    st.lists(st.tuples(st.none() | st.integers(0, 999), st.integers(0, 9)), min_size=1, max_size=8),
    st.integers(0, 2**64 - 1).map(lambda n: f"{n:016x}"),
)
def test_every_row_goes_out_once(rows: list[tuple[int | None, int]], draw: str) -> None:
    latencies, estimates = [row[0] for row in rows], [row[1] for row in rows]
    everything = list(range(len(rows)))
    assert sorted(by_latency(everything, latencies, estimates, draw)) == everything
    assert sorted(by_utility(everything, latencies, estimates)) == everything


def test_reason_says_by_what_it_was_ranked() -> None:
    assert "fastest lately of 4: x/" in decided({"strategy": "fastest"}).reason
    assert "drawn by weight of 4: x/" in decided(weighted(small=1)).reason
    assert "most utility of 4: x/" in decided({"strategy": "balanced", "quality_per_usd": 1}).reason
