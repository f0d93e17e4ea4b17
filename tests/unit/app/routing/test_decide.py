"""Decisions: which rule, which candidates in which order, and every refusal."""

from typing import Any

import pytest

from app.routing import ModelNotAllowed, ModelNotFound, NoCandidateLeft, OverBudget
from tests.unit.app.routing.builders import (
    compile_document,
    excluded_names,
    make_candidate,
    make_document,
    make_policy,
    make_signals,
    ranked_names,
    route,
)

SMALL = make_candidate("sandbox/small", usd_per_million=1)
MIDDLE = make_candidate("sandbox/middle", usd_per_million=3)
LARGE = make_candidate("sandbox/large", usd_per_million=9)
ALL = [MIDDLE, LARGE, SMALL]


def rule(name: str, when: object, *candidates: str) -> dict[str, object]:
    return {"name": name, "when": when, "then": {"candidates": list(candidates), "strategy": "ordered"}}


def test_first_rule_that_holds_decides() -> None:
    policy = make_policy(
        rules=[
            rule("code", {"task": "code_generation"}, "sandbox/large"),
            rule("pro", {"plan": "pro"}, "sandbox/middle"),
            rule("tools", {"has_tools": True}, "sandbox/small"),
        ]
    )
    decision = route(make_signals(has_tools=True), policy, candidates=ALL)
    assert decision.rule == "pro"
    assert ranked_names(decision) == ["sandbox/middle"]


def test_default_decides_when_no_rule_holds() -> None:
    decision = route(policy=make_policy(["sandbox/small"]), candidates=ALL)
    assert (decision.rule, decision.policy_name, decision.policy_version) == ("default", "default", 3)


def test_ordered_keeps_the_list_and_expands_a_glob_cheapest_first() -> None:
    decision = route(policy=make_policy(["sandbox/middle", "sandbox/*"]), candidates=[LARGE, SMALL, MIDDLE])
    assert ranked_names(decision) == ["sandbox/middle", "sandbox/small", "sandbox/large"]


def test_cheapest_ranks_by_what_the_tenant_is_billed() -> None:
    own = make_candidate("openai/own", usd_per_million=20, rate_ppm=10_000, owner="tenant")
    decision = route(policy=make_policy(strategy="cheapest"), candidates=[*ALL, own])
    assert ranked_names(decision)[0] == "openai/own"


def test_cheapest_leaves_out_what_is_below_the_quality_or_unknown() -> None:
    good = make_candidate("sandbox/good", usd_per_million=5, quality={"open_qa": 0.9})
    poor = make_candidate("sandbox/poor", quality={"open_qa": 0.4, "": 0.99})
    general = make_candidate("sandbox/general", usd_per_million=2, quality={"": 0.8})
    document = make_document()
    document["default"] |= {"strategy": "cheapest", "quality_at_least": 0.7}
    decision = route(policy=compile_document(document), candidates=[good, poor, general, SMALL])
    assert ranked_names(decision) == ["sandbox/general", "sandbox/good"]
    assert excluded_names(decision) == {"sandbox/poor": "below_quality", "sandbox/small": "below_quality"}


def test_best_ranks_by_quality_then_cost_and_puts_the_unknown_last() -> None:
    twins = [make_candidate(f"x/{usd}", usd_per_million=usd, quality={"open_qa": 0.9}) for usd in (5, 2)]
    weak = make_candidate("x/weak", quality={"open_qa": 0.1})
    decision = route(policy=make_policy(strategy="best"), candidates=[SMALL, *twins, weak])
    assert ranked_names(decision) == ["x/2", "x/5", "x/weak", "sandbox/small"]


def test_best_keeps_to_its_maximum_cost() -> None:
    document = make_document()
    document["default"] |= {"strategy": "best", "cost_usd_max": 0.005}
    signals = make_signals(output_tokens_wanted=250)
    decision = route(signals, compile_document(document), candidates=ALL)
    assert ranked_names(decision) == ["sandbox/small"]
    assert excluded_names(decision) == {"sandbox/middle": "over_max_cost", "sandbox/large": "over_max_cost"}


@pytest.mark.parametrize("named", ["sandbox/large", "large", "smart"])
def test_named_model_is_its_own_only_candidate(named: str) -> None:
    policy = make_policy(["sandbox/small"], aliases={"smart": "sandbox/large"})
    decision = route(make_signals(request_model=named), policy, candidates=ALL)
    assert decision.rule == "named model"
    assert ranked_names(decision) == ["sandbox/large"]
    assert decision.baseline == LARGE


def test_auto_with_a_policy_name_follows_the_rules() -> None:
    assert route(make_signals(request_model="auto/cheap"), candidates=ALL).rule == "default"


def test_bare_name_prefers_the_plan_then_the_tenants_credential_then_the_price() -> None:
    dear = make_candidate("a/m", usd_per_million=9)
    cheap = make_candidate("b/m", usd_per_million=1)
    own = make_candidate("c/m", usd_per_million=20, owner="tenant")
    signals = make_signals(request_model="m")
    assert ranked_names(route(signals, candidates=[dear, cheap, own])) == ["c/m"]
    assert ranked_names(route(signals, candidates=[dear, cheap])) == ["b/m"]
    assert ranked_names(route(signals, candidates=[dear, cheap, own], allowed={"a/m"})) == ["a/m"]


def test_unknown_model_is_told_with_the_nearest_names() -> None:
    with pytest.raises(ModelNotFound) as caught:
        route(make_signals(request_model="sandbox/smal"), candidates=ALL)
    assert caught.value.nearest[0] == "sandbox/small"
    with pytest.raises(ModelNotFound, match="GET /v1/models"):
        route(make_signals(request_model="zzzzzz"), candidates=ALL)


def test_named_model_outside_the_plan_is_refused_with_the_plans_name() -> None:
    with pytest.raises(ModelNotAllowed, match=r"'pro'.*'sandbox/large'"):
        route(make_signals(request_model="large"), candidates=ALL, allowed={"sandbox/small"})


def test_policy_cannot_widen_the_plan() -> None:
    decision = route(policy=make_policy(["sandbox/large", "sandbox/small"]), candidates=ALL, allowed={"sandbox/small"})
    assert ranked_names(decision) == ["sandbox/small"]
    assert excluded_names(decision) == {"sandbox/large": "not_in_plan"}


def test_model_that_no_credential_reaches_is_named_as_not_available() -> None:
    decision = route(policy=make_policy(["openai/gpt-9", "sandbox/small", "anthropic/*"]), candidates=ALL)
    assert excluded_names(decision) == {"openai/gpt-9": "not_available"}


def test_two_credentials_of_one_model_try_the_tenants_first() -> None:
    shared = make_candidate("openai/m", credential=1)
    own = make_candidate("openai/m", credential=2, owner="tenant", usd_per_million=2)
    decision = route(policy=make_policy(["openai/m"]), candidates=[shared, own])
    assert [ranked.candidate for ranked in decision.ranked] == [own]


def test_fallback_keeps_the_credentials_owner_unless_the_policy_says_otherwise() -> None:
    own = make_candidate("openai/m", owner="tenant")
    document = make_document(["openai/m", "sandbox/*"])
    decision = route(policy=compile_document(document), candidates=[*ALL, own])
    assert ranked_names(decision) == ["openai/m"]
    assert set(excluded_names(decision).values()) == {"other_owner"}
    document["default"]["may_change_owner"] = True
    assert len(route(policy=compile_document(document), candidates=[*ALL, own]).ranked) == 4


def test_baseline_is_the_dearest_that_could_have_answered() -> None:
    decision = route(candidates=[*ALL, make_candidate("x/dearer", usd_per_million=50)], allowed={c.name for c in ALL})
    assert decision.baseline == LARGE


def test_refusal_says_why_each_fell() -> None:
    unpriced = make_candidate("x/unpriced", is_priced=False)
    with pytest.raises(NoCandidateLeft) as caught:
        route(policy=make_policy(["*", "openai/gone"]), candidates=[SMALL, unpriced], allowed={"x/unpriced"})
    decision = caught.value.decision
    assert not isinstance(caught.value, OverBudget)
    assert decision.ranked == ()
    assert decision.refusal == str(caught.value)
    assert excluded_names(decision) == {
        "sandbox/small": "not_in_plan",
        "x/unpriced": "unknown_price",
        "openai/gone": "not_available",
    }
    assert all(f"{name}: " in str(caught.value) for name in excluded_names(decision))


def test_no_candidate_at_all_is_refused_in_words() -> None:
    with pytest.raises(NoCandidateLeft, match="Add a credential"):
        route(policy=make_policy(["openai/*"]), candidates=[])


def test_long_refusal_is_bounded() -> None:
    with pytest.raises(NoCandidateLeft, match="and 90 more"):
        route(candidates=[make_candidate(f"x/{number}") for number in range(100)], allowed=set())


def test_same_input_in_any_sequence_gives_the_same_decision() -> None:
    twins = [make_candidate("x/m", credential=number) for number in range(1, 6)]
    first = route(candidates=[*twins, *ALL])
    second = route(candidates=[*reversed(ALL), *reversed(twins)])
    assert first == second


def test_reason_tells_task_rule_and_pick() -> None:
    policy = make_policy(rules=[rule("quick", {"task": "open_qa"}, "sandbox/*")])
    reason = route(policy=policy, candidates=ALL).reason
    assert reason == "task open_qa by the word 'x' → rule 'quick' → first in order of 3: sandbox/small"


@pytest.mark.parametrize(
    "facts",
    [
        {"tags": ("plan:enterprise", "task:open_qa", "sandbox/large", "*")},
        {"metadata": {"plan": "enterprise", "model": "sandbox/large", "task": "open_qa", "candidates": "*"}},
        {"cost_nano_usd_max": 10**18},
        {"no_fallback": True},
    ],
)
def test_headers_and_tags_never_widen(facts: dict[str, Any]) -> None:
    policy = make_policy(["sandbox/*"], rules=[rule("vip", {"plan": "enterprise"}, "openai/*")])
    candidates = [*ALL, make_candidate("openai/secret")]
    allowed = {"sandbox/small", "sandbox/middle"}
    plain = route(policy=policy, candidates=candidates, allowed=allowed)
    hinted = route(make_signals(**facts), policy, candidates=candidates, allowed=allowed)
    assert set(ranked_names(hinted)) <= set(ranked_names(plain))


def test_cost_header_narrows_but_does_not_lift_the_policys_maximum() -> None:
    document = make_document()
    document["default"] |= {"strategy": "best", "cost_usd_max": 0.002}
    policy = compile_document(document)
    for cost_nano_usd_max, most in ((10**12, 2_000_000), (1_500_000, 1_500_000)):
        decision = route(make_signals(cost_nano_usd_max=cost_nano_usd_max), policy, candidates=[SMALL])
        assert decision.ranked[0].bound_nano_usd <= most
