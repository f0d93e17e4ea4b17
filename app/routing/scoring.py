"""Built-in rules: words and structure vote for tasks. Called by `classify` when nobody said the task.

A learned classifier will stand beside `hear` and answer in the same way. Invariant: a row counts once,
however many of its words stand.
"""

import re
from typing import Final

import msgspec

from app.routing.keywords import BUILT_IN, Place, needle_of
from app.routing.reading import SYMBOLS, Reading
from app.routing.taxonomy import Domain, Task
from app.routing.word_index import Found, WordIndex

PASSAGE_CHARACTERS: Final = 120  # a question with more than this after it comes with its passage
LONG_QUESTION_CHARACTERS: Final = 350
BARE_QUESTION_CHARACTERS: Final = 250
WORD_PROBLEM_CHARACTERS: Final = 900
WORD_PROBLEM_NUMBERS_MIN: Final = 2
ITEM_LIST_CHARACTERS: Final = 300
ITEM_LIST_COMMAS_MIN: Final = 3
POLITE_WORDS_MAX: Final = 4

_POLITE: Final = (
    " please ",
    " can you ",
    " could you ",
    " would you ",
    " will you ",
    " kindly ",
    " i want you to ",
    " i need you to ",
    " i would like you to ",
    " i d like you to ",
    " help me ",
    " help ",
    " just ",
    " now ",
    " ok ",
    " okay ",
    " so ",
    " and ",
    " go ahead and ",
)
_QUESTION_WORDS: Final = tuple(f" {word} " for word in ("what", "who", "when", "where", "which", "why", "how"))
_NUMBER: Final = re.compile(r"\d+")
_CODE_MARKS: Final = ("def ", "return ", "();", "){", ") {", "};", "#include", "import ", "public ", "==", "=>")
_CODE_MARKS_MIN: Final = 3
_SYMBOLS: Final = frozenset(SYMBOLS.decode())
_PLAIN_CODE_MARKS: Final = tuple(mark for mark in _CODE_MARKS if not _SYMBOLS & set(mark))
# What raw words share, the rarest first: they are searched only where it stands.
_RARE_PARTS: Final = ("\\", "$", "^", ">", "#", "`", "error")


class Vote(msgspec.Struct, frozen=True):
    """Weight for a task and its ground in words."""

    task: Task
    weight: float
    because: str
    is_word: bool


class Heard(msgspec.Struct, frozen=True):
    """What the words and the structure of a prompt say."""

    votes: list[Vote]
    domains: dict[Domain, list[str]]  # the words found for each


def hear(reading: Reading) -> Heard:
    """Give every vote for a task, one a row at most, and the words that tell a domain."""
    start = _start(reading.ask)
    of_ask, of_words, of_domains = _INDEX.found_in(ask=start, words=reading.words, distinct=reading.distinct)
    votes: list[Vote] = []
    for found in (of_ask, of_words, _at_start(start), _in_raw(reading)):
        for number, words in found.items():
            row = BUILT_IN.tasks[number]
            if reading.length <= row.length_max:
                votes.append(Vote(row.task, row.weight, words[0], True))
    _hear_structure(reading, start, votes)
    return Heard(votes, {BUILT_IN.domains[number].domain: words for number, words in of_domains.items()})


def _rows(place: Place) -> list[tuple[int, tuple[str, ...]]]:
    return [(number, row.words) for number, row in enumerate(BUILT_IN.tasks) if row.place is place]


_INDEX: Final = WordIndex(
    of_ask=_rows(Place.ASK),
    of_words=_rows(Place.WORDS),
    of_domains=[(number, row.words) for number, row in enumerate(BUILT_IN.domains)],
)
Numbered = tuple[str, int]
"""A word and the number of its row."""


def _phrases_at_start() -> dict[str, list[Numbered]]:
    """Give the phrases of whole words, which are looked up by the first words of a prompt."""
    phrases: dict[str, list[Numbered]] = {}
    for number, words in _rows(Place.START):
        for word in words:
            if needle_of(word) == f" {word} ":
                phrases.setdefault(f" {word} ", []).append((word, number))
    return phrases


def _beginnings_at_start() -> list[tuple[str, Numbered]]:
    """Give the beginnings of words and the words of scripts without spaces, which are tried one by one."""
    pairs = [(word, number) for number, words in _rows(Place.START) for word in words]
    return [(f" {needle_of(word).lstrip()}", (word, number)) for word, number in pairs if needle_of(word)[-1] != " "]


def _raw_by_part() -> dict[str, list[Numbered]]:
    """Give the raw words by what must stand for them to stand."""
    by_part: dict[str, list[Numbered]] = {}
    for number, words in _rows(Place.RAW):
        for word in words:
            part = next((part for part in _RARE_PARTS if part in word), word)
            by_part.setdefault(part, []).append((word, number))
    return by_part


_PHRASES: Final = _phrases_at_start()
_FIRST_WORDS: Final = frozenset(f" {phrase.split()[0]} " for phrase in _PHRASES)
_PHRASE_WORDS_MAX: Final = max(phrase.count(" ") - 1 for phrase in _PHRASES)
_BEGINNINGS: Final = _beginnings_at_start()
_ANY_BEGINNING: Final = tuple(beginning for beginning, _ in _BEGINNINGS)
_RAW_BY_PART: Final = _raw_by_part()
_PLAIN_RAW_BY_PART: Final = {part: words for part, words in _RAW_BY_PART.items() if not _SYMBOLS & set(part)}


def _at_start(start: str) -> Found:
    found: Found = {}
    end = start.find(" ", 1)
    if start[: end + 1] in _FIRST_WORDS:
        for _ in range(_PHRASE_WORDS_MAX):
            for word, number in _PHRASES.get(start[: end + 1], ()):
                found[number] = [word]  # of two phrases the longer tells more
            end = start.find(" ", end + 1)
            if end < 0:
                break
    if start.startswith(_ANY_BEGINNING):
        for beginning, (word, number) in _BEGINNINGS:
            if start.startswith(beginning):
                found.setdefault(number, []).append(word)
    return found


def _in_raw(reading: Reading) -> Found:
    found: Found = {}
    raw = reading.raw
    for part, words in (_RAW_BY_PART if reading.has_symbols else _PLAIN_RAW_BY_PART).items():
        if part in raw:
            for word, number in words:
                if word in raw:
                    found.setdefault(number, []).append(word)
    return found


def _start(ask: str) -> str:
    """Leave out "please", "could you" and the like at the start."""
    for _ in range(POLITE_WORDS_MAX):
        if not ask.startswith(_POLITE):
            break
        polite = next(words for words in _POLITE if ask.startswith(words))
        ask = ask[len(polite) - 1 :]
    return ask


def _hear_structure(reading: Reading, start: str, votes: list[Vote]) -> None:
    raw, length = reading.raw, reading.length
    marks = _CODE_MARKS if reading.has_symbols else _PLAIN_CODE_MARKS
    if "```" in raw or sum([mark in raw for mark in marks]) >= _CODE_MARKS_MIN:
        votes += (
            Vote(Task.CODE_GENERATION, 2.0, "it holds code", False),
            Vote(Task.CODE_DEBUGGING, 2.0, "it holds code", False),
        )
    if "?" in raw or start.startswith(_QUESTION_WORDS) or "？" in raw:
        _hear_question(reading, votes)
    if length < ITEM_LIST_CHARACTERS and raw.count(",") >= ITEM_LIST_COMMAS_MIN:
        votes.append(Vote(Task.CLASSIFICATION, 1.5, "a list of items", False))


def _hear_question(reading: Reading, votes: list[Vote]) -> None:
    length = reading.length
    if reading.passage_length > PASSAGE_CHARACTERS:
        votes.append(Vote(Task.CLOSED_QA, 2.5, "a question with a passage", False))
        return
    numbers = len(_NUMBER.findall(reading.raw)) if length < WORD_PROBLEM_CHARACTERS else 0
    if numbers >= WORD_PROBLEM_NUMBERS_MIN:
        votes.append(Vote(Task.MATH_REASONING, 2.0, f"a question over {numbers} numbers", False))
    if length > LONG_QUESTION_CHARACTERS:
        votes.append(Vote(Task.CLOSED_QA, 2.5, "a question with a passage", False))
    elif length <= BARE_QUESTION_CHARACTERS:
        votes.append(Vote(Task.OPEN_QA, 1.0, "a short question alone", False))
