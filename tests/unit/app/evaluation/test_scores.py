"""Sums of a run: what counts as wrong, what as failed, and what a paired difference is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evaluation.scores import ALL_TASKS, Graded, by_model_and_task, by_task, compare


def graded(line: int, subject: str, score: float | None, **changes: object) -> Graded:
    values = {"task": "math_reasoning", "model": subject, "cost_nano_usd": 10, "latency_ms": 100, **changes}
    return Graded(line=line, subject=subject, score=score, **values)  # type: ignore[arg-type]  # a builder


def test_a_prompt_without_an_answer_is_failed_and_not_wrong() -> None:
    rows = [graded(1, "a", 1.0), graded(2, "a", None, reason="timeout"), graded(3, "a", 0.0)]
    whole, by_math = by_task(rows)
    assert (whole.task, whole.prompts, whole.failed, whole.accuracy) == (ALL_TASKS, 2, 1, 0.5)
    assert (by_math.prompts, by_math.low < 0.5 < by_math.high) == (2, True)
    (silent,) = by_task([graded(1, "a", None)])[:1]
    assert (silent.accuracy, silent.low, silent.high) == (None, 0.0, 1.0)


def test_amounts_are_sums_and_the_unknown_is_counted() -> None:
    rows = [graded(1, "a", 1.0), graded(2, "a", None, cost_nano_usd=None), graded(3, "a", 0.5, latency_ms=300)]
    whole = by_task(rows)[0]
    assert (whole.cost_nano_usd, whole.unknown_cost_count, whole.latency_ms_p50, whole.latency_ms_p95) == (
        20, 1, 100, 300,
    )  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from("mn"),
                          st.one_of(st.none(), st.floats(0, 1)))))  # fmt: skip
def test_what_is_stored_adds_up_to_what_is_shown(rows: list[tuple[str, str, str, float | None]]) -> None:
    all_rows = [graded(n, s, score, task=t, model=m) for n, (s, t, m, score) in enumerate(rows)]
    stored, shown = by_model_and_task(all_rows), [each for each in by_task(all_rows) if each.task == ALL_TASKS]
    assert sum(each.prompts for each in stored) == sum(each.prompts for each in shown)
    assert sum(each.failed for each in stored) == sum(each.failed for each in shown)
    assert sum(each.cost_nano_usd for each in stored) == 10 * len(rows)
    assert sum(each.reached for each in stored) == pytest.approx(sum(each.reached for each in shown))


def test_two_are_compared_on_the_prompts_that_both_answered() -> None:
    rows = [
        *(graded(n, "a", float(n % 4 > 0)) for n in range(40)),
        *(graded(n, "b", float(n % 4 > 1), cost_nano_usd=4, latency_ms=70) for n in range(40)),
        graded(40, "a", 1.0), graded(41, "b", 1.0), graded(42, "a", None), graded(42, "b", 1.0),
    ]  # fmt: skip
    whole = compare(rows, "a", "b")[0]
    assert (whole.pairs, whole.better, whole.worse, whole.cost_nano_usd, whole.latency_ms_p50) == (40, 10, 0, 240, 30)
    assert whole.accuracy.value == pytest.approx(0.25)
    assert 0 < whole.accuracy.low < 0.25 < whole.accuracy.high < 0.5
    assert whole == compare(rows, "a", "b")[0], "the same run gives the same interval"


def test_what_shares_no_prompt_is_not_compared() -> None:
    assert compare([graded(1, "a", 1.0), graded(2, "b", 1.0)], "a", "b") == ()
