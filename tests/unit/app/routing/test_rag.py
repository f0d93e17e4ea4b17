"""The part that a request plays in retrieval-augmented generation."""

import pytest

from app.routing import Evidence, classify
from tests.unit.app.routing.builders import make_facts

PASSAGE = "Paris is the capital of France. It lies on the Seine, has twenty districts and two million people. " * 3


def rag_of(text: str, **facts: object) -> Evidence:
    return classify(make_facts(text, **facts)).rag


@pytest.mark.parametrize(
    "text",
    [
        f"Context:\n{PASSAGE}\n\nQuestion: What is the capital?",
        f"Answer from the passages only.\n[1] {PASSAGE}\n[2] {PASSAGE}\nWhich river?",
        f"<documents><document>{PASSAGE}</document></documents> Welcher Fluss?",
        f"Kontext: {PASSAGE} Frage: Welcher Fluss?",
        f"已知信息：{PASSAGE}问题：哪条河？",
    ],
)
def test_passages_and_a_question_are_an_answer(text: str) -> None:
    assert rag_of(text).value == "answer"
    assert rag_of(text).confidence >= 0.5


def test_passages_may_stand_in_the_system_prompt() -> None:
    assert rag_of("Which river?", system=f"Use the search results:\n{PASSAGE}").value == "answer"


@pytest.mark.parametrize(
    "text",
    [
        "Given the chat history, rewrite the question as a standalone question: and in 2019?",
        "Write three search queries for: best hiking boots",
        "Rerank these by relevance to the query.",
        "Formuliere eine Suchanfrage zu: Wanderschuhe im Test",
        "为这个问题生成三个搜索关键词",
    ],
)
def test_what_asks_for_a_search_is_retrieval(text: str) -> None:
    assert rag_of(text).value == "retrieval"


@pytest.mark.parametrize("text", ["hi", "Write a poem about a document.", "What is the capital of France?", PASSAGE])
def test_other_requests_play_no_part(text: str) -> None:
    assert rag_of(text).value == "none"
