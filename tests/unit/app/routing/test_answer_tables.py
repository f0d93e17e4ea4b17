"""Answer tables as candidates: when they take a request, and that constraints hold for them as far as they apply."""

from typing import Any

import pytest

from app.routing import PolicyInvalid, check_policy
from app.routing.answer_reader import ENTRIES_MAX, TABLES_MAX
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

TABLE = [
    {"name": "hours", "when": {"instruction": "opening hours"}, "say": "From 9 to 17 h."},
    {"name": "any", "when": {"tags": "any"}, "say": "Ask at the desk."},
]
MINE = make_candidate("openai/m", owner="tenant")
SHARED = make_candidate("x/shared")


def make(candidates: list[str], **fields: Any) -> Any:
    return make_policy(candidates, answers={"desk": TABLE}, **fields)


def test_first_entry_that_holds_answers() -> None:
    signals = make_signals(instruction="Your OPENING HOURS?", tags=("any",))
    decision = route(signals, make(["answers/desk", "x/*"]), candidates=[SHARED])
    assert ranked_names(decision) == ["answers/desk", "x/shared"]
    said = decision.ranked[0].answer
    assert said is not None
    assert (said.name, said.text) == ("hours", "From 9 to 17 h.")
    assert decision.ranked[0].bound_nano_usd == 0
    assert decision.ranked[1].answer is None


def test_a_table_without_an_answer_falls() -> None:
    decision = route(policy=make(["answers/desk", "x/*"]), candidates=[SHARED])
    assert ranked_names(decision) == ["x/shared"]
    assert excluded_names(decision) == {"answers/desk": "no_answer"}


def test_a_table_is_in_every_plan_and_changes_no_owner() -> None:
    signals = make_signals(tags=("any",))
    policy = make(["answers/desk", "openai/m", "x/*"])
    decision = route(signals, policy, candidates=[MINE, SHARED], allowed={"openai/m", "x/shared"})
    assert ranked_names(decision) == ["answers/desk", "openai/m"]
    assert excluded_names(decision) == {"x/shared": "other_owner"}
    assert ranked_names(route(signals, make(["answers/desk"]), candidates=[], allowed=set())) == ["answers/desk"]


def test_what_is_required_of_providers_is_not_asked_of_a_table_but_an_approved_list_is() -> None:
    signals = make_signals(tags=("any",))
    required = [{"name": "health", "require": {"regions": ["eu"], "baa": True}}]
    assert ranked_names(route(signals, make(["*"], guards=required), candidates=[SHARED])) == ["answers/desk"]
    listed = [{"name": "health", "candidates": ["x/shared"]}]
    assert ranked_names(route(signals, make(["*"], guards=listed), candidates=[SHARED])) == ["x/shared"]


def test_a_table_answers_within_any_budget() -> None:
    decision = route(make_signals(tags=("any",)), make(["*"]), candidates=[SHARED], headroom=0)
    assert ranked_names(decision) == ["answers/desk"]


def test_a_table_that_is_named_but_not_written_is_told() -> None:
    document = b'{"default": {"candidates": ["answers/desc"], "strategy": "ordered"}, "answers": {"desk": [%s]}}'
    entry = b'{"name": "a", "say": "b"}'
    (problem,) = check_policy(document % entry, ["x/m"])
    assert problem == "default.candidates[0]: 'answers/desc' does not exist; nearest: answers/desk"
    assert check_policy((document % entry).replace(b"desc", b"desk"), ["x/m"]) == ()


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ({"desk": []}, "answers.desk: is empty"),
        ({"de/sk": TABLE}, "answers.de/sk: 'de/sk' cannot be named"),
        ({"desk": [{"name": "a"}]}, "answers.desk[0].say: is missing"),
        ({"desk": [{"name": "a", "say": " "}]}, "answers.desk[0].say: is empty"),
        ({"desk": [TABLE[0], TABLE[0]]}, "answers.desk: 'hours' stands twice"),
        ({"desk": [{"name": "a", "say": "b", "when": {"x": 1}}]}, "answers.desk[0].when.x: no such field"),
        ({"desk": [{"name": str(n), "say": "b"} for n in range(ENTRIES_MAX + 1)]}, "answers.desk: has 201 entries"),
        ({str(n): TABLE for n in range(TABLES_MAX + 1)}, "answers: 51 tables"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(answers: Any, problem: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        compile_document(make_document(answers=answers))
    assert any(told.startswith(problem) for told in caught.value.problems)
