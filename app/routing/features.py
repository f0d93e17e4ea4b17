"""What the learned classifier sees of a prompt: its words by place, and flags of its structure.

Called by `classifier` for every request and by the training. Invariant: training and serving see the same,
since both come through `features_of`; work is bounded by what `reading` keeps of a prompt.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final
from zlib import crc32

import msgspec

from app.routing.concepts import concepts_in, is_spaceless
from app.routing.reading import Reading, spaced
from app.routing.scoring import Heard
from app.routing.structure import CONCEPT_FLAGS, SPACELESS, flags_of, kind_of

OPENING_WORDS: Final = 3
END_WORDS: Final = 12  # instructions stand within so many words of the start or the end
WORDS_MAX: Final = 160
WORD_CHARACTERS_MAX: Final = 20  # of a longer word only so much is read
# Runs of 3 and 5 beside them, and runs of their own for the ends, tripled the work and told tasks no better.
GRAM_CHARACTERS: Final = 4
SPACELESS_CHARACTERS: Final = 40
COLON_CHARACTERS_MAX: Final = 100
NUMBER: Final = "0"  # stands for every number

WHOLE: Final = 1  # places: each seeds the hash
_GRAMS: Final = 2
_HEAD: Final = 3
_TAIL: Final = 4
_OPENING: Final = 5
_HEAD_CONCEPTS: Final = 6
_TAIL_CONCEPTS: Final = 7
_ANY, _IN_HEAD, _IN_TAIL, _FIRST, _LAST, _BEFORE_COLON = CONCEPT_FLAGS.values()
# What the features of a place weigh together.
PLACES: Final = {WHOLE: 0.5, _HEAD: 1.0, _TAIL: 1.0, _OPENING: 1.0, _HEAD_CONCEPTS: 1.0, _TAIL_CONCEPTS: 1.0}


class Prompt(msgspec.Struct, frozen=True):
    """What is seen of one prompt: hashed features by place, and the flags of its structure with their counts."""

    words: Sequence[str]  # each once
    phrases: Sequence[tuple[int, Sequence[int]]]  # a place and its hashed words and pairs of words
    flags: Sequence[int]  # those that stand, each counting once
    counts: Sequence[tuple[int, int]]  # those that count for more
    has_concepts: bool  # some of its words are known in what they mean


def features_of(reading: Reading, heard: Heard) -> Prompt:
    """Read what the classifier needs. Words that carry characters of their own are hashed by `features_of_word`."""
    words = _tokens(reading.words)
    ask = words if reading.ask is reading.words else _tokens(reading.ask)
    head, tail = ask[:END_WORDS], ask[-END_WORDS:]
    asked = reading.ask.split()
    first, last = _first_of(asked), _last_of(asked)
    everything = asked if reading.ask is reading.words else reading.words.split()
    of_head = concepts_in(first)
    of_tail = of_head if last == first else concepts_in(last)
    of_all = of_head if everything == first else concepts_in(everything)
    kind = kind_of(reading)
    phrases = (
        (_HEAD, _hashed(_HEAD, head)),
        (_TAIL, _hashed(_TAIL, tail)),
        (_OPENING, _hashed_opening(head[:OPENING_WORDS], kind)),
        (_HEAD_CONCEPTS, _hashed_concepts(_HEAD_CONCEPTS, of_head, kind)),
        (_TAIL_CONCEPTS, _hashed_concepts(_TAIL_CONCEPTS, of_tail, kind)),
    )
    marks, counts = flags_of(reading, heard, kind)
    return Prompt(
        words=tuple(dict.fromkeys(words)),
        phrases=phrases,
        flags=marks + _concept_flags(of_all, of_head, of_tail, concepts_in(_before_colon(reading))),
        counts=counts,
        has_concepts=bool(of_all),
    )


def _concept_flags(of_all: list[int], of_head: list[int], of_tail: list[int], of_colon: list[int]) -> list[int]:
    """Number the flags of concepts by where they stand."""
    flags = [_ANY + number for number in of_all]
    flags += [_IN_HEAD + number for number in of_head]
    flags += [_IN_TAIL + number for number in of_tail]
    flags += [_BEFORE_COLON + number for number in of_colon]
    if of_head:
        flags.append(_FIRST + of_head[0])
    if of_tail:
        flags.append(_LAST + of_tail[-1])
    return flags


def features_of_word(word: str) -> list[int]:
    """Hash a word and the runs of characters in it."""
    edged = f"<{word[:WORD_CHARACTERS_MAX]}>"
    grams = [edged[start : start + GRAM_CHARACTERS] for start in range(len(edged) - GRAM_CHARACTERS + 1)]
    return [crc32(word.encode(), WHOLE), *[crc32(gram.encode(), _GRAMS) for gram in grams]]


def _tokens(spaced: str) -> list[str]:
    """Split into words; numbers become one, and text without spaces becomes pairs of characters."""
    tokens: list[str] = []
    is_spaceless = not spaced.isascii() and SPACELESS.search(spaced) is not None
    for word in spaced.split():
        if word.isdecimal():
            tokens.append(NUMBER)
        elif is_spaceless and SPACELESS.search(word):
            tokens += [word[start : start + 2] for start in range(max(1, len(word) - 1))]
        else:
            tokens.append(word)
    return tokens if len(tokens) <= WORDS_MAX else tokens[: WORDS_MAX // 2] + tokens[-WORDS_MAX // 2 :]


def _hashed(place: int, words: Sequence[str]) -> list[int]:
    """Hash words, and pairs of neighbours as they stand with a space between."""
    encoded = [word.encode() for word in words]
    hashes = [crc32(word, place) for word in encoded]
    pairs = [crc32(b" " + second, first) for first, second in zip(hashes, encoded[1:], strict=False)]
    return list(dict.fromkeys(hashes + pairs))


def _hashed_opening(words: Sequence[str], kind: str) -> list[int]:
    """Hash the first word, the first two and so on, and the first word with how the prompt is laid out."""
    first, *others = words or [""]
    hashes = [crc32(first.encode(), _OPENING)]
    for word in others:
        hashes.append(crc32(b" " + word.encode(), hashes[-1]))
    return [*hashes, crc32(f"{kind} {first}".encode(), _OPENING)]


def _first_of(words: list[str]) -> list[str]:
    """Give the first words; text without spaces is cut by characters."""
    first = words[:END_WORDS]
    if all(map(str.isascii, first)):
        return first
    return [word[:SPACELESS_CHARACTERS] if is_spaceless(word) else word for word in first]


def _last_of(words: list[str]) -> list[str]:
    last = words[-END_WORDS:]
    if all(map(str.isascii, last)):
        return last
    return [word[-SPACELESS_CHARACTERS:] if is_spaceless(word) else word for word in last]


def _before_colon(reading: Reading) -> list[str]:
    """Give the words before the colon that opens a prompt, as in "Translate:"."""
    opening = reading.raw[:COLON_CHARACTERS_MAX].partition("\n")[0]
    stem = opening.partition(":")[0] if ":" in opening else opening.partition("：")[0]
    return [] if stem == opening else spaced(stem).split()


def _hashed_concepts(place: int, concepts: Sequence[int], kind: str) -> list[int]:
    """Hash pairs of neighbouring concepts, and each with how the prompt is laid out."""
    pairs = [crc32(bytes(pair), place) for pair in pairwise(concepts)]
    seed = crc32(kind.encode(), place)
    return [*pairs, *[crc32(bytes((concept,)), seed) for concept in concepts]]
