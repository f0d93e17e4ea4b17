"""Prompts put together from parts: the same each time, and fair to every task."""

from collections import Counter, defaultdict

from app.routing.taxonomy import Domain, Task
from app.training.compose import compose
from app.training.examples import measured, read_examples

COMPOSED = list(compose())


def test_the_same_parts_give_the_same_prompts() -> None:
    assert list(compose()) == COMPOSED


def test_labels_are_known_and_no_slot_is_left_open() -> None:
    for row in COMPOSED:
        assert row.task in set(Task)
        assert row.domain in set(Domain)
        assert "{" not in row.text or "{L}" not in row.text
        assert row.text.strip()


def test_each_language_asks_for_every_task_with_a_passage() -> None:
    tasks = defaultdict(set)
    for row in COMPOSED:
        tasks[row.language].add(row.task)
    asked = {Task.SUMMARIZATION, Task.TRANSLATION, Task.EXTRACTION, Task.CLASSIFICATION, Task.REWRITING, Task.CLOSED_QA}
    assert len(tasks) >= 20
    assert all(asked <= found for found in tasks.values())


def test_no_passage_belongs_to_a_task() -> None:
    beginnings = Counter(task for row in COMPOSED if "common swift" in row.text for task in [row.task])
    assert len(beginnings) >= 5


def test_composed_prompts_are_learnt_and_never_measured() -> None:
    examples = read_examples()
    held_out = measured(examples)
    assert not any(each.is_composed for each in held_out)
    assert len(examples) - len(held_out) > len(COMPOSED)


def test_a_quoted_prompt_is_left_out_with_its_style_and_lends_no_task() -> None:
    examples = read_examples()
    by_text = {each.text: each for each in measured(examples)}
    quotes = [each for each in examples if each.is_composed and each.style != "composed"]
    assert len(quotes) > 500
    for each in quotes:
        inner = [text for text in (each.text.split("\n\n")) if text in by_text]
        assert all(by_text[text].style == each.style and by_text[text].task != each.task for text in inner[:1])
