"""A ranking bars and orders what looking at each candidate alone would bar and order."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.routing import Candidate, RequestFacts
from app.routing.candidate import Feature
from app.routing.constraints import Fall, Fit, demand_of, examine, lack
from app.routing.lineup import CAPABLE_REMEMBERED_MAX, line_up
from app.routing.ranking import rank
from app.routing.terms import terms_of
from billing import Usage, billed_nano_usd
from tests.unit.app.routing.builders import compile_document, make_candidate, make_facts, make_policy
from tests.unit.app.routing.test_decisions_hold import CANDIDATES, CAPS, CHOICES, SIGNALS

ROUNDING_NANO_USD = 2  # an estimate is rounded once, the amounts that are billed at each step


def everything(_name: str) -> bool:
    return True


@given(signals=SIGNALS, default=CHOICES, candidates=CANDIDATES, headroom=CAPS)
def test_rows_spared_a_look_would_have_passed_it(
    signals: Any, default: dict[str, Any], candidates: list[Candidate], headroom: int | None
) -> None:
    check_every_row(signals.facts, default, candidates, headroom)


@given(
    facts=st.builds(
        make_facts,
        output_tokens_wanted=st.just(100),
        images=st.integers(0, 3),
        image_tokens_bound=st.sampled_from([0, 48_169]),
        is_unbounded=st.booleans(),
        is_output_unbounded=st.sampled_from([False, False, True]),
    ),
    candidates=st.lists(
        st.builds(
            make_candidate,
            context_tokens=st.sampled_from([None, 200_000]),
            image_tokens_max=st.sampled_from([None, 4_784, 90_000]),
        ),
        min_size=1,
        max_size=2,
    ),
    left_nano_usd=st.sampled_from([-1_000, -1, 0, 10**9]),
)
def test_rows_are_not_spared_a_look_where_the_room_ends_beside_the_dearest_bound(
    facts: RequestFacts, candidates: list[Candidate], left_nano_usd: int
) -> None:
    free = demand_of(facts, "open_qa", headroom_nano_usd=None, cost_nano_usd_max=None)
    fits = [examine(terms_of(one), free) for one in candidates]
    dearest = max(fit.bound_nano_usd for fit in fits if isinstance(fit, Fit))
    default = {"candidates": ["*"], "strategy": "cheapest"}
    check_every_row(facts, default, candidates, dearest + left_nano_usd)


def check_every_row(
    facts: RequestFacts, default: dict[str, Any], candidates: list[Candidate], headroom: int | None
) -> None:
    choice = compile_document({"default": default}).default
    lineup = line_up(choice, candidates, plan_allows=everything, plan_id="pro")
    demand = demand_of(facts, "open_qa", headroom_nano_usd=headroom, cost_nano_usd_max=choice.cost_nano_usd_max)
    ranking = rank(lineup, demand)
    assert sorted([*ranking.order, *ranking.falls]) == list(range(len(lineup.candidates)))
    for row, candidate in enumerate(lineup.candidates):
        alone = lack(candidate, demand.needs, demand.facts.features) or examine(lineup.terms[row], demand)
        if isinstance(alone, Fall):
            assert ranking.falls[row] == alone
        elif row in ranking.falls:
            assert ranking.falls[row].exclusion in {"below_quality", "other_owner"}


@given(signals=SIGNALS, candidates=CANDIDATES)
def test_plain_numbers_give_the_prices_of_the_book(signals: Any, candidates: list[Candidate]) -> None:
    lineup = line_up(make_policy().default, candidates, plan_allows=everything, plan_id="pro")
    facts = signals.facts
    demand = demand_of(facts, "open_qa", headroom_nano_usd=None, cost_nano_usd_max=None)
    ranking = rank(lineup, demand)
    usage = Usage(input_tokens=facts.input_tokens_estimate, output_tokens=demand.output_tokens_typical)
    most = lineup.bound_nano_usd_most(input_tokens=facts.input_tokens_bound, output_tokens=777)
    assert all((candidate.image_tokens_max or 0) <= lineup.image_tokens_max for candidate in lineup.candidates)
    for row, candidate in enumerate(lineup.candidates):
        assert candidate.price is not None
        exact = billed_nano_usd(candidate.price.cost_nano_usd(usage), candidate.rate_ppm)
        assert abs(ranking.estimates_nano_usd[row] - exact) <= ROUNDING_NANO_USD
        bound = candidate.bound_nano_usd(input_tokens=facts.input_tokens_bound, output_tokens=777)
        assert terms_of(candidate).bound_nano_usd(facts.input_tokens_bound, 777) == bound
        assert bound <= most


def test_many_kinds_of_needs_do_not_fill_the_memory() -> None:
    lineup = line_up(make_policy().default, [make_candidate()], plan_allows=everything, plan_id="pro")
    features = list(Feature)
    for number in range(CAPABLE_REMEMBERED_MAX * 3):
        wanted = frozenset(feature for bit, feature in enumerate(features) if number >> bit & 1)
        assert lineup.capable(frozenset(), wanted).rows == (0,)
    assert len(lineup._capable) == CAPABLE_REMEMBERED_MAX
