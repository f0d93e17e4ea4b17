"""The table of expected quality: models that were asked different sets meet, and what is not known shrinks."""

import random

import pytest

pytest.importorskip("numpy", reason="`make train` alone installs numpy")

from app.routing.public_quality import GENERAL
from app.training.quality import Cell, fit


def cells(shares: dict[tuple[str, str], float], task: str = "math_reasoning") -> list[Cell]:
    return [Cell(model, f"{name}/{task}", task, share * 100, 100) for (model, name), share in shares.items()]


PRICES = {"small": 0.5, "middle": 2.0, "large": 10.0}


def test_an_easy_set_does_not_make_a_model_good() -> None:
    # `large` was asked the hard set alone, `small` the easy one alone; `middle` ties them together.
    table = fit(cells({
        ("small", "easy"): 0.80, ("middle", "easy"): 0.95, ("middle", "hard"): 0.40, ("large", "hard"): 0.60,
    }), PRICES)  # fmt: skip
    values = {model: table.families[model]["math_reasoning"].value for model in PRICES}
    assert values["large"] > values["middle"] > values["small"]


def test_a_dearer_model_is_expected_to_be_better_where_dearer_ones_were() -> None:
    table = fit(cells({("small", "s"): 0.3, ("middle", "s"): 0.5, ("large", "s"): 0.8}), PRICES)
    assert table.by_price["math_reasoning"].slope > 0
    assert GENERAL in table.by_price


def test_the_same_sets_give_the_same_table() -> None:
    rows = cells({("small", "s"): 0.3, ("middle", "s"): 0.5, ("large", "s"): 0.8})
    shuffled = random.Random(1).sample(rows, len(rows))
    assert fit(rows, PRICES) == fit(sorted(shuffled), PRICES)
