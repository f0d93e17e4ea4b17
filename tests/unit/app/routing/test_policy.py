"""Policy documents: what compiles, and every problem with its path."""

import json
from typing import Any

import pytest

from app.routing import PolicyInvalid, check_policy, compile_policy, load_default_policy
from app.routing.condition_reader import CONDITION_DEPTH_MAX, CONDITION_NODES_MAX, SEARCHES_MAX
from app.routing.policy_reader import PROBLEMS_MAX, RULES_MAX
from app.routing.policy_text import DOCUMENT_BYTES_MAX
from tests.unit.app.routing.builders import make_candidate, make_document, make_signals, ranked_names, route

SANDBOX = ("swift-mini", "steady-base", "coder-pro", "deep-large")
THEN = {"candidates": ["*"], "strategy": "ordered"}


def problems_of(document: Any) -> tuple[str, ...]:
    written = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(PolicyInvalid) as caught:
        compile_policy(written)
    return caught.value.problems


def rule(name: str = "r", when: Any = None, **then: Any) -> dict[str, Any]:
    document = {"name": name, "then": {**THEN, **then}}
    return document if when is None else {**document, "when": when}


def test_policy_written_by_hand_compiles() -> None:
    document = b"""{
      "rules": [{"name": "support to the small model",
                 "when": {"task": {"in": ["customer_support", "small_talk"]}},
                 "then": {"candidates": ["sandbox/swift-mini"], "strategy": "ordered"}}],
      "default": {"candidates": ["*"], "strategy": "cheapest"}
    }"""
    policy = compile_policy(document, name="support", version=7)
    assert (policy.name, policy.version, policy.rules[0].name) == ("support", 7, "support to the small model")


def test_every_problem_is_told_at_once_with_its_path() -> None:
    document = {
        "rulez": [],
        "name": 5,
        "aliases": {"auto": "sandbox/a", "fast": "swift"},
        "keywords": {"refund": ["money back", "money back", "*"]},
        "rules": [
            {"name": "a", "when": {"task": "code_gen", "foo": 1}, "then": {"candidates": [], "strategy": "quickest"}},
            {"name": "a", "whn": {}, "then": {**THEN, "quality_per_usd": 1, "candidates": ["x/a", "gpt-5", "x/a"]}},
            {"when": {"turns": {"<": "two"}, "has_tools": {"in": [True]}}},
        ],
    }
    paths = {problem.split(":")[0] for problem in problems_of(document)}
    assert paths == {
        "rulez",
        "name",
        "aliases.auto",
        "aliases.fast",
        "keywords.refund",
        "keywords.refund[2]",
        "rules[0].when.task.is",
        "rules[0].when.foo",
        "rules[0].then.candidates",
        "rules[0].then.strategy",
        "rules[1].name",
        "rules[1].whn",
        "rules[1].then.candidates",
        "rules[1].then.candidates[1]",
        "rules[1].then.quality_per_usd",
        "rules[2].name",
        "rules[2].then",
        "rules[2].when.turns.<",
        "rules[2].when.has_tools.in",
        "default",
    }


def test_misspelt_names_get_the_nearest() -> None:
    problems = problems_of(make_document(rules=[rule(when={"task": "code_generatoin", "has_tool": True})], rulez=1))
    assert any("did you mean 'code_generation'?" in problem for problem in problems)
    assert any("did you mean 'has_tools'?" in problem for problem in problems)
    assert any("did you mean 'rules'?" in problem for problem in problems)


@pytest.mark.parametrize(
    ("written", "part"),
    [
        (b"{", "not JSON"),
        (b"\xff{}", "not"),
        (b"[]", "must be an object, not a list"),
        (b'{"default": NaN}', "NaN"),
        (b"[" * 200_000, "nested too deep"),
        (b" " * (DOCUMENT_BYTES_MAX + 1), "bytes"),
        (b'{"default": {"candidates": ["*"], "strategy": "ordered"}, "default": 1}', "stands twice"),
        (b'{"default": {"candidates": ["*"], "strategy": "best", "cost_usd_max": 1e999}}', "between"),
        (b'{"default": {"candidates": ["*"], "strategy": "best", "cost_usd_max": ' + b"9" * 9_000 + b"}}", "digits"),
    ],
)
def test_what_is_not_a_document_is_told(written: bytes, part: str) -> None:
    assert any(part in problem for problem in problems_of(written))


def test_tenants_own_task_may_be_routed_by() -> None:
    document = make_document(keywords={"refund": ["money back"]}, rules=[rule(when={"task": "refund"})])
    assert compile_policy(json.dumps(document).encode()).keywords[0].task == "refund"


def test_a_task_may_be_declared_without_words_because_examples_tell_it() -> None:
    document = make_document(keywords={"refund": []}, rules=[rule(when={"task": "refund"})])
    assert compile_policy(json.dumps(document).encode()).rules[0].name == "r"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (None, {"plan": "pro"}),
        ({"plan": "pro"}, {"plan": "pro"}),
        ({"task": {"in": ["open_qa", "closed_qa"]}}, {"task": "open_qa", "has_tools": True}),
        ({"input_tokens": {">": 10}}, {"input_tokens": {">": 20}}),
    ],
)
def test_unreachable_rule_is_told(first: Any, second: Any) -> None:
    (problem,) = problems_of(make_document(rules=[rule("one", first), rule("two", second)]))
    assert problem == "rules[1]: never reached: rules[0] 'one' takes every request first"


def test_conditions_are_bounded_in_number_and_depth() -> None:
    parts = [{"turns": number} for number in range(CONDITION_NODES_MAX)]
    one_rule = make_document(rules=[rule(when={"any": parts})])
    assert any(f"may have {CONDITION_NODES_MAX}" in problem for problem in problems_of(one_rule))
    deep: Any = {"plan": "pro"}
    for _ in range(CONDITION_DEPTH_MAX):
        deep = {"not": deep}
    assert any("deeper" in problem for problem in problems_of(make_document(rules=[rule(when=deep)])))


def test_rules_are_bounded_in_number() -> None:
    rules = [rule(str(number), {"turns": number}) for number in range(RULES_MAX + 1)]
    assert problems_of(make_document(rules=rules)) == (f"rules: has 201 rules; at most {RULES_MAX} are allowed",)


def test_number_of_problems_is_bounded() -> None:
    assert len(problems_of({f"key{number}": 1 for number in range(500)})) == PROBLEMS_MAX


def test_check_names_models_that_do_not_exist_with_the_nearest() -> None:
    document = make_document(
        ["*"],
        aliases={"smart": "openai/gpt-9"},
        rules=[
            rule("a", {"plan": "pro"}, candidates=["openai/gpt-5", "openai/gpt-9", "mistral/*"]),
            rule("b", {"plan": "free"}, candidates=["mistral/*"]),
        ],
    )
    assert check_policy(json.dumps(document).encode(), ["openai/gpt-5", "openai/gpt-4"]) == (
        "aliases.smart: 'openai/gpt-9' does not exist; nearest: openai/gpt-5, openai/gpt-4",
        "rules[0].then.candidates[1]: 'openai/gpt-9' does not exist; nearest: openai/gpt-5, openai/gpt-4",
        "rules[1].then.candidates: mistral/* match no model that exists",
    )


def test_check_tells_a_documents_own_problems_first() -> None:
    assert check_policy(b"{}", ["openai/gpt-5"]) == ("default: is missing",)


def test_default_policy_holds_over_the_sandbox_alone() -> None:
    assert check_policy(load_default_policy(), [f"sandbox/{model}" for model in SANDBOX]) == ()


@pytest.mark.parametrize(
    ("task", "first"),
    [
        ("code_debugging", "sandbox/coder-pro"),
        ("math_reasoning", "sandbox/deep-large"),
        ("small_talk", "sandbox/swift-mini"),
        ("open_qa", "sandbox/steady-base"),
    ],
)
def test_default_policy_sends_each_task_to_its_model_and_falls_back_to_all(task: str, first: str) -> None:
    policy = compile_policy(load_default_policy())
    candidates = [make_candidate(f"sandbox/{model}") for model in SANDBOX]
    names = ranked_names(route(make_signals(task), policy, candidates=candidates))
    assert names[0] == first
    assert len(names) == len(SANDBOX)


def test_default_policy_serves_a_tenant_with_one_unheard_of_vendor() -> None:
    policy = compile_policy(load_default_policy())
    for task in ("code_generation", "planning", "translation", "marketing_copy", "open_qa"):
        decision = route(make_signals(task), policy, candidates=[make_candidate("newcomer/model")])
        assert ranked_names(decision) == ["newcomer/model"]


@pytest.mark.parametrize(
    ("choice", "problem"),
    [
        ({"strategy": "weighted"}, "default.weights: is missing"),
        ({"strategy": "weighted", "weights": {}}, "default.weights: is empty"),
        ({"strategy": "weighted", "weights": {"y/*": 1}}, "default.weights.y/*: is not among the candidates"),
        ({"strategy": "weighted", "weights": {"*": 1.5}}, "default.weights.*: must be a whole number"),
        ({"strategy": "weighted", "weights": {"*": 0}}, "default.weights.*: must lie between"),
        ({"strategy": "ordered", "weights": {"*": 1}}, "default.weights: goes with the strategy 'weighted'"),
        ({"strategy": "balanced"}, "default: 'balanced' weighs quality against something"),
        ({"strategy": "best", "quality_per_second": 1}, "default.quality_per_second: goes with the strategy"),
        ({"strategy": "fastest", "latency_ms_max": 0}, "default.latency_ms_max: must lie between"),
    ],
)
def test_what_a_strategy_needs_and_does_not_take_is_told(choice: dict[str, Any], problem: str) -> None:
    document = {"default": {"candidates": ["*"], **choice}}
    assert any(told.startswith(problem) for told in problems_of(document))


@pytest.mark.parametrize(
    ("when", "count"),
    [
        ({"instruction": "word"}, SEARCHES_MAX),
        ({"tags": {"glob": "team-*"}}, SEARCHES_MAX),
        ({"system": {"glob": "*a*b*"}}, SEARCHES_MAX // 3),
    ],
)
def test_searches_of_long_texts_are_bounded_in_number(when: Any, count: int) -> None:
    def document(number: int) -> dict[str, Any]:
        then = {"candidates": ["*"], "strategy": "ordered"}
        return make_document(rules=[{"name": "r", "when": {"any": [when] * number}, "then": then}])

    compile_policy(json.dumps(document(count)).encode())
    (problem,) = problems_of(document(count + 1))
    assert f"a policy may do so {SEARCHES_MAX} times" in problem
