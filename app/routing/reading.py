"""What classification reads of a prompt: a bounded head and tail, lowered, with its words set apart.

Instructions stand at the start or at the end of a prompt and pasted text between them, so rules look
at the ends first. Work is linear, and bounded whatever the prompt's length.
"""

import re
from collections.abc import Collection
from typing import Final

import msgspec

# More was read once (1,200 and 600), and told tasks and domains no better.
HEAD_CHARACTERS: Final = 600
TAIL_CHARACTERS: Final = 300
ASK_HEAD_CHARACTERS: Final = 300
ASK_TAIL_CHARACTERS: Final = 200
ASK_PART_CHARACTERS_MIN: Final = 15  # a shorter first paragraph or last line is a greeting or a name
DENSE_BYTES_PER_CHARACTER: Final = 2  # beyond, the script says in one character what others say in three
DENSITY: Final = 3

# Bytes and single replacements: `str.translate` looks up each character of text that is not ASCII.
_ASCII_PUNCTUATION: Final = b".,!?;:\"'()[]{}<>`*_/|\\-=+#&"
_NO_ASCII_PUNCTUATION: Final = bytes.maketrans(_ASCII_PUNCTUATION, b" " * len(_ASCII_PUNCTUATION))
# Where none stands, most marks of code and formulas need not be looked for.
SYMBOLS: Final = b"\\$^>#`{;="
QUOTED_CHARACTERS_MIN: Final = 12  # a shorter quote is a name or a term
_QUOTE_MARKS: Final = ('"', "“", "«", "„", "「")
_QUOTED: Final = re.compile(
    rf'"[^"]{{{QUOTED_CHARACTERS_MIN},}}"|[“„][^”“„]{{{QUOTED_CHARACTERS_MIN},}}[”“]'
    rf"|«[^«»]{{{QUOTED_CHARACTERS_MIN},}}»|「[^「」]{{{QUOTED_CHARACTERS_MIN},}}」"
)
_OTHER_PUNCTUATION: Final = "“”‘’«»„–—。，！？；：、「」《》（）¿¡"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt as rules see it. In `words` and `ask` every word stands between single spaces."""

    raw: str  # lowered, with its punctuation and lines
    words: str
    ask: str  # the words of the ends, where the instruction is
    distinct: Collection[str]  # the words of both, each once, in their order
    has_symbols: bool  # some of SYMBOLS stand in it
    length: int
    passage_length: int  # characters after the first paragraph


def read_prompt(text: str) -> Reading:
    """Read a prompt once for all rules."""
    raw = _ends(text, HEAD_CHARACTERS, TAIL_CHARACTERS).strip().lower()
    ask = _ask(raw)
    encoded = raw.encode(errors="replace")
    word_list = _words_of(encoded)
    ask_list = word_list if ask is raw else _words_of(ask.encode(errors="replace"))
    words = _spaced(word_list)
    opening = raw.find("\n\n")
    return Reading(
        raw=raw,
        words=words,
        ask=words if ask is raw else _spaced(ask_list),
        # The ask may begin and end within a word, so it can have two of its own.
        distinct=dict.fromkeys(word_list if ask is raw else word_list + ask_list).keys(),
        has_symbols=len(encoded.translate(None, SYMBOLS)) < len(encoded),
        length=len(text),
        passage_length=len(text) - opening if opening > 0 else 0,
    )


def spaced(lowered: str) -> str:
    """Set the words of lowered text apart: punctuation goes, one space stands around each word."""
    return _spaced(_words_of(lowered.encode(errors="replace")))


def _words_of(encoded: bytes) -> list[str]:
    text = encoded.translate(_NO_ASCII_PUNCTUATION).decode()
    if not text.isascii():
        for mark in _OTHER_PUNCTUATION:
            text = text.replace(mark, " ")
    return text.split()


def _spaced(words: list[str]) -> str:
    return f" {' '.join(words)} "


def _ask(raw: str) -> str:
    """Cut to the first paragraph and the last line, or to the ends where there are none; quotes are left out."""
    if any(map(raw.__contains__, _QUOTE_MARKS)):
        unquoted = _QUOTED.sub(" ", raw)
        raw = unquoted if len(unquoted.strip()) >= ASK_PART_CHARACTERS_MIN else raw
    is_dense = not raw.isascii() and len(raw.encode(errors="replace")) > DENSE_BYTES_PER_CHARACTER * len(raw)
    density = DENSITY if is_dense else 1
    head, tail = ASK_HEAD_CHARACTERS // density, ASK_TAIL_CHARACTERS // density
    if len(raw) <= head + tail and "\n\n" not in raw:
        return raw
    first = raw[:head].split("\n\n", 1)[0]
    last = raw[-tail:].rsplit("\n", 1)[-1]
    first = first if len(first) >= ASK_PART_CHARACTERS_MIN else raw[:head]
    last = last if len(last) >= ASK_PART_CHARACTERS_MIN else raw[-tail:]
    return f"{first}\n{last}"


def _ends(text: str, head: int, tail: int) -> str:
    return text if len(text) <= head + tail else f"{text[:head]}\n{text[-tail:]}"
