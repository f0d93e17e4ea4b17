"""Outcome sets are named so that every pair stands in its pool."""

from app.training.outcomes import FOLDER, SETS


def test_the_sets_lie_beside_the_project() -> None:
    assert FOLDER.parts[-3:] == ("shared", "data", "router_outcomes")


def test_each_set_and_each_pair_is_named_once() -> None:
    names = [outcome_set.name for outcome_set in SETS]
    files = [name for outcome_set in SETS for name in outcome_set.files]
    assert len(set(names)) == len(names)
    assert len(set(files)) == len(files)
    assert all(weak != strong for outcome_set in SETS for weak, strong in outcome_set.pairs)
    assert not any(outcome_set.models_missing & set(pair) for outcome_set in SETS for pair in outcome_set.pairs)
