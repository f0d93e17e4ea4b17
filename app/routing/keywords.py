"""Keywords: how one is matched, and the built-in rows that tell a task or a domain by its words.

A keyword is plain words; it matches whole words, ignoring case. A trailing `*` matches any ending, and
scripts without spaces match anywhere. The rows of `keywords.json` were written by hand for breadth over
registers and languages; a row counts once, however many of its words stand.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from app.routing.reading import Reading, spaced
from app.routing.taxonomy import Domain, Task

KEYWORDS_FILE: Final = Path(__file__).with_name("keywords.json")
FIRST_SPACELESS: Final = "\u0e00"  # Thai and, from U+2E80 on, the scripts of East Asia write without spaces
STEM_CHARACTERS: Final = 3  # by which the index finds a keyword that is the beginning of a word


class Keyword(msgspec.Struct, frozen=True, kw_only=True):
    """A word or phrase of a policy that tells a task."""

    task: str
    text: str
    matches: Callable[[Reading], bool]


class Place(StrEnum):
    """Where the words of a row are looked for."""

    START = "start"  # the first words, after "please" and "could you"
    ASK = "ask"  # the ends of the prompt
    WORDS = "words"  # anywhere
    RAW = "raw"  # anywhere, punctuation included


class TaskRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words that speak for one task, and how telling they are."""

    task: Task
    weight: float
    place: Place
    words: tuple[str, ...]
    length_max: int = 1_000_000  # of the prompt, in characters


class DomainRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words that speak for one domain."""

    domain: Domain
    words: tuple[str, ...]


class Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The built-in rows."""

    tasks: tuple[TaskRow, ...]
    domains: tuple[DomainRow, ...]


class Entry(msgspec.Struct, frozen=True):
    """One word of a row: what to search for, and the number of the row."""

    needle: str
    word: str
    row: int


class WordIndex:
    """The words of many rows, found by the words of a text instead of one search each."""

    def __init__(self, rows: Iterable[tuple[int, Iterable[str]]]) -> None:
        self._by_word: dict[str, list[Entry]] = {}
        self._by_stem: dict[str, list[Entry]] = {}
        self._spaceless: list[Entry] = []
        for row, words in rows:
            for word in words:
                self._add(Entry(needle_of(word), word, row))

    def _add(self, entry: Entry) -> None:
        if not entry.needle.startswith(" "):
            self._spaceless.append(entry)
            return
        *whole_words, rest = entry.needle[1:].split(" ")
        if whole_words:
            # The longest is the rarest: "in french" is looked for where "french" stands, not at every "in".
            self._by_word.setdefault(max(whole_words, key=len), []).append(entry)
        else:
            self._by_stem.setdefault(rest[:STEM_CHARACTERS], []).append(entry)

    def found_in(self, text: str) -> Iterator[Entry]:
        """Give the entries that stand in spaced text, in the order of its words."""
        by_word, by_stem = self._by_word, self._by_stem
        for word in dict.fromkeys(text.split()):
            if word in by_word:
                for entry in by_word[word]:
                    if entry.needle in text:
                        yield entry
            stem = word[:STEM_CHARACTERS]
            if stem in by_stem:
                for entry in by_stem[stem]:
                    if word.startswith(entry.needle[1:]):
                        yield entry
        if not text.isascii():
            for entry in self._spaceless:
                if entry.needle in text:
                    yield entry


def compile_keyword(task: str, text: str) -> Keyword:
    """Make a policy's keyword. One that holds punctuation (`c++`, `/refund`) is searched as it is written."""
    lowered = " ".join(text.lower().split())
    stem = lowered.removesuffix("*")
    if spaced(stem) == f" {stem} ":
        needle = needle_of(lowered)
        return Keyword(task=task, text=text, matches=lambda reading: needle in reading.words)
    return Keyword(task=task, text=text, matches=lambda reading: lowered in reading.raw)


def keywords_of(words_of_task: Mapping[str, Iterable[str]]) -> tuple[Keyword, ...]:
    """Compile a policy's keywords, in its order."""
    return tuple(compile_keyword(task, word) for task, words in words_of_task.items() for word in words)


def needle_of(word: str) -> str:
    """Write a word so that a plain search in spaced text respects its edges."""
    stem = word.removesuffix("*")
    if stem[0] >= FIRST_SPACELESS:
        return stem
    return f" {stem}" if word.endswith("*") else f" {stem} "


BUILT_IN: Final = msgspec.json.decode(KEYWORDS_FILE.read_bytes(), type=Rows)
