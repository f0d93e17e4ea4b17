"""The simulated models differ in price, speed and skill."""

from uuid import UUID

import pytest

from app.routing.taxonomy import Task
from app.sandbox import SANDBOX_MODELS, sandbox_prices
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
