"""What the plans allow and charge."""

import itertools

import pytest

from billing import PLANS, Feature

FREE, PRO, ENTERPRISE = PLANS


@pytest.mark.parametrize(
    "model_name",
    [
        "sandbox/swift-mini",
        "sandbox/steady-base",
        "openai/gpt-4o-mini",
        "anthropic/claude-haiku-4-5",
        "google/gemini-2.5-flash",
    ],
)
def test_free_allows_small_models(model_name: str) -> None:
    assert FREE.allows(model_name)


@pytest.mark.parametrize(
    "model_name",
    [
        "sandbox/deep-large",
        "sandbox/coder-pro",
        "openai/gpt-4o",
        "google/gemini-2.5-pro",
        "anthropic/claude-opus-4-1",
        "openrouter/openai/gpt-4o-mini",
    ],
)
def test_free_refuses_the_others(model_name: str) -> None:
    assert not FREE.allows(model_name)
    assert PRO.allows(model_name)
    assert ENTERPRISE.allows(model_name)


def test_the_rate_is_cost_and_markup_or_our_fee_alone() -> None:
    assert PRO.rate_ppm("platform") == 1_050_000
    assert PRO.rate_ppm("tenant") == 10_000


def test_larger_plans_give_more_for_less_markup() -> None:
    for smaller, larger in itertools.pairwise(PLANS):
        assert larger.requests_per_minute > smaller.requests_per_minute
        assert larger.markup_ppm < smaller.markup_ppm
        assert set(larger.features) > set(smaller.features)
    assert set(ENTERPRISE.features) == set(Feature)
