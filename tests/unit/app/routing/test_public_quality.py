"""What ships with the program about models: names that meet, figures in order, and a price when there is nothing."""

import pytest

from app.routing.model_family import family_of
from app.routing.public_quality import ARTIFACT, GENERAL, load_public_quality, measured_beliefs, price_beliefs
from app.routing.taxonomy import Task

ARTIFACT_BYTES_MAX = 1_000_000


@pytest.mark.parametrize(
    ("names", "family"),
    [
        (
            (
                "Meta-Llama-3.1-8B-Instruct-Turbo",
                "meta-llama/llama-3.1-8b-instruct",
                "llama-3.1-8b-instant",
                "accounts/fireworks/models/llama-v3p1-8b-instruct",
            ),
            "llama-3.1-8b",
        ),
        (("gpt-4o-2024-08-06", "openai/gpt-4o"), "gpt-4o"),
        (("gpt-4o-mini-2024-07-18",), "gpt-4o-mini"),
        (("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"), "claude-3-5-haiku"),
        (("gemini-1.5-pro-002", "gemini-pro-1.5"), "gemini-1.5-pro"),
        (("mixtral-8x7b-32768", "Mixtral-8x7B-Instruct-v0.1"), "mixtral-8x7b"),
        (("gemma2-9b-it", "gemma-2-9b-it"), "gemma-2-9b"),
    ],
)
def test_one_model_has_one_name(names: tuple[str, ...], family: str) -> None:
    assert {family_of(name) for name in names} == {family}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gemini-2.5-flash", "gemini-2.5-flash-lite"),
        ("qwen2.5-7b-instruct", "qwen2.5-7b-instruct-gptq-int4"),
        ("llama-3.1-70b", "llama-3.3-70b"),
        ("grok-4-fast-reasoning", "grok-4-fast-non-reasoning"),
        ("o1", "o1-pro"),
    ],
)
def test_models_that_differ_keep_two_names(one: str, other: str) -> None:
    assert family_of(one) != family_of(other)


def test_the_table_is_small_and_says_where_it_comes_from() -> None:
    assert ARTIFACT.stat().st_size < ARTIFACT_BYTES_MAX
    table = load_public_quality()
    assert "RouteLLM" in table.source
    assert len(table.families) > 40
    known = {GENERAL, *Task}
    for beliefs in table.families.values():
        assert GENERAL in beliefs
        assert set(beliefs) <= known
        assert all(0 < each.value < 1 and 1 <= each.weight <= 30 for each in beliefs.values())


def test_the_table_orders_models_as_their_outcomes_do_whatever_sets_asked_them() -> None:
    def math(model: str) -> float:
        beliefs = measured_beliefs(model)
        assert beliefs is not None
        return beliefs["math_reasoning"].value

    # mixtral and gpt-4-turbo share no set with o1-mini or gpt-4o; gsm8k is far easier than MATH.
    assert math("o1-mini") > math("gpt-4o") > math("gpt-4o-mini") > math("gpt-4-1106-preview") > math("mixtral-8x7b")
    assert math("llama-3.1-70b") > math("llama-3.1-8b") > math("mistral-7b")


def test_a_dearer_model_is_believed_to_be_better_and_never_for_sure() -> None:
    cheap, dear = price_beliefs(400_000_000), price_beliefs(15_000_000_000)
    for task, belief in dear.items():
        assert belief.value > cheap[task].value
        assert belief.weight < 13, "a price is worth few prompts"
    assert measured_beliefs("gpt-9-imagined") is None
