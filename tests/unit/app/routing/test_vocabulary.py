"""A vocabulary knows what stands in two prompts or more, and reads any text within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from app.routing.vocabulary import HEAD_CHARACTERS, SHAPE_DEVIATIONS_MAX, SHAPE_WEIGHT, TAIL_CHARACTERS, Vocabulary

VOCABULARY = Vocabulary(["The red fox runs.", "the red dog sleeps", "A blue dog sleeps?"])


def test_terms_are_words_marks_and_pairs_that_two_prompts_have() -> None:
    assert len(VOCABULARY.row("the red").terms) == 3
    assert len(VOCABULARY.row("red the").terms) == 2
    assert VOCABULARY.row("fox runs ? .").terms == []


def test_marks_are_words() -> None:
    assert len(Vocabulary(["why?", "how ?"]).row("?").terms) == 1


def test_case_and_white_space_do_not_matter_to_terms() -> None:
    assert VOCABULARY.row("THE   red\n\tDOG").terms == VOCABULARY.row("the red dog").terms


def test_scripts_without_spaces_are_read_by_character() -> None:
    assert len(Vocabulary(["東京へ行く", "東京から来た"]).row("東京").terms) == 3


def test_a_term_counts_once_however_often_it_stands() -> None:
    assert VOCABULARY.row("dog blue dog").terms == VOCABULARY.row("dog").terms


def test_the_same_prompts_give_the_same_rows() -> None:
    prompts = ["one two three", "two three four", "three four five"]
    one, other = Vocabulary(prompts), Vocabulary(prompts)
    assert [one.row(prompt) for prompt in prompts] == [other.row(prompt) for prompt in prompts]


def test_what_stands_between_head_and_tail_is_not_read() -> None:
    head, tail = "x " * (HEAD_CHARACTERS // 2), " y" * (TAIL_CHARACTERS // 2)
    assert VOCABULARY.row(f"{head}the red dog{tail}").terms == []


@given(st.text(max_size=400))
def test_any_text_has_a_row_within_bounds(text: str) -> None:
    row = VOCABULARY.row(text)
    assert row.length > 0
    assert sum(value * value for value in row.shape) <= SHAPE_WEIGHT * SHAPE_DEVIATIONS_MAX**2 + 1e-9
