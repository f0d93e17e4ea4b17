"""A message that follows another keeps its conversation's task, and one that stands by itself does not."""

import pytest

from app.routing import Signals, classify
from app.routing.keywords import keywords_of
from tests.unit.app.routing.builders import make_facts

TRANSLATE = "Translate the following sentence to German: the train leaves at nine in the morning."
CODE = "Write a Python function that merges two sorted lists and returns a new list."


def signals_after(last: str, *earlier: str, **facts: object) -> Signals:
    return classify(make_facts(last, earlier=earlier, turns=1 + len(earlier), **facts))


@pytest.mark.parametrize(
    "last",
    [
        "and in French?",
        "und auf Französisch?",
        "et en italien ?",
        "¿y en español?",
        "а по-польски?",
        "那法语呢？",
        "continue",
        "why?",
    ],
)
def test_follow_up_keeps_the_conversations_task(last: str) -> None:
    task = signals_after(last, CODE).task
    assert task.value == "code_generation"
    assert task.because.startswith("the request before, which this one follows")
    assert signals_after(last, CODE).domain.value == "software"


@pytest.mark.parametrize(
    ("last", "task"), [("thanks!", "small_talk"), (TRANSLATE, "translation"), (TRANSLATE * 3, "translation")]
)
def test_message_that_stands_by_itself_has_its_own_task(last: str, task: str) -> None:
    assert signals_after(last, CODE).task == classify(make_facts(last)).task
    assert signals_after(last, CODE).task.value == task


def test_follow_ups_of_follow_ups_reach_back_to_the_request() -> None:
    assert signals_after("and now?", "and in Rust?", "again", CODE).task.value == "code_generation"


def test_follow_up_is_less_sure_than_what_it_follows() -> None:
    assert signals_after("and in Rust?", CODE).task.confidence < classify(make_facts(CODE)).task.confidence


def test_tag_and_keyword_go_before_the_conversation() -> None:
    assert signals_after("and in French?", CODE, metadata={"task": "planning"}).task.decided_by == "tag"
    facts = make_facts("and my money back?", earlier=(CODE,), turns=2)
    assert classify(facts, keywords=keywords_of({"refund": ["money back"]})).task.value == "refund"


def test_keyword_of_the_earlier_request_is_kept() -> None:
    facts = make_facts("and for May?", earlier=("I want my money back for April",), turns=2)
    assert classify(facts, keywords=keywords_of({"refund": ["money back"]})).task.value == "refund"
