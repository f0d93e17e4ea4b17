"""The simulated models differ in price, speed and skill."""

from pathlib import Path
from uuid import UUID

import pytest

from app.routing import check_policy
from app.routing.taxonomy import Task
from app.sandbox import PROVIDER_NAMES, SANDBOX_MODELS, sandbox_prices
from billing import Usage

BY_PRICE = ["swift-mini", "steady-base", "coder-pro", "deep-large"]


def test_dearer_models_are_slower_and_more_skilled() -> None:
    rows = [SANDBOX_MODELS[name] for name in BY_PRICE]
    assert list(SANDBOX_MODELS) == BY_PRICE
    assert sorted(rows, key=lambda row: row.output_nano_usd_per_million) == rows
    assert sorted(rows, key=lambda row: -row.tokens_per_s) == rows
    assert rows[-1].skill[""] > rows[0].skill[""]


def test_the_coder_is_best_at_code() -> None:
    best = max(SANDBOX_MODELS.values(), key=lambda row: row.skill["code_generation"])
    assert best.name == "coder-pro"


@pytest.mark.parametrize("name", BY_PRICE)
def test_skills_are_of_known_tasks_and_between_0_and_1(name: str) -> None:
    skill = SANDBOX_MODELS[name].skill
    assert set(skill) - {""} <= set(Task)
    assert all(0 < value < 1 for value in skill.values())


def test_a_million_tokens_cost_what_the_row_says() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    costs = [price.cost_nano_usd(usage) / 10**9 for price in sandbox_prices(UUID(int=1))]
    assert costs == [0.5, 3.0, 7.2, 18.0]


def test_both_providers_offer_the_same_models_at_the_same_prices() -> None:
    one, other = (sandbox_prices(UUID(int=1), provider_name=name) for name in PROVIDER_NAMES)
    assert [price.provider_name for price in (*one, *other)] == ["sandbox"] * 4 + ["sandbox-anthropic"] * 4
    usage = Usage(input_tokens=10_000, output_tokens=1_000, cache_read_input_tokens=1_024)
    assert [price.cost_nano_usd(usage) for price in one] == [price.cost_nano_usd(usage) for price in other]
    assert [price.model for price in one] == [price.model for price in other] == BY_PRICE


def test_the_shipped_policy_stands_on_both_dialects() -> None:
    document = Path("app/sandbox/examples/two_dialects.json").read_bytes()
    names = [f"{provider_name}/{model}" for provider_name in PROVIDER_NAMES for model in SANDBOX_MODELS]
    assert check_policy(document, names) == ()
