"""A router learns which model is good at what, keeps to the best single model without a signal, and is repeatable."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.routing import Router, fit_router

SUMS = ("add", "multiply", "divide", "percent", "total", "remainder")
PLACES = ("paris", "rome", "cairo", "lima", "oslo", "quito")

Outcomes = list[dict[str, float]]


def prompts_of(count: int, seed: int = 0) -> list[str]:
    """Sums at even places, questions about towns at odd ones."""
    chance = random.Random(seed)
    return [
        f"Please {chance.choice(SUMS)} {chance.randrange(90)} and {chance.randrange(90)}."
        if place % 2 == 0
        else f"Who founded {chance.choice(PLACES)}, and when was that?"
        for place in range(count)
    ]


def is_sum(prompt: str) -> bool:
    return prompt.startswith("Please")


def outcomes_of(prompts: list[str], right: Callable[[str, str], float], seed: int = 1) -> Outcomes:
    """Draw what the models `counter` and `reader` reach when `right` is their chance."""
    chance = random.Random(seed)
    return [
        {model: float(chance.random() < right(model, prompt)) for model in ("counter", "reader")} for prompt in prompts
    ]


def specialists(model: str, prompt: str) -> float:
    return 0.9 if is_sum(prompt) == (model == "counter") else 0.3


def equals(model: str, _: str) -> float:
    return 0.8 if model == "counter" else 0.6


def best_of(router: Router, prompt: str) -> str:
    expected = router.expected(prompt)
    return max(expected, key=expected.__getitem__)


def test_specialists_are_told_apart_on_prompts_not_seen() -> None:
    prompts = prompts_of(200)
    router = fit_router(prompts, outcomes_of(prompts, specialists))
    assert best_of(router, "Please divide 91 and 95.") == "counter"
    assert best_of(router, "Who founded oslo, and when was that?") == "reader"


def test_expected_scores_are_near_what_models_reach() -> None:
    prompts = prompts_of(400)
    expected = fit_router(prompts, outcomes_of(prompts, specialists)).expected("Please add 91 and 95.")
    assert expected["counter"] == pytest.approx(0.9, abs=0.12)
    assert expected["reader"] == pytest.approx(0.3, abs=0.12)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_single_model_stays_the_best_without_a_signal(seed: int) -> None:
    prompts = prompts_of(200, seed)
    router = fit_router(prompts, outcomes_of(prompts, equals, seed))
    assert {best_of(router, prompt) for prompt in prompts_of(100, seed + 100)} == {"counter"}


def test_few_prompts_give_the_means() -> None:
    router = fit_router(["a", "b"], [{"x": 1.0, "y": 0.0}, {"x": 0.5, "y": 0.25}])
    assert router.expected("c") == pytest.approx({"x": 0.75, "y": 0.125}, abs=0.002)


def test_a_model_that_was_not_asked_is_judged_by_what_it_answered() -> None:
    prompts = prompts_of(200)
    outcomes = outcomes_of(prompts, specialists)
    for outcome in outcomes[:100]:
        del outcome["reader"]
    router = fit_router(prompts, outcomes)
    assert set(router.expected("Please add 1 and 2.")) == {"counter", "reader"}
    assert best_of(router, "Who founded lima, and when was that?") == "reader"


def test_one_model_has_its_hard_prompts() -> None:
    prompts = prompts_of(200)
    alone = [{"counter": outcome["counter"]} for outcome in outcomes_of(prompts, specialists)]
    router = fit_router(prompts, alone)
    assert (
        router.expected("Please add 1 and 2.")["counter"]
        > router.expected("Who founded rome, and when was that?")["counter"] + 0.2
    )


def test_the_same_outcomes_give_the_same_router() -> None:
    prompts = prompts_of(120)
    outcomes = outcomes_of(prompts, specialists)
    one, other = fit_router(prompts, outcomes), fit_router(prompts, outcomes)
    assert [one.expected(prompt) for prompt in prompts] == [other.expected(prompt) for prompt in prompts]


@pytest.mark.parametrize(("prompts", "outcomes"), [(["a"], []), ([], []), (["a"], [{}])])
def test_nothing_to_learn_from_is_refused(prompts: list[str], outcomes: Outcomes) -> None:
    with pytest.raises(ValueError, match="cannot be learnt from"):
        fit_router(prompts, outcomes)


PROMPTS = prompts_of(80)
ROUTER = fit_router(PROMPTS, outcomes_of(PROMPTS, specialists))


@settings(max_examples=60)
@given(st.text(max_size=300))
def test_any_text_gets_a_score_within_bounds_for_each_model(text: str) -> None:
    expected = ROUTER.expected(text)
    assert set(expected) == {"counter", "reader"}
    assert all(0.0 <= score <= 1.0 for score in expected.values())


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=40), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=60))
def test_any_outcomes_can_be_learnt_from(rows: list[tuple[str, float, float]]) -> None:
    router = fit_router([text for text, *_ in rows], [{"x": x, "y": y} for _, x, y in rows])
    assert all(0.0 <= score <= 1.0 for text, *_ in rows for score in router.expected(text).values())


def test_a_long_prompt_is_read_at_its_ends() -> None:
    middle = "zebra " * 200_000
    assert best_of(ROUTER, f"Please add 1 and 2. {'0 ' * 800}{middle}") == best_of(
        ROUTER, f"Please add 1 and 2. {'0 ' * 800}"
    )
