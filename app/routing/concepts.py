"""Concepts: what words of some thirty languages have in common, so that what is learnt in one serves the others.

Called by `features` for every request. `concepts.json` was written by hand: a row per concept, with the words that
name it. A trailing `*` matches any ending, `_` joins words that stand side by side; scripts without spaces match
anywhere.
Invariant: the order of the concepts in the file is their number, and work is linear in what is read.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from app.routing.keywords import FIRST_SPACELESS

CONCEPTS_FILE: Final = Path(__file__).with_name("concepts.json")
STEM_START_CHARACTERS: Final = 2  # by which the words with an ending are parted; shorter ones stand for themselves
WORDS_KEPT_MAX: Final = 12_000  # most of them with nothing: about 1 MB
_ARABIC_ARTICLE: Final = "ال"

Numbers = tuple[int, ...]
"""Concepts by their place in the file."""
_Stem = tuple[str, int]
_Known = tuple[Numbers, bool] | tuple[()]
"""What a word names, and whether it may begin a phrase; nothing for most words."""

_WORDS_OF: Final = msgspec.json.decode(CONCEPTS_FILE.read_bytes(), type=dict[str, str])
CONCEPTS: Final = tuple(_WORDS_OF)


class _Rows(msgspec.Struct):
    """The words by how they are looked up."""

    whole: dict[str, Numbers] = {}
    phrases: dict[str, Numbers] = {}  # of two words side by side
    stems: dict[str, list[_Stem]] = {}  # by their first characters
    anywhere: dict[str, list[_Stem]] = {}  # by their first character: scripts without spaces


def is_spaceless(word: str) -> bool:
    """Tell whether a word is of a script without spaces. Korean has spaces."""
    return word[0] >= FIRST_SPACELESS and not "\u0f00" <= word[0] < "\u2e80" and not "\uac00" <= word[0] < "\ud7b0"


def _rows() -> _Rows:
    rows = _Rows()
    for number, words in enumerate(_WORDS_OF.values()):
        for word in words.split():
            stem = word.removesuffix("*").replace("_", " ")
            if is_spaceless(stem):
                rows.anywhere.setdefault(stem[0], []).append((stem, number))
            elif stem == word or " " in stem:
                of_kind = rows.phrases if " " in stem else rows.whole
                of_kind[stem] = (*of_kind.get(stem, ()), number)
            else:
                rows.stems.setdefault(stem[:STEM_START_CHARACTERS], []).append((stem, number))
    return rows


_ROWS: Final = _rows()
_PHRASE_STARTS: Final = frozenset(phrase.split()[0] for phrase in _ROWS.phrases)
_kept: dict[str, _Known] = {}


def concepts_in(words: Sequence[str]) -> list[int]:
    """Give the concepts that stand in words, each once, in their order."""
    found: dict[int, None] = {}
    for place, word in enumerate(words):
        known = _kept[word] if word in _kept else _remember(word)
        if known:
            numbers, is_start = known
            if is_start and place + 1 < len(words):
                found.update(dict.fromkeys(_ROWS.phrases.get(f"{word} {words[place + 1]}", ())))
            for number in numbers:
                found[number] = None
    return list(found)


def _remember(word: str) -> _Known:
    if len(_kept) > WORDS_KEPT_MAX:
        _kept.clear()
    numbers, is_start = tuple(dict.fromkeys(_looked_up(word))), word in _PHRASE_STARTS
    known: _Known = (numbers, is_start) if numbers or is_start else ()
    _kept[word] = known
    return known


def _looked_up(word: str) -> Iterator[int]:
    if is_spaceless(word):
        for place, character in enumerate(word):
            for stem, number in _ROWS.anywhere.get(character, ()):
                if word.startswith(stem, place):
                    yield number
        return
    yield from _ROWS.whole.get(word, ())
    for start in range(1, STEM_START_CHARACTERS + 1):
        for stem, number in _ROWS.stems.get(word[:start], ()) if start <= len(word) else ():
            if word.startswith(stem):
                yield number
    if word.startswith(_ARABIC_ARTICLE) and len(word) > len(_ARABIC_ARTICLE) + 1:
        yield from _looked_up(word[len(_ARABIC_ARTICLE) :])
