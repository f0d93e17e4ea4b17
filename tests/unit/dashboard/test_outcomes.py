"""Outcomes and their classes."""

from billing import Outcome
from dashboard.outcomes import OUTCOMES, OutcomeClass, outcomes_of, words_of


def test_every_outcome_has_a_row() -> None:
    assert set(OUTCOMES) == set(Outcome)


def test_a_class_filters_for_all_its_outcomes_and_a_word_that_is_neither_for_none() -> None:
    assert sorted(sum((outcomes_of(one.value) for one in OutcomeClass), ())) == sorted(Outcome)
    assert outcomes_of("ok") == ("ok",)
    assert outcomes_of("' OR 1=1") == ()


def test_an_outcome_of_a_later_release_counts_as_failed() -> None:
    assert words_of("melted_down").outcome_class is OutcomeClass.FAILED
    assert words_of("ok").label == "ok"
