"""A stored decision read back."""

from typing import Any

import msgspec
from hypothesis import given

from app.routing import Candidate, Exclusion, NoCandidateLeft, decision_record, explain_record
from dashboard.decisions import candidate_views, read_decision
from tests.integration.dashboard.builders import a_decision
from tests.unit.app.routing.builders import compile_document, route
from tests.unit.app.routing.test_decisions_hold import CANDIDATES, CAPS, CHOICES, SIGNALS
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


def test_signals_that_were_not_looked_at_are_none() -> None:
    decision = read_decision({"sensitivity": None, "complexity": None, "rag": None})
    assert decision is not None
    assert decision.sensitivity is None


def test_fields_of_another_release_are_passed_over() -> None:
    decision = read_decision({"rule": "x", "invented_later": {"a": 1}})
    assert decision is not None
    assert (decision.rule, decision.candidates) == ("x", ())


@given(signals=SIGNALS, default=CHOICES, candidates=CANDIDATES, headroom=CAPS)
def test_columns_read_as_the_objects_that_are_shown(
    signals: Any, default: dict[str, Any], candidates: list[Candidate], headroom: int | None
) -> None:
    try:
        routed = route(signals, compile_document({"default": default}), candidates=candidates, headroom=headroom)
    except NoCandidateLeft as error:
        routed = error.decision
    record = decision_record(routed)
    kept, shown = (read_decision(msgspec.json.decode(form)) for form in (record, explain_record(record)))
    assert kept is not None
    assert shown is not None
    views = [(view.candidate, view.fate, view.because) for view in candidate_views(shown, [])]
    kept_views = [(view.candidate, view.fate, view.because) for view in candidate_views(kept, [])]
    assert sorted(kept_views, key=repr) == sorted(views, key=repr)
    assert [each for each, *_ in kept_views if each.rank] == [each for each, *_ in views if each.rank]


def test_a_column_may_be_one_value_and_rows_may_be_missing() -> None:
    columns = {"name": ["a/b", "c/d"], "order": [1], "excluded": [["over_budget", "too dear", [0], 7]], "score": 0.5}
    decision = read_decision({"candidates": columns})
    assert decision is not None
    first, second = (view.candidate for view in candidate_views(decision, []))
    assert (first.name, first.rank, first.bound_nano_usd) == ("c/d", 1, None)
    assert (second.name, second.excluded, second.detail, second.bound_nano_usd) == ("a/b", "over_budget", "too dear", 7)
