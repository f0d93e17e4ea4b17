"""Conditions: what holds, what implies what, and that nothing raises."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing.conditions import FIELDS, Situation, compile_condition, implies
from app.routing.policy_reader import read_policy
from tests.unit.app.routing.builders import compile_document, make_document, make_signals


def rule_document(when: Any) -> dict[str, Any]:
    then = {"candidates": ["*"], "strategy": "ordered"}
    return make_document(rules=[{"name": "r", "when": when, "then": then}], keywords={"refund": ["money back"]})


def holds(when: Any, *, plan: str = "pro", **signals: Any) -> bool:
    policy = compile_document(rule_document(when))
    return policy.rules[0].holds(Situation(make_signals(**signals), plan))


@pytest.mark.parametrize(
    ("when", "signals", "expected"),
    [
        ({"task": "open_qa"}, {}, True),
        ({"task": {"in": ["small_talk", "refund"]}}, {"task": "refund"}, True),
        ({"task": "open_qa", "plan": "free"}, {}, False),
        ({"any": [{"plan": "free"}, {"domain": "general"}]}, {}, True),
        ({"not": {"plan": "pro"}}, {}, False),
        ({"all": [{"turns": {">=": 2}}, {"turns": {"<": 5}}]}, {"turns": 5}, False),
        ({"turns": {">=": 2, "<": 5}}, {"turns": 4}, True),
        ({"input_tokens": {">": 249.5}}, {}, True),
        ({"task.confidence": {"<": 0.5}}, {"confidence": 0.4}, True),
        ({"has_tools": True}, {"has_tools": True}, True),
        ({"is_streamed": False}, {"is_streamed": True}, False),
        ({"tags": "beta"}, {"tags": ("alpha", "beta")}, True),
        ({"tags": {"in": ["x", "beta"]}}, {"tags": ("beta",)}, True),
        ({"tags": {"glob": "team-*"}}, {"tags": ("Team-A",)}, True),
        ({"tags": {"glob": "*"}}, {"tags": ()}, False),
        ({"metadata.customer": {"glob": "acme-*"}}, {"metadata": {"customer": "acme-eu"}}, True),
        ({"metadata.customer": "acme"}, {"metadata": {}}, False),
        ({"not": {"metadata.customer": "acme"}}, {"metadata": {}}, True),
        ({"request_model": {"glob": "auto*"}}, {}, True),
        ({"instruction": "invoice"}, {"instruction": "Read this INVOICE"}, True),
        ({"has_session": True}, {"session": "s"}, True),
        ({"has_session": True}, {}, False),
        ({"output_tokens": {"<": 100}}, {"output_tokens_wanted": 50}, True),
        ({"output_tokens": {"<": 100}}, {}, False),
        ({"images": {">": 1}}, {"images": 2}, True),
        ({"language": "de"}, {"metadata": {"language": "de"}}, True),
        ({"language.confidence": {">=": 0.9}}, {"metadata": {"language": "de"}}, True),
        ({"tags": {"contains": "TEAM"}}, {"tags": ("my-team",)}, True),
        ({"system": {"contains": "Legal Counsel"}}, {"system": "You are legal counsel."}, True),
        ({"task": {"is": "Open_QA"}}, {}, None),
    ],
)
def test_condition(when: Any, signals: dict[str, Any], expected: bool | None) -> None:
    if expected is None:
        assert read_policy(json.dumps(rule_document(when)).encode())[1]
    else:
        assert holds(when, **signals) is expected


def test_empty_condition_always_holds() -> None:
    assert holds({})


def test_end_of_a_long_prompt_is_read_and_its_middle_is_not() -> None:
    long = "x" * 40_000
    assert holds({"instruction": "needle"}, instruction=f"{long} needle")
    assert not holds({"instruction": "needle"}, instruction=f"{long} needle {long}")


@pytest.mark.parametrize(
    ("stricter", "wider", "expected"),
    [
        ({"task": "open_qa"}, {"task": {"in": ["open_qa", "closed_qa"]}}, True),
        ({"task": {"in": ["open_qa", "closed_qa"]}}, {"task": "open_qa"}, False),
        ({"task": "open_qa", "plan": "pro"}, {"plan": "pro"}, True),
        ({"turns": {">": 9}}, {"turns": {">": 4}}, True),
        ({"turns": {">": 3}}, {"turns": {">": 4}}, False),
        ({"turns": {"<": 3}}, {"turns": {"<": 4}}, True),
        ({"turns": 3}, {}, True),
        ({"tags": "a"}, {"any": [{"tags": "a"}, {"tags": "b"}]}, True),
        ({"not": {"plan": "pro"}}, {"not": {"plan": "pro"}}, True),
        ({"plan": "pro"}, {"domain": "general"}, False),
    ],
)
def test_implication(stricter: Any, wider: Any, expected: bool) -> None:
    documents = [read_policy(json.dumps(rule_document(when)).encode())[0] for when in (stricter, wider)]
    assert documents[0] is not None
    assert documents[1] is not None
    assert implies(documents[0].rules[0].when, documents[1].rules[0].when) is expected


_WORDS = st.sampled_from(["open_qa", "general", "pro", "auto", "a*", "*b*", "", "Ünï"]) | st.text(max_size=5)
_SCALARS = _WORDS | st.booleans() | st.integers(-5, 9) | st.floats(allow_nan=False, allow_infinity=False)
_FIELDS = st.sampled_from([*FIELDS, "metadata.a", "metadata.", "nonsense"])
_OPERATORS = st.sampled_from(["is", "in", "contains", "glob", "<", "<=", ">", ">=", "~"])
_LEAVES = st.dictionaries(
    _FIELDS, _SCALARS | st.dictionaries(_OPERATORS, _SCALARS | st.lists(_SCALARS, max_size=3), max_size=2), max_size=3
)
_CONDITIONS = st.recursive(
    _LEAVES,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={"all": st.lists(inner, max_size=3), "any": st.lists(inner, max_size=3), "not": inner},
    ),
    max_leaves=8,
)


@given(
    when=_CONDITIONS,
    tags=st.lists(st.text(max_size=4), max_size=3),
    metadata=st.dictionaries(st.sampled_from("ab"), st.text(max_size=4)),
    text=st.text(max_size=30),
    number=st.integers(0, 10**9),
)
def test_reading_and_testing_never_raise(
    when: Any, tags: list[str], metadata: dict[str, str], text: str, number: int
) -> None:
    document, problems = read_policy(json.dumps(rule_document(when)).encode())
    assert (document is None) == bool(problems)
    if document is None:
        return
    signals = make_signals(
        text, instruction=text, system=text, tags=tuple(tags), metadata=metadata, input_tokens_estimate=number
    )
    condition = document.rules[0].when
    assert compile_condition(condition)(Situation(signals, text)) in {True, False}
    assert implies(condition, condition)
