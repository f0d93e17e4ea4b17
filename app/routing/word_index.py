"""Rows of words in one index, so that a prompt is walked once however many rows there are.

Called by `scoring`. Invariant: a word is found exactly when a plain search for it in the text of its place
would find it; the index only leaves out searches that must fail.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

from app.routing.keywords import FIRST_SPACELESS, needle_of

STEM_CHARACTERS: Final = 4  # by which a keyword is found that is the beginning of a word
# The commonest first. A phrase is looked for where its rarest word stands: "in french" at "french".
_COMMON: Final = (
    "the", "a", "to", "of", "and", "in", "is", "you", "for", "it", "that", "with", "this", "on", "are", "what",
    "following", "from", "which", "me", "my", "your", "an", "as", "be", "how", "i", "one", "write", "not", "do",
    "list", "given", "code", "have", "or", "text", "function", "these", "some", "by", "most", "give", "does", "can",
    "would", "make", "all", "each", "there", "should", "about", "more", "was", "based", "top", "number", "out",
    "into", "time", "year", "name", "where", "who", "why", "using", "find", "many", "other", "create", "sentence",
)  # fmt: skip
_PLACE_OF_COMMON: Final[Mapping[str, int]] = {word: place for place, word in enumerate(_COMMON)}
_SPACELESS: Final = re.compile(f"[{FIRST_SPACELESS}-\U0010ffff]")

Rows = Sequence[tuple[int, tuple[str, ...]]]
"""Numbered rows of words."""
Found = dict[int, list[str]]
"""The words that were found, by the number of their row."""
# A tuple, since a walk unpacks a dozen of them: needle, what it begins with, text, row, word.
_Entry = tuple[str, str, int, int, str]


class WordIndex:
    """The words of many rows. Some are looked for in the ask, others in all words of a prompt."""

    def __init__(self, *, of_ask: Rows, of_words: Rows, of_domains: Rows) -> None:
        self._by_word: dict[str, list[_Entry]] = {}
        self._by_stem: dict[str, list[_Entry]] = {}
        self._by_character: dict[str, list[tuple[int, _Entry]]] = {}  # with their order
        for place, rows in enumerate((of_ask, of_words, of_domains)):
            for row, words in rows:
                for word in words:
                    needle = needle_of(word)
                    self._add((needle, needle[1:], place, row, word))

    def found_in(self, *, ask: str, words: str, distinct: Iterable[str]) -> tuple[Found, Found, Found]:
        """Give what stands of the rows of the ask, of the words, and of the domains.

        `distinct` are the words of both texts, in the order in which rows are to be found.
        """
        found: tuple[Found, Found, Found] = ({}, {}, {})
        texts = (ask, words, words)
        by_word, by_stem = self._by_word, self._by_stem
        for word in distinct:
            if word in by_word:
                for needle, _, place, row, said in by_word[word]:
                    if needle in texts[place]:
                        found[place].setdefault(row, []).append(said)
            beginning = word[:STEM_CHARACTERS]
            if beginning in by_stem:
                for needle, stem, place, row, said in by_stem[beginning]:
                    if word.startswith(stem) and needle in texts[place]:
                        found[place].setdefault(row, []).append(said)
        if not words.isascii() and _SPACELESS.search(words):
            standing = self._by_character.keys() & set(words)
            for _, entry in sorted(chain.from_iterable(map(self._by_character.__getitem__, standing))):
                needle, _, place, row, said = entry
                if needle in texts[place]:
                    found[place].setdefault(row, []).append(said)
        return found

    def _add(self, entry: _Entry) -> None:
        needle, stem, *_, word = entry
        *whole_words, rest = stem.split(" ")
        if not needle.startswith(" "):
            order = sum(map(len, self._by_character.values()))
            self._by_character.setdefault(needle[0], []).append((order, entry))
        elif whole_words:
            self._by_word.setdefault(max(whole_words, key=_rarity), []).append(entry)
        else:
            assert len(rest) >= STEM_CHARACTERS, f"'{word}' begins too many words"
            self._by_stem.setdefault(rest[:STEM_CHARACTERS], []).append(entry)


def _rarity(word: str) -> tuple[int, int]:
    return _PLACE_OF_COMMON.get(word, len(_COMMON)), len(word)
