"""The part that a request plays in retrieval-augmented generation: a search to make, or passages to answer from.

Called by `classify` once a request. Invariant: it looks at marks that programs put around passages and at words that
ask for searches, in the instruction's ends and the system prompt; work is bounded by what is kept of both.
"""

import re
from typing import Final

from app.routing.decision import NO_RAG, DecidedBy, Evidence, RequestFacts
from app.routing.keywords import needle_of
from app.routing.reading import Reading
from app.routing.signal_words import words_of
from app.routing.taxonomy import Rag, Task

PASSAGE_CHARACTERS_MIN: Final = 200  # of a request with passages, all told
MARK_CONFIDENCE: Final = 0.9
SHAPE_CONFIDENCE: Final = 0.65

_SEARCH: Final = tuple(map(needle_of, words_of("search")))
_PASSAGE_MARKS: Final = words_of("passage_mark")
_NUMBERED: Final = re.compile(r"(?:^|\n)\s{0,4}\[1\][\s\S]{20,4000}?\n\s{0,4}\[2\]")


def rag_of(reading: Reading, facts: RequestFacts, task: Evidence) -> Evidence:
    """Tell the part of a request whose instruction has been read."""
    if any(mark in reading.words for mark in _SEARCH):
        return _evidence(Rag.RETRIEVAL, MARK_CONFIDENCE, "keyword", "words that ask for a search")
    system = facts.system
    if len(system) + reading.length < PASSAGE_CHARACTERS_MIN:
        return NO_RAG
    raw = f"{system.lower()}\n{reading.raw}" if system else reading.raw
    if any(mark in raw for mark in _PASSAGE_MARKS):
        return _evidence(Rag.ANSWER, MARK_CONFIDENCE, "keyword", "words that stand before passages")
    if "[2]" in raw and _NUMBERED.search(raw):
        return _evidence(Rag.ANSWER, MARK_CONFIDENCE, "structure", "numbered passages")
    if task.value == Task.CLOSED_QA and reading.passage_length >= PASSAGE_CHARACTERS_MIN:
        return _evidence(Rag.ANSWER, min(SHAPE_CONFIDENCE, task.confidence), "structure", "a question with a passage")
    return NO_RAG


def _evidence(part: Rag, confidence: float, decided_by: DecidedBy, because: str) -> Evidence:
    return Evidence(value=part.value, confidence=confidence, decided_by=decided_by, because=because)
