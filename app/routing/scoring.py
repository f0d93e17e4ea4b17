"""Built-in rules: words and structure vote for tasks. Called by `classify` when nobody said the task.

A learned classifier will stand beside this function and answer in the same way.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from app.routing.keywords import BUILT_IN, Place, WordIndex
from app.routing.reading import Reading
from app.routing.taxonomy import Domain, Task

PASSAGE_CHARACTERS: Final = 120  # a question with more than this after it comes with its passage
LONG_QUESTION_CHARACTERS: Final = 350
BARE_QUESTION_CHARACTERS: Final = 250
WORD_PROBLEM_CHARACTERS: Final = 900
ITEM_LIST_CHARACTERS: Final = 300
POLITE_WORDS_MAX: Final = 4
START_CHARACTERS: Final = 60  # where a prompt's first words are looked for

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
_CODE_MARKS: Final = ("```", "def ", "return ", "();", "){", ") {", "};", "#include", "import ", "public ", "==", "=>")


class Vote(msgspec.Struct, frozen=True):
    """Weight for a task and its ground in words."""

    task: Task
    weight: float
    because: str
    is_word: bool


def votes_of(reading: Reading) -> Iterator[Vote]:
    """Give every vote that the words and the structure of a prompt cast, one a row at most."""
    start = _start(reading.ask)
    words_of_row: dict[int, str] = {}
    for entry in _ASK_INDEX.found_in(start):
        words_of_row.setdefault(entry.row, entry.word)
    for entry in _WORDS_INDEX.found_in(reading.words):
        words_of_row.setdefault(entry.row, entry.word)
    for entry in _START_INDEX.found_in(start[:START_CHARACTERS]):
        if start.startswith((entry.needle, f" {entry.needle}")):
            words_of_row.setdefault(entry.row, entry.word)
    for number, words in _RAW_ROWS:
        for word in words:
            if word in reading.raw:
                words_of_row[number] = word
                break
    for number, word in words_of_row.items():
        row = BUILT_IN.tasks[number]
        if reading.length <= row.length_max:
            yield Vote(row.task, row.weight, word, True)
    yield from _structure(reading, start)


def domains_of(reading: Reading) -> dict[Domain, list[str]]:
    """Give the words found for each domain."""
    found: dict[Domain, list[str]] = {}
    for entry in _DOMAIN_INDEX.found_in(reading.words):
        found.setdefault(BUILT_IN.domains[entry.row].domain, []).append(entry.word)
    return found


def _index(place: Place) -> WordIndex:
    return WordIndex((number, row.words) for number, row in enumerate(BUILT_IN.tasks) if row.place is place)


_ASK_INDEX: Final = _index(Place.ASK)
_WORDS_INDEX: Final = _index(Place.WORDS)
_START_INDEX: Final = _index(Place.START)
_RAW_ROWS: Final = [(number, row.words) for number, row in enumerate(BUILT_IN.tasks) if row.place is Place.RAW]
_DOMAIN_INDEX: Final = WordIndex((number, row.words) for number, row in enumerate(BUILT_IN.domains))


def _start(ask: str) -> str:
    """Leave out "please", "could you" and the like at the start."""
    for _ in range(POLITE_WORDS_MAX):
        polite = next((words for words in _POLITE if ask.startswith(words)), None)
        if polite is None:
            break
        ask = ask[len(polite) - 1 :]
    return ask


def _structure(reading: Reading, start: str) -> Iterator[Vote]:
    raw = reading.raw
    if sum(mark in raw for mark in _CODE_MARKS) >= 3 or "```" in raw:
        yield Vote(Task.CODE_GENERATION, 2.0, "it holds code", False)
        yield Vote(Task.CODE_DEBUGGING, 2.0, "it holds code", False)
    is_question = "?" in raw or "？" in raw or start.startswith(_QUESTION_WORDS)
    numbers = len(_NUMBER.findall(raw)) if reading.length < WORD_PROBLEM_CHARACTERS else 0
    has_passage = reading.passage_length > PASSAGE_CHARACTERS
    if numbers >= 2 and is_question and not has_passage:
        yield Vote(Task.MATH_REASONING, 2.0, f"a question over {numbers} numbers", False)
    if is_question and (has_passage or reading.length > LONG_QUESTION_CHARACTERS):
        yield Vote(Task.CLOSED_QA, 2.5, "a question with a passage", False)
    if is_question and reading.length <= BARE_QUESTION_CHARACTERS and not has_passage:
        yield Vote(Task.OPEN_QA, 1.0, "a short question alone", False)
    if raw.count(",") >= 3 and reading.length < ITEM_LIST_CHARACTERS:
        yield Vote(Task.CLASSIFICATION, 1.5, "a list of items", False)
