"""Keywords: how one is matched, and the built-in rows that tell a task or a domain by its words.

A keyword is plain words; it matches whole words, ignoring case. A trailing `*` matches any ending, and
scripts without spaces match anywhere. The rows of `keywords.json` were written by hand for breadth over
registers and languages; a row counts once, however many of its words stand.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from app.routing.reading import Reading, spaced
from app.routing.taxonomy import Domain, Task

KEYWORDS_FILE: Final = Path(__file__).with_name("keywords.json")
FIRST_SPACELESS: Final = "\u0e00"  # Thai and, from U+2E80 on, the scripts of East Asia write without spaces


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
