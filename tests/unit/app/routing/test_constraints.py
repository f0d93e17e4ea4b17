"""Constraints and bounds: what a candidate must satisfy, and the limit it gets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing import Candidate, Capability, Exclusion, NoCandidateLeft, OverBudget, RouteDecision
from app.routing.constraints import DEFAULT_OUTPUT_TOKENS, DEFAULT_OUTPUT_TOKENS_UNKNOWN, MINIMUM_OUTPUT_TOKENS
from tests.unit.app.routing.builders import (
    excluded_names,
    make_candidate,
    make_policy,
    make_signals,
    ranked_names,
    route,
)

# 1,000 input tokens of the default facts cost 1,000,000 nano-USD at $1 a million, an output token 4,000.
INPUT_NANO_USD = 1_000_000
OUTPUT_NANO_USD = 4_000


def fall_of(error: pytest.ExceptionInfo[NoCandidateLeft]) -> Exclusion | None:
    return error.value.decision.verdicts[0].excluded


def only(decision: RouteDecision) -> tuple[int, int | None, bool]:
    (ranked,) = decision.ranked
    return ranked.bound_nano_usd, ranked.output_tokens_limit, ranked.is_output_shrunk


def test_said_limit_is_left_to_the_caller_and_bounds_every_choice() -> None:
    decision = route(make_signals(output_tokens_wanted=100, choices=3))
    assert only(decision) == (INPUT_NANO_USD + 300 * OUTPUT_NANO_USD, None, False)


def test_unsaid_limit_is_sent_as_reserved() -> None:
    assert only(route())[1] == DEFAULT_OUTPUT_TOKENS_UNKNOWN
    assert only(route(candidates=[make_candidate(output_tokens_max=32_000)]))[1] == DEFAULT_OUTPUT_TOKENS
    assert only(route(candidates=[make_candidate(output_tokens_max=500)]))[1] == 500


def test_said_limit_beyond_the_model_is_cut_to_the_models() -> None:
    decision = route(make_signals(output_tokens_wanted=9_000), candidates=[make_candidate(output_tokens_max=500)])
    assert only(decision) == (INPUT_NANO_USD + 500 * OUTPUT_NANO_USD, 500, False)


def test_unsaid_limit_shrinks_to_the_headroom() -> None:
    headroom = INPUT_NANO_USD + 100 * OUTPUT_NANO_USD + 1
    assert only(route(headroom=headroom, unspent=headroom)) == (headroom - 1, 100, True)


def test_unsaid_limit_is_shared_by_the_choices() -> None:
    decision = route(make_signals(choices=2), headroom=INPUT_NANO_USD + 201 * OUTPUT_NANO_USD)
    assert only(decision) == (INPUT_NANO_USD + 200 * OUTPUT_NANO_USD, 100, True)


def test_limit_is_not_shrunk_below_use() -> None:
    enough = INPUT_NANO_USD + MINIMUM_OUTPUT_TOKENS * OUTPUT_NANO_USD
    assert only(route(headroom=enough))[1] == MINIMUM_OUTPUT_TOKENS
    with pytest.raises(OverBudget) as caught:
        route(headroom=enough - 1)
    assert caught.value.decision.verdicts[0].bound_nano_usd == enough


def test_said_limit_that_does_not_fit_is_over_budget() -> None:
    with pytest.raises(OverBudget) as caught:
        route(make_signals(output_tokens_wanted=1_000), headroom=INPUT_NANO_USD + 999 * OUTPUT_NANO_USD)
    assert fall_of(caught) is Exclusion.OVER_BUDGET
    assert "$0.005, and the room left in the budget is $0.004996" in str(caught.value)


@pytest.mark.parametrize(("unspent", "is_contended"), [(0, False), (10**12, True)])
def test_room_held_by_requests_in_flight_is_contended(unspent: int, is_contended: bool) -> None:
    with pytest.raises(OverBudget) as caught:
        route(headroom=0, unspent=unspent)
    assert caught.value.is_contended is is_contended


def test_budget_is_the_reason_when_it_bars_what_else_could_answer() -> None:
    with pytest.raises(OverBudget) as caught:
        route(candidates=[make_candidate("x/a"), make_candidate("x/b")], allowed={"x/a"}, headroom=0)
    assert excluded_names(caught.value.decision) == {"x/a": "over_budget", "x/b": "not_in_plan"}


def test_callers_maximum_cost_is_not_a_budget() -> None:
    with pytest.raises(NoCandidateLeft) as caught:
        route(make_signals(cost_nano_usd_max=10))
    assert not isinstance(caught.value, OverBudget)
    assert fall_of(caught) is Exclusion.OVER_MAX_COST


@pytest.mark.parametrize("headroom", [0, -5])
@pytest.mark.parametrize("free", [{"usd_per_million": 0}, {"rate_ppm": 0}])
def test_free_candidate_always_fits(headroom: int, free: dict[str, int]) -> None:
    signals = make_signals(is_unbounded=True, is_output_unbounded=True, images=9, output_tokens_wanted=10_000)
    assert only(route(signals, candidates=[make_candidate(**free)], headroom=headroom)) == (0, None, False)  # type: ignore[arg-type]  # builder's keywords


@pytest.mark.parametrize(
    ("fact", "candidate"),
    [
        ("is_unbounded", make_candidate()),
        ("is_output_unbounded", make_candidate(context_tokens=200_000)),
    ],
    ids=["content in an unknown context", "output beyond its limit"],
)
def test_what_has_no_bound_is_refused_under_any_cap_only(fact: str, candidate: Candidate) -> None:
    facts: dict[str, Any] = {fact: True}
    assert route(make_signals(**facts), candidates=[candidate]).ranked
    for headroom, cost_max in ((10**15, None), (None, 10**15)):
        with pytest.raises(NoCandidateLeft) as caught:
            route(make_signals(**facts, cost_nano_usd_max=cost_max), candidates=[candidate], headroom=headroom)
        assert fall_of(caught) is Exclusion.UNBOUNDED


@pytest.mark.parametrize("headroom", [None, 10**12])
def test_content_that_we_do_not_see_counts_as_the_full_context(headroom: int | None) -> None:
    signals = make_signals(is_unbounded=True, output_tokens_wanted=100)
    known, unknown = make_candidate("x/known", context_tokens=200_000), make_candidate("x/unknown")
    decision = route(signals, candidates=[known, unknown], headroom=headroom)
    assert decision.ranked[0].bound_nano_usd == 200 * INPUT_NANO_USD + 100 * OUTPUT_NANO_USD
    assert excluded_names(decision) == ({} if headroom is None else {"x/unknown": "unbounded"})


def test_what_is_seen_counts_even_beyond_the_context() -> None:
    signals = make_signals(is_unbounded=True, input_tokens_bound=9_000, output_tokens_wanted=100)
    decision = route(signals, candidates=[make_candidate(context_tokens=8_000)])
    assert only(decision)[0] == 9 * INPUT_NANO_USD + 100 * OUTPUT_NANO_USD


def test_a_full_context_is_held_against_the_headroom() -> None:
    candidate = make_candidate(context_tokens=200_000)
    enough = 200 * INPUT_NANO_USD + 100 * OUTPUT_NANO_USD
    signals = make_signals(is_unbounded=True, output_tokens_wanted=100)
    assert only(route(signals, candidates=[candidate], headroom=enough))[0] == enough
    with pytest.raises(OverBudget) as caught:
        route(signals, candidates=[candidate], headroom=enough - 1)
    assert caught.value.decision.verdicts[0].bound_nano_usd == enough


def test_images_count_by_the_candidates_own_maximum_or_else_by_the_callers_table() -> None:
    signals = make_signals(images=2, image_tokens_bound=96_000, output_tokens_wanted=100)
    own, table = make_candidate("x/own", image_tokens_max=5_000), make_candidate("x/table")
    decision = route(signals, make_policy(["x/own", "x/table"]), candidates=[own, table])
    bounds = {ranked.candidate.name: ranked.bound_nano_usd for ranked in decision.ranked}
    assert bounds == {
        "x/own": (1 + 10) * INPUT_NANO_USD + 100 * OUTPUT_NANO_USD,
        "x/table": (1 + 96) * INPUT_NANO_USD + 100 * OUTPUT_NANO_USD,
    }
    for headroom, left in ((20 * INPUT_NANO_USD, {"x/own"}), (100 * INPUT_NANO_USD, {"x/own", "x/table"})):
        assert set(ranked_names(route(signals, candidates=[own, table], headroom=headroom))) == left


def test_a_candidates_own_images_are_held_against_the_headroom_though_the_callers_are_cheap() -> None:
    signals = make_signals(images=2, image_tokens_bound=10, output_tokens_wanted=100)
    own, table = make_candidate("x/own", image_tokens_max=5_000), make_candidate("x/table")
    decision = route(signals, candidates=[own, table], headroom=2 * INPUT_NANO_USD)
    assert excluded_names(decision) == {"x/own": "over_budget"}


def test_unknown_price_falls_before_anything_is_computed() -> None:
    with pytest.raises(NoCandidateLeft) as caught:
        route(candidates=[make_candidate(is_priced=False)])
    assert fall_of(caught) is Exclusion.UNKNOWN_PRICE


@pytest.mark.parametrize(
    ("fact", "needed"),
    [("has_tools", "tools"), ("has_images", "images"), ("wants_json_schema", "json_schema")],
)
def test_known_lack_of_a_capability_excludes_and_unknown_does_not(fact: str, needed: str) -> None:
    needs: dict[str, Any] = {fact: True}
    signals = make_signals(**needs)
    plain = make_candidate("x/plain", capabilities=frozenset())
    able = make_candidate("x/able", capabilities=frozenset({Capability(needed)}))
    unknown = make_candidate("x/unknown", capabilities=None)
    decision = route(signals, candidates=[plain, able, unknown])
    assert excluded_names(decision) == {"x/plain": "not_capable"}
    assert f"needs {needed}" in next(verdict.detail for verdict in decision.verdicts if verdict.excluded)


def test_context_is_held_against_the_estimate_not_the_byte_bound() -> None:
    signals = make_signals(input_tokens_bound=4_000, input_tokens_estimate=1_000, output_tokens_wanted=500)
    assert route(signals, candidates=[make_candidate(context_tokens=1_500)]).ranked
    with pytest.raises(NoCandidateLeft) as caught:
        route(signals, candidates=[make_candidate(context_tokens=1_499)])
    assert fall_of(caught) is Exclusion.CONTEXT_TOO_SMALL


def test_unsaid_limit_keeps_within_the_context() -> None:
    assert only(route(candidates=[make_candidate(context_tokens=1_250)]))[1:] == (1_000, False)
    with pytest.raises(NoCandidateLeft):
        route(candidates=[make_candidate(context_tokens=250 + MINIMUM_OUTPUT_TOKENS - 1)])


def test_first_constraint_in_order_names_the_fall() -> None:
    poor = make_candidate("x/m", is_priced=False, capabilities=frozenset(), context_tokens=1)
    priced = make_candidate("x/m", capabilities=frozenset(), context_tokens=1)
    capable = make_candidate("x/m", context_tokens=1)
    signals = make_signals(has_tools=True, is_unbounded=True, cost_nano_usd_max=1)
    roomy = make_candidate("x/m")
    for candidate, allowed, facts, expected in (
        (poor, set[str](), signals, Exclusion.NOT_IN_PLAN),
        (poor, {"x/m"}, signals, Exclusion.UNKNOWN_PRICE),
        (priced, {"x/m"}, signals, Exclusion.NOT_CAPABLE),
        (capable, {"x/m"}, signals, Exclusion.CONTEXT_TOO_SMALL),
        (roomy, {"x/m"}, signals, Exclusion.UNBOUNDED),
        (roomy, {"x/m"}, make_signals(cost_nano_usd_max=1), Exclusion.OVER_MAX_COST),
        (roomy, {"x/m"}, make_signals(), Exclusion.OVER_BUDGET),
    ):
        with pytest.raises(NoCandidateLeft) as caught:
            route(facts, candidates=[candidate], allowed=allowed, headroom=0)
        assert fall_of(caught) is expected


@given(
    usd_per_million=st.sampled_from([0, 0.0375, 0.1, 1, 15, 600]),
    rate_ppm=st.sampled_from([0, 1, 10_000, 1_000_000, 1_200_000, 1_333_333]),
    input_tokens=st.integers(0, 300_000),
    wanted=st.none() | st.integers(1, 100_000),
    choices=st.integers(1, 8),
    headroom=st.none() | st.integers(-(10**6), 10**11),
    cost_max=st.none() | st.integers(0, 10**11),
)
def test_what_is_ranked_stays_within_every_cap_at_its_own_limit(
    usd_per_million: float,
    rate_ppm: int,
    input_tokens: int,
    wanted: int | None,
    choices: int,
    headroom: int | None,
    cost_max: int | None,
) -> None:
    candidate = make_candidate(usd_per_million=usd_per_million, rate_ppm=rate_ppm)
    signals = make_signals(
        input_tokens_bound=input_tokens,
        input_tokens_estimate=input_tokens // 4,
        output_tokens_wanted=wanted,
        choices=choices,
        cost_nano_usd_max=cost_max,
    )
    try:
        (ranked,) = route(signals, candidates=[candidate], headroom=headroom).ranked
    except NoCandidateLeft as error:
        (verdict,) = error.decision.verdicts
        assert verdict.bound_nano_usd is not None
        assert verdict.bound_nano_usd > max(0, min(cap for cap in (headroom, cost_max) if cap is not None))
        return
    limit = ranked.output_tokens_limit if ranked.output_tokens_limit is not None else wanted
    assert limit is not None
    assert limit > 0
    assert ranked.bound_nano_usd == candidate.bound_nano_usd(input_tokens=input_tokens, output_tokens=limit * choices)
    for cap in (headroom, cost_max):
        assert cap is None or ranked.bound_nano_usd <= max(cap, 0)
    assert not ranked.is_output_shrunk or wanted is None
