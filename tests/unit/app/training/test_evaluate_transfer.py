"""Transfer between sets: both ways learn from the same rows, and every part of a set has a task."""

from app.training.evaluate_transfer import TRANSFERS, Transfer, apgr_by_way, lead_by_task, rows_of
from app.training.outcomes import SETS, TASK_OF_SET, Outcome, task_of


def test_every_part_of_every_set_has_a_task() -> None:
    assert TASK_OF_SET[-1][0] == "", "the last row takes what no other does"
    assert task_of("mmlu_pro/math") == "math_reasoning"
    assert task_of("mmlu_pro/law") == "open_qa"
    assert task_of("debugbench/java_triple") == "code_debugging"
    assert len(SETS) == 7


def test_a_table_by_task_gives_an_unseen_task_the_lead_on_all() -> None:
    transfer = Transfer("weak", "strong", "one", "other")
    rows = [Outcome(f"p{n}", "gsm8k/math", "", {"weak": 0.0, "strong": 1.0, "third": 0.0}) for n in range(30)]
    rows += [Outcome(f"q{n}", "mmlu/law", "", {"weak": 1.0, "strong": 1.0}) for n in range(30)]
    rows.append(Outcome("r", "mmlu/law", "", {"weak": 1.0}))
    kept = rows_of(rows, transfer)
    assert len(kept) == 60
    assert all(set(row.scores) == {"weak", "strong"} for row in kept)
    table = lead_by_task(kept, transfer)
    assert table["math_reasoning"] > 0.7 > 0.5 == table["translation"] > 0.3 > table["open_qa"]


def test_a_set_is_never_judged_by_what_learnt_it() -> None:
    names = {each.name for each in SETS}
    assert all(each.learnt != each.judged and {each.learnt, each.judged} <= names for each in TRANSFERS)


def test_what_travels_is_found_to_travel() -> None:
    transfer = Transfer("weak", "strong", "one", "other")

    def rows(name: str) -> list[Outcome]:
        hard = [Outcome(f"prove lemma {n} of {name}", "gsm8k/x", "", {"weak": 0.0, "strong": 1.0}) for n in range(60)]
        easy = [Outcome(f"name city {n} in {name}", "mmlu/law", "", {"weak": 1.0, "strong": 1.0}) for n in range(60)]
        return [row for pair in zip(hard, easy, strict=True) for row in pair]

    figures = apgr_by_way(rows("north"), rows("south"), transfer)
    assert figures["router"].value > 0.7
    assert figures["task"].value > 0.7
