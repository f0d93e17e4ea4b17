"""Words of many languages in named groups, and which of a text's words belong to each.

Read by `sensitivity` and `complexity`. A word is written as a keyword is: whole, or the beginning of words with `*`;
what is written in a script whose words grow at both ends is looked for anywhere. Accents may be left out.
Invariant: an entry is found exactly when a plain search for it would find it, whatever is remembered.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from app.routing.prose import Prose

STEM_CHARACTERS: Final = 4  # by which the beginnings of words are looked up
FIRST_ANYWHERE: Final = "\u0590"  # Hebrew; of what comes after, no script of our rows writes words as Latin does
DULL_WORDS_MAX: Final = 20_000  # remembered to belong to no group: about 2 MB
DULL_CHARACTERS_MAX: Final = 12
ALONE: Final = 0  # stands for the pair of a word of one character, which is looked for in any text
_CHARACTER_BYTES: Final = 2  # of UTF-16
_PAIR_BYTES: Final = 2 * _CHARACTER_BYTES
# Vowels that German and the North write in two letters where a keyboard lacks them.
_TWO_LETTERS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "å": "aa", "ø": "oe", "æ": "ae"})
_BARE_LETTERS: Final = str.maketrans({"ß": "ss", "ı": "i", "ł": "l", "ø": "o"})

# A phrase's needle, what must stand for it to stand, and its group.
_Entry = tuple[str, frozenset[str], str]


class Lexicon:
    """Groups of words made ready to be found."""

    def __init__(self, groups: Mapping[str, Iterable[str]]) -> None:
        self._words: dict[str, tuple[str, ...]] = {}
        self._stems: dict[str, list[tuple[str, str]]] = {}
        self._phrases: dict[str, list[_Entry]] = {}  # by their longest word
        self._anywhere: dict[int, list[tuple[str, str]]] = {}  # by their first two characters
        self._dull: set[str] = set()
        for group, words in groups.items():
            for word in words:
                for spelling in spellings_of(word.lower()):
                    self._add(spelling, group)

    def found_in(self, prose: Prose) -> Counter[str]:
        """Count the words and phrases of a text that belong to each group."""
        found: Counter[str] = Counter()
        for word in prose.words - self._dull:
            groups = self._groups_of(word)
            for group in groups:
                found[group] += 1
            if word in self._phrases:
                _count(self._phrases[word], prose.words, prose.spaced, found)
            elif not groups:
                self._remember(word)
        if not prose.spaced.isascii():
            for pair in self._anywhere.keys() & _pairs_of(prose.spaced, ALONE):
                for needle, group in self._anywhere[pair]:
                    if needle in prose.spaced:
                        found[group] += 1
        return found

    @property
    def words_remembered(self) -> int:
        """How many words are known to belong nowhere."""
        return len(self._dull)

    def _groups_of(self, word: str) -> Sequence[str]:
        groups = self._words.get(word, ())
        stems = self._stems.get(word[:STEM_CHARACTERS])
        return groups if stems is None else (*groups, *[group for stem, group in stems if word.startswith(stem)])

    def _remember(self, word: str) -> None:
        # Longer words are rare, and may be somebody's secret.
        if len(word) <= DULL_CHARACTERS_MAX and word.isalpha():
            if len(self._dull) >= DULL_WORDS_MAX:
                self._dull.clear()
            self._dull.add(word)

    def _add(self, word: str, group: str) -> None:
        stem = word.removesuffix("*")
        is_stem = stem != word
        parts = stem.split(" ")
        if word[0] >= FIRST_ANYWHERE:
            for pair in _pairs_of(word[:2]) or {ALONE}:
                self._anywhere.setdefault(pair, []).append((word, group))
        elif len(parts) > 1:
            whole = parts[:-1] if is_stem else parts
            needle = f" {stem}" if is_stem else f" {stem} "
            self._phrases.setdefault(max(whole, key=len), []).append((needle, frozenset(whole), group))
        elif is_stem:
            assert len(stem) >= STEM_CHARACTERS, f"'{word}' begins too many words"
            self._stems.setdefault(stem[:STEM_CHARACTERS], []).append((stem, group))
        else:
            self._words[word] = (*self._words.get(word, ()), group)


def spellings_of(word: str) -> Collection[str]:
    """Give a word as it is spelled, and as it is where its accents cannot be typed."""
    if word[0] >= FIRST_ANYWHERE:
        return (word,)
    parted = unicodedata.normalize("NFD", word)
    bare = "".join([letter for letter in parted if not unicodedata.combining(letter)])
    return dict.fromkeys((word, bare.translate(_BARE_LETTERS), word.translate(_TWO_LETTERS)))


def _pairs_of(text: str, *others: int) -> set[int]:
    """Give each two characters that stand side by side, as one number, and what else is given."""
    encoded = memoryview(text.encode("utf-16-le", "replace"))
    pairs = set(others)
    for start in (0, _CHARACTER_BYTES):
        end = start + (len(encoded) - start) // _PAIR_BYTES * _PAIR_BYTES
        pairs.update(encoded[start:end].cast("I"))
    return pairs


def _count(entries: Iterable[_Entry], standing: frozenset[str], spaced: str, found: Counter[str]) -> None:
    for needle, parts, group in entries:
        if parts <= standing and needle in spaced:
            found[group] += 1
