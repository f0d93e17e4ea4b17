"""Concepts: words of many languages that mean the same are one feature."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing.concepts import CONCEPTS, WORDS_KEPT_MAX, concepts_in
from app.routing.reading import read_prompt


def names_in(text: str) -> list[str]:
    return [CONCEPTS[number] for number in concepts_in(read_prompt(text).words.split())]


@pytest.mark.parametrize(
    "text",
    [
        "Summarize", "resume este artículo", "Fasse das zusammen", "résumez", "riassumi", "özetle", "краткое резюме",
        "لخص النص", "הסיכום: סכם", "सारांश लिखो", "tóm tắt giúp mình", "สรุปให้หน่อย", "总结一下", "要約して", "요약해줘",
    ],
)  # fmt: skip
def test_a_summary_is_one_concept_in_every_language(text: str) -> None:
    assert "summarise" in names_in(text)


def test_concepts_come_once_and_in_the_order_of_their_words() -> None:
    assert names_in("write an email, write a poem") == ["write", "email", "poem"]


def test_phrases_need_both_words_side_by_side() -> None:
    assert "weather" in names_in("thời tiết hôm nay")
    assert "weather" not in names_in("thời của tiết")


def test_an_ending_matches_only_where_the_row_allows_it() -> None:
    assert "translate" in names_in("translating")
    assert "poem" not in names_in("poemful")


def test_the_arabic_article_is_left_out() -> None:
    assert "weather" in names_in("الطقس")


def test_korean_has_spaces_and_chinese_has_none() -> None:
    assert names_in("날씨가") == []  # "날씨" stands whole in its row
    assert "weather" in names_in("明天天气怎么样")


@given(st.lists(st.text(min_size=1, max_size=30).filter(lambda word: not word.isspace()), max_size=40))
def test_any_words_give_known_concepts_each_once(words: list[str]) -> None:
    found = concepts_in(words)
    assert len(found) == len(set(found))
    assert all(0 <= number < len(CONCEPTS) for number in found)


def test_memory_of_words_changes_no_answer() -> None:
    before = names_in("translate the weather")
    concepts_in([f"w{number}" for number in range(WORDS_KEPT_MAX + 10)])
    assert names_in("translate the weather") == before
