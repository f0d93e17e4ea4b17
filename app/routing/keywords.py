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
KEY_CHARACTERS: Final = 3  # of its first word, that the index finds a keyword by


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
        self._by_key: dict[str, list[Entry]] = {}
        self._spaceless: list[Entry] = []
        for row, words in rows:
            for word in words:
                needle = needle_of(word)
                entry = Entry(needle, word, row)
                if needle.startswith(" "):
                    self._by_key.setdefault(needle[1:].split(" ")[0][:KEY_CHARACTERS], []).append(entry)
                else:
                    self._spaceless.append(entry)

    def found_in(self, text: str) -> Iterator[Entry]:
        """Give the entries that stand in spaced text, in the order of its words."""
        for key in dict.fromkeys(word[:KEY_CHARACTERS] for word in text.split(" ")):
            for entry in self._by_key.get(key, ()):
                if entry.needle in text:
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
