"""Guards and requirements: they hold every rule and every named model, and what is not known is not assured."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing import Assurances, Candidate, Domain, NoCandidateLeft, PolicyInvalid, Region, decision_json
from app.routing.assurance import NOTHING_ASSURED, Requirements
from app.routing.table import COMBINATIONS_MAX, RouteTable
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


def assured(name: str, **assurances: Any) -> Candidate:
    return msgspec.structs.replace(make_candidate(name), assurances=Assurances(**assurances))


EU = assured("x/eu", regions=frozenset({Region.EU}), zero_retention=True)
BOTH = assured("x/both", regions=frozenset({Region.EU, Region.US}), zero_retention=True)
DOCTOR = assured("x/doctor", baa=True, certified_for=frozenset({Domain.MEDICAL}))
PLAIN = make_candidate("x/plain")
ALL = [EU, BOTH, DOCTOR, PLAIN]


def law(**guard: Any) -> dict[str, Any]:
    return {"name": "law", "when": {"domain": "legal"}, **guard}


@pytest.mark.parametrize(
    ("require", "left"),
    [
        ({"regions": ["eu"]}, ["x/eu"]),
        ({"regions": ["eu", "us"]}, ["x/both", "x/eu"]),
        ({"zero_retention": True}, ["x/both", "x/eu"]),
        ({"baa": True}, ["x/doctor"]),
        ({"certified_for": ["medical"]}, ["x/doctor"]),
        ({"zero_retention": True, "regions": ["us", "eu"]}, ["x/both", "x/eu"]),
    ],
)
@pytest.mark.parametrize("by_guard", [False, True])
def test_requirement_leaves_what_assures_it(require: dict[str, Any], left: list[str], by_guard: bool) -> None:
    document = make_document()
    if by_guard:
        document["guards"] = [{"name": "all", "require": require}]
    else:
        document["default"]["require"] = require
    decision = route(policy=compile_document(document), candidates=ALL)
    assert sorted(ranked_names(decision)) == left
    assert set(excluded_names(decision).values()) == {"not_assured"}


def test_requirement_that_nobody_meets_refuses_and_says_why_each_fell() -> None:
    document = make_document(guards=[{"name": "law", "require": {"baa": True, "regions": ["ch"]}}])
    with pytest.raises(NoCandidateLeft) as caught:
        route(policy=compile_document(document), candidates=ALL)
    assert "x/eu: it may process content in eu, and only ch is allowed, as the guard 'law' requires" in str(
        caught.value
    )
    assert "x/plain: where it processes content is not known" in str(caught.value)


def test_guard_holds_whichever_rule_decides_and_whatever_is_named() -> None:
    policy = make_policy(
        ["*"],
        guards=[law(candidates=["x/eu"])],
        rules=[{"name": "cheap", "when": {"tags": "cheap"}, "then": {"candidates": ["*"], "strategy": "cheapest"}}],
        aliases={"fast": "x/plain"},
    )
    for facts in ({}, {"tags": ("cheap",)}, {"request_model": "x/eu"}):
        decision = route(make_signals(domain="legal", **facts), policy, candidates=ALL)
        assert ranked_names(decision) == ["x/eu"]
        assert decision.guards == ("law",)
    for named in ("x/plain", "plain", "fast"):
        with pytest.raises(NoCandidateLeft, match="the guard 'law' does not approve it"):
            route(make_signals(domain="legal", request_model=named), policy, candidates=ALL)
        assert ranked_names(route(make_signals(request_model=named), policy, candidates=ALL)) == ["x/plain"]


def test_guards_that_hold_together_all_hold() -> None:
    policy = make_policy(
        guards=[
            law(candidates=["x/eu", "x/doctor"]),
            {"name": "health", "when": {"sensitivity": "health_data"}, "require": {"baa": True}},
        ]
    )
    legal = make_signals(domain="legal")
    flagged = msgspec.structs.replace(legal, sensitivity=(msgspec.structs.replace(legal.task, value="health_data"),))
    assert ranked_names(route(legal, policy, candidates=ALL)) == ["x/doctor", "x/eu"]
    decision = route(flagged, policy, candidates=ALL)
    assert ranked_names(decision) == ["x/doctor"]
    assert decision.guards == ("law", "health")
    assert "held by 'law' and 'health'" in decision.reason
    assert b'"guards":["law","health"]' in decision_json(decision)


def test_guard_misses_nothing_of_a_long_text() -> None:
    guard = {"name": "patients", "when": {"instruction": "patient"}, "candidates": ["x/doctor"]}
    policy = make_policy(guards=[guard])
    for padding in (10, 100_000):
        prompt = "a" * padding + " the patient " + "b" * padding
        assert ranked_names(route(make_signals(instruction=prompt), policy=policy, candidates=ALL)) == ["x/doctor"]


def test_guards_that_would_read_long_texts_too_often_are_a_problem() -> None:
    guards = [
        {"name": str(number), "when": {"instruction": f"word {number}"}, "candidates": ["x/eu"]} for number in range(21)
    ]
    with pytest.raises(PolicyInvalid, match="look through texts 21 times"):
        compile_document(make_document(guards=guards))


def test_many_guards_do_not_fill_the_memory() -> None:
    names = [f"g{number}" for number in range(8)]
    policy = make_policy(guards=[{"name": name, "when": {"tags": name}, "candidates": ["x/eu"]} for name in names])
    table = RouteTable(policy, tuple(ALL), plan_allows=lambda _: True, plan_id="pro")
    for number in range(256):
        tags = tuple(name for bit, name in enumerate(names) if number >> bit & 1)
        assert table.choose(make_signals(tags=tags)).guards == tags
    assert len(table._remembered) <= COMBINATIONS_MAX


@pytest.mark.parametrize(
    ("guard", "problem"),
    [
        ({"name": "a"}, "guards[0]: holds nothing back"),
        ({"name": "a", "require": {}}, "guards[0].require: requires nothing"),
        ({"name": "a", "require": {"regions": ["mars"]}}, "guards[0].require.regions[0]: must be one of eu"),
        ({"name": "a", "require": {"certified_for": []}}, "guards[0].require.certified_for: is empty"),
        ({"name": "a", "candidates": ["gpt"]}, "guards[0].candidates[0]: 'gpt' is not a model"),
        ({"name": "a", "candidates": ["*"], "when": {"domian": "legal"}}, "guards[0].when.domian: no such field"),
        ({"candidates": ["*"]}, "guards[0].name: is missing"),
    ],
)
def test_what_is_wrong_with_a_guard_is_told(guard: dict[str, Any], problem: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        make_policy(guards=[guard])
    assert any(told.startswith(problem) for told in caught.value.problems)


REGIONS = st.frozensets(st.sampled_from(Region), max_size=3)
ASSURANCES = st.builds(
    Assurances,
    regions=REGIONS,
    zero_retention=st.booleans(),
    baa=st.booleans(),
    certified_for=st.frozensets(st.sampled_from(Domain), max_size=2),
)
REQUIREMENTS = st.builds(
    Requirements,
    regions=REGIONS,
    zero_retention=st.booleans(),
    baa=st.booleans(),
    certified_for=st.frozensets(st.sampled_from(Domain), max_size=2),
)


@given(one=ASSURANCES, other=ASSURANCES, required=REQUIREMENTS)
def test_a_pool_assures_only_what_each_of_it_assures(
    one: Assurances, other: Assurances, required: Requirements
) -> None:
    if required.unmet(one.and_of(other)) is None:
        assert required.unmet(one) is None
        assert required.unmet(other) is None


@given(required=REQUIREMENTS)
def test_what_is_not_known_is_not_assured(required: Requirements) -> None:
    assert (required.unmet(NOTHING_ASSURED) is None) == (required == Requirements())
