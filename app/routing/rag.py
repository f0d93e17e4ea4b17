"""The part that a request plays in retrieval-augmented generation: a search to make, or passages to answer from.

Called by `classify` once a request. Invariant: it looks at marks that programs put around passages and at words that
ask for searches, in the instruction's ends and the system prompt; work is bounded by what is kept of both.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from app.routing.decision import NO_RAG, DecidedBy, Evidence, RequestFacts
from app.routing.keywords import FIRST_SPACELESS, needle_of
from app.routing.reading import Reading, spaced
from app.routing.signal_words import words_of
from app.routing.taxonomy import Rag, Task

PASSAGE_CHARACTERS_MIN: Final = 200  # of a request with passages, all told
MARK_CONFIDENCE: Final = 0.9
SHAPE_CONFIDENCE: Final = 0.65

_NUMBERED: Final = re.compile(r"(?:^|\n)\s{0,4}\[1\][\s\S]{20,4000}?\n\s{0,4}\[2\]")


def rag_of(reading: Reading, facts: RequestFacts, task: Evidence) -> Evidence:
    """Tell the part of a request whose instruction has been read."""
    if any(phrase in reading.words for phrase in _phrases_open(reading)):
        return _evidence(Rag.RETRIEVAL, MARK_CONFIDENCE, "keyword", "words that ask for a search")
    system = facts.system
    if len(system) + reading.length < PASSAGE_CHARACTERS_MIN:
        return NO_RAG
    raw = f"{system.lower()}\n{reading.raw}" if system else reading.raw
    words = {*spaced(system.lower()).split(), *reading.distinct} if system else reading.distinct
    if any(mark in raw for mark in _marks_open(words, raw)):
        return _evidence(Rag.ANSWER, MARK_CONFIDENCE, "keyword", "words that stand before passages")
    if "[2]" in raw and _NUMBERED.search(raw):
        return _evidence(Rag.ANSWER, MARK_CONFIDENCE, "structure", "numbered passages")
    if task.value == Task.CLOSED_QA and reading.passage_length >= PASSAGE_CHARACTERS_MIN:
        return _evidence(Rag.ANSWER, min(SHAPE_CONFIDENCE, task.confidence), "structure", "a question with a passage")
    return NO_RAG


def _phrases_open(reading: Reading) -> Iterator[str]:
    """Give the phrases whose longest word stands; most requests hold none."""
    for word in _SEARCH.keys() & reading.distinct:
        yield from _SEARCH[word]
    if not reading.words.isascii():
        yield from _SEARCH_WITHOUT_SPACE


def _marks_open(words: Collection[str], raw: str) -> Iterator[str]:
    for word in _PASSAGE_MARKS.keys() & words:
        yield from _PASSAGE_MARKS[word]
    if not raw.isascii():
        yield from _PASSAGE_MARKS_WITHOUT_SPACE


def _by_longest_word(texts: Iterable[str]) -> dict[str, list[str]]:
    by_word: dict[str, list[str]] = {}
    for text in texts:
        by_word.setdefault(max(spaced(text).split(), key=len), []).append(text)
    return by_word


def _has_spaces(text: str) -> bool:
    return text[0] < FIRST_SPACELESS


def _evidence(part: Rag, confidence: float, decided_by: DecidedBy, because: str) -> Evidence:
    return Evidence(value=part.value, confidence=confidence, decided_by=decided_by, because=because)


_SEARCH: Final = _by_longest_word(map(needle_of, filter(_has_spaces, words_of("search"))))
_SEARCH_WITHOUT_SPACE: Final = tuple(word for word in words_of("search") if not _has_spaces(word))
_PASSAGE_MARKS: Final = _by_longest_word(filter(_has_spaces, words_of("passage_mark")))
_PASSAGE_MARKS_WITHOUT_SPACE: Final = tuple(word for word in words_of("passage_mark") if not _has_spaces(word))
