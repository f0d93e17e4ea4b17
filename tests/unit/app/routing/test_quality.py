"""Expected quality: the belief without evidence, the evidence when there is much of it, and levels in between."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing.public_quality import Belief
from app.routing.quality import Evidence, Prior, QualitySource, estimate, expected, levels_of

MATH, CODE = "math_reasoning", "code_generation"


def prior(value: float = 0.6, weight: float = 10.0, **beliefs: Belief) -> Prior:
    return Prior(QualitySource.PUBLIC, {"": Belief(value, weight), **beliefs})


def evaluated(share: float, prompts: float, task: str = MATH) -> Evidence:
    return Evidence(task=task, source=QualitySource.EVALUATION, prompts=prompts, reached=share * prompts)


def test_without_evidence_the_belief_stands_and_is_one_object_for_all() -> None:
    one = prior(**{CODE: Belief(0.9, 30.0)})
    assert expected(one, (), {}) == {"": 0.6, CODE: 0.9}
    assert expected(one, (), {}) is expected(one, (), {})


def test_evidence_on_one_task_leaves_the_others_alone() -> None:
    moved = expected(prior(), [evaluated(1.0, 90)], {})
    assert moved[""] == 0.6
    assert moved[MATH] == pytest.approx((0.6 * 10 + 90) / 100)


@given(share=st.floats(0, 1), weight=st.floats(1, 30), value=st.floats(0.01, 0.99))
def test_much_evidence_wins_over_any_belief(share: float, weight: float, value: float) -> None:
    found = expected(prior(value, weight), [evaluated(share, 1e6)], {})
    assert found[MATH] == pytest.approx(share, abs=1e-3)


@given(prompts=st.integers(1, 500), better=st.floats(0.5, 1), worse=st.floats(0, 0.49))
def test_of_two_models_believed_alike_the_one_that_did_better_is_ahead(
    prompts: int, better: float, worse: float
) -> None:
    measured = {"a": (evaluated(better, prompts),), "b": (evaluated(worse, prompts),)}
    levels = levels_of({"a": prior(), "b": prior()}, measured)
    assert expected(prior(), measured["a"], levels)[MATH] >= expected(prior(), measured["b"], levels)[MATH]


def test_easy_prompts_lift_the_models_that_were_not_asked() -> None:
    priors = {"asked": prior(0.5), "unasked": prior(0.7)}
    levels = levels_of(priors, {"asked": (evaluated(0.95, 400),)})
    unasked = expected(priors["unasked"], (), levels)
    assert unasked[MATH] > 0.95, "it was believed better than one that reaches 0.95 here"
    assert unasked[""] == 0.7, "the level is that of the task"


def test_a_little_evidence_moves_the_level_a_little() -> None:
    priors = {"asked": prior(0.5), "unasked": prior(0.7)}
    few, many = (levels_of(priors, {"asked": (evaluated(0.9, prompts),)})[MATH] for prompts in (2, 200))
    assert 0 < few < many / 5


def test_evidence_about_a_model_that_is_gone_counts_for_nothing() -> None:
    assert levels_of({"here": prior()}, {"gone": (evaluated(0.1, 1_000),)}) == {}


def test_a_task_of_the_tenants_own_starts_from_the_general_belief() -> None:
    found = expected(prior(0.6), [evaluated(0.9, 10, task="triage")], {})
    assert found["triage"] == pytest.approx(0.75)


def test_nothing_known_stays_unknown_and_a_few_prompts_make_it_known() -> None:
    nothing = Prior(QualitySource.NONE, {})
    assert expected(nothing, (), {}) == {}
    assert expected(nothing, (), {MATH: 0.5}) == {}, "others' level does not tell of a model that nobody knows"
    assert expected(nothing, [evaluated(1.0, 8)], {}) == {MATH: pytest.approx(0.9)}


@given(
    value=st.floats(0.01, 0.99), weight=st.floats(1, 30), share=st.floats(0, 1), prompts=st.floats(0, 1e4),
    level=st.floats(-3, 3),
)  # fmt: skip
def test_an_estimate_lies_in_its_interval_which_narrows_with_evidence(
    value: float, weight: float, share: float, prompts: float, level: float
) -> None:
    evidence = [evaluated(share, prompts)]
    found = estimate(prior(value, weight), evidence, {MATH: level}, MATH)
    assert 0 <= found.low <= found.value + 1e-3
    assert found.value - 1e-3 <= found.high <= 1
    assert found.high - found.low <= 2 * 0.981 / (weight + prompts + 3.841) ** 0.5 + 2e-3


@pytest.mark.parametrize(
    ("evidence", "source"),
    [
        ({}, QualitySource.PUBLIC),
        ({QualitySource.EVALUATION: 9}, QualitySource.PUBLIC),
        ({QualitySource.EVALUATION: 11}, QualitySource.EVALUATION),
        ({QualitySource.EVALUATION: 4, QualitySource.FEEDBACK: 8}, QualitySource.FEEDBACK),
    ],
)
def test_the_source_is_what_weighs_most(evidence: Mapping[QualitySource, float], source: QualitySource) -> None:
    rows = [Evidence(task=MATH, source=each, prompts=n, reached=n) for each, n in evidence.items()]
    assert estimate(prior(), rows, {}, MATH).source is source


@given(levels=st.dictionaries(st.sampled_from([MATH, CODE]), st.floats(-2, 2)))
def test_the_table_and_the_request_path_agree(levels: Mapping[str, float]) -> None:
    one, evidence = prior(**{CODE: Belief(0.8, 5.0)}), [evaluated(0.3, 40)]
    for task, value in expected(one, evidence, levels).items():
        assert estimate(one, evidence, levels, task).value == value
