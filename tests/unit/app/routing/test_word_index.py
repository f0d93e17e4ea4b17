"""The index finds what a plain search finds, no more and no less."""

from hypothesis import given
from hypothesis import strategies as st

from app.routing.keywords import BUILT_IN, Place, needle_of
from app.routing.reading import read_prompt
from app.routing.scoring import hear
from app.routing.word_index import WordIndex

_ALL_WORDS = sorted({word for row in (*BUILT_IN.tasks, *BUILT_IN.domains) for word in row.words})
_PROSE = st.lists(
    st.sampled_from(_ALL_WORDS).map(lambda word: word.removesuffix("*"))
    | st.sampled_from(["the", "a", "of", ",", "\n\n", "?", "please", "ly", "中"])
    | st.text(max_size=6),
    max_size=25,
)


@given(_PROSE.map(" ".join))
def test_index_finds_what_a_search_for_each_word_finds(text: str) -> None:
    reading = read_prompt(text)
    rows = [(number, row.words) for number, row in enumerate(BUILT_IN.tasks)]
    index = WordIndex(of_ask=rows, of_words=rows, of_domains=[])
    of_ask, of_words, _ = index.found_in(ask=reading.ask, words=reading.words, distinct=reading.distinct)
    for found, searched in ((of_ask, reading.ask), (of_words, reading.words)):
        expected = {(row, word) for row, words in rows for word in words if needle_of(word) in searched}
        assert {(row, word) for row, words in found.items() for word in words} == expected


def test_rows_are_found_in_the_order_of_the_text() -> None:
    index = WordIndex(of_ask=[(0, ("late",)), (1, ("early", "soon"))], of_words=[], of_domains=[])
    reading = read_prompt("soon, early or late")
    of_ask, _, _ = index.found_in(ask=reading.ask, words=reading.words, distinct=reading.distinct)
    assert list(of_ask.items()) == [(1, ["soon", "early"]), (0, ["late"])]


@given(_PROSE.map(" ".join))
def test_raw_words_count_wherever_they_stand(text: str) -> None:
    reading = read_prompt(text)
    because = {vote.because for vote in hear(reading).votes}
    for row in BUILT_IN.tasks:
        if row.place is Place.RAW and reading.length <= row.length_max:
            standing = {word for word in row.words if word in reading.raw}
            assert not standing or standing & because
