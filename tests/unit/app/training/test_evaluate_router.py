"""The table of routers is honest: nothing is judged by what was learnt from it, and no order helps."""

import random

import pytest

from app.training.evaluate_router import (
    Judged,
    by_category,
    by_shuffled,
    judge,
    leads_of,
    parts_of,
    picked,
    say_pair,
    say_pool,
)
from app.training.outcomes import Outcome


def outcomes_of(count: int, split: str = "dev") -> list[Outcome]:
    """Half of the prompts are for `weak`, the others for `strong`, and neither is always right."""
    chance = random.Random(5)
    rows = []
    for place in range(count):
        category = "easy" if place % 2 else "hard"
        strong = float(chance.random() < 0.9)
        weak = float(chance.random() < (0.9 if category == "easy" else 0.2))
        rows.append(Outcome(f"{category} question {place}", category, split, {"weak": weak, "strong": strong}))
    return rows


def test_folds_hold_each_prompt_out_once() -> None:
    rows = outcomes_of(53)
    held_out = []
    for learnt, judged in parts_of(rows):
        assert not {row.prompt for row in learnt} & {row.prompt for row in judged}
        held_out += [row.prompt for row in judged]
    assert sorted(held_out) == sorted(row.prompt for row in rows)


def test_a_set_with_a_split_is_judged_by_its_split() -> None:
    dev, test = outcomes_of(20), outcomes_of(10, split="test")
    assert list(parts_of(dev + test)) == [(dev, test)]


def test_a_category_is_shrunk_to_the_mean_of_all() -> None:
    expect = by_category(outcomes_of(400))
    easy, hard, other = (expect(Outcome("", category, "", {}))["weak"] for category in ("easy", "hard", "other"))
    assert hard < other < easy < 0.95


def test_shuffled_outcomes_teach_no_order() -> None:
    rows = outcomes_of(200)
    expect = by_shuffled(rows)
    leads = {round(expect(row)["strong"] - expect(row)["weak"], 6) for row in rows}
    assert len(leads) == 1


def test_leads_are_ranked_within_the_part_that_had_the_same_router() -> None:
    row = Outcome("", "", "", {"weak": 0.0, "strong": 1.0})
    leads = ((0, 0.1), (0, 0.2), (1, 0.8), (1, 0.9), (1, 0.9))
    judged = [Judged(row, part, {"way": {"weak": 0.0, "strong": lead}}) for part, lead in leads]
    assert leads_of(judged, "way", "weak", "strong") == pytest.approx([0, 1 / 2, 0, 1 / 3, 1 / 3])


def test_a_model_that_was_not_asked_is_not_picked() -> None:
    judged = Judged(Outcome("", "", "", {"weak": 0.25}), 0, {"way": {"weak": 0.1, "strong": 0.9}})
    assert picked(judged, "way") == 0.25


def test_the_tables_show_every_way(capsys: pytest.CaptureFixture[str]) -> None:
    judged = list(judge(outcomes_of(160)))
    say_pair(judged, "weak", "strong")
    say_pool(judged)
    printed = capsys.readouterr().out
    for shown in (
        "always weak",
        "oracle",
        "random",
        "length",
        "category",
        "shuffled",
        "router",
        "best single",
        "CPT80",
    ):
        assert shown in printed
