"""A stored decision read back."""

from typing import Any

from app.routing import Exclusion
from dashboard.decisions import candidate_views, read_decision
from tests.integration.dashboard.builders import a_decision
from tests.unit.dashboard.builders import an_attempt


def fates(*attempts: Any, **fields: Any) -> dict[str, tuple[str, str]]:
    decision = read_decision(a_decision(**fields))
    assert decision is not None
    return {view.candidate.name: (view.fate, view.because) for view in candidate_views(decision, attempts)}


def test_what_served_and_what_was_not_needed_are_told_apart() -> None:
    told = fates(an_attempt(model="gpt-4o-mini"))
    assert told["openai/gpt-4o-mini"] == ("served", "First choice; attempt 1 answered.")
    assert told["openai/gpt-5"] == ("not needed", "An earlier candidate ended the request.")


def test_a_fallback_names_what_failed_before_it() -> None:
    told = fates(
        an_attempt(model="gpt-4o-mini", outcome="upstream_error", error_type="overloaded"),
        an_attempt(model="gpt-5", attempt_number=2),
    )
    assert told["openai/gpt-4o-mini"] == ("upstream error", "Attempt 1 ended: overloaded.")
    assert told["openai/gpt-5"][1] == "Choice 2, after the earlier ones failed; attempt 2 answered."


def test_an_excluded_candidate_keeps_its_reason() -> None:
    assert fates()["anthropic/claude-haiku"] == ("excluded", "the plan Free does not allow it")
    for exclusion in Exclusion:
        candidates = [{"name": "a/b", "rank": None, "excluded": exclusion.value}]
        assert fates(candidates=candidates)["a/b"] == ("excluded", exclusion.value.replace("_", " "))


def test_no_decision_and_an_unknown_form_are_nothing() -> None:
    assert read_decision(None) is None
    assert read_decision({"candidates": "none"}) is None
    assert read_decision([]) is None


def test_fields_of_another_release_are_passed_over() -> None:
    decision = read_decision({"rule": "x", "invented_later": {"a": 1}})
    assert decision is not None
    assert (decision.rule, decision.candidates) == ("x", ())
