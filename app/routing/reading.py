"""What classification reads of a prompt: a bounded head and tail, lowered, with its words set apart.

Instructions stand at the start or at the end of a prompt and pasted text between them, so rules look
at the ends first. Work is linear in at most `READ_CHARACTERS_MAX` characters.
"""

import re
from typing import Final

import msgspec

HEAD_CHARACTERS: Final = 1_200
TAIL_CHARACTERS: Final = 600
READ_CHARACTERS_MAX: Final = HEAD_CHARACTERS + TAIL_CHARACTERS
ASK_HEAD_CHARACTERS: Final = 300
ASK_TAIL_CHARACTERS: Final = 200

_PUNCTUATION: Final = ".,!?;:\"'()[]{}<>`*_/|\\“”‘’«»„-–—=+#&。，！？；：、「」《》（）¿¡"
_NOT_WORDS: Final = re.compile("[" + re.escape(_PUNCTUATION) + "]+")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt as rules see it. In `words` and `ask` every word stands between single spaces."""

    raw: str  # lowered, with its punctuation and lines
    words: str
    ask: str  # the words of the ends, where the instruction is
    length: int


def cut_instruction(text: str) -> str:
    """Keep of a prompt what classification reads. Surfaces cut with it when they fill `RequestFacts`."""
    if len(text) <= READ_CHARACTERS_MAX:
        return text
    return text[:HEAD_CHARACTERS] + "\n" + text[-TAIL_CHARACTERS:]


def read_prompt(text: str) -> Reading:
    """Read a prompt once for all rules."""
    raw = cut_instruction(text).strip().lower()
    words = spaced(raw)
    ask = words
    if len(raw) > ASK_HEAD_CHARACTERS + ASK_TAIL_CHARACTERS:
        ask = spaced(raw[:ASK_HEAD_CHARACTERS]) + spaced(raw[-ASK_TAIL_CHARACTERS:])
    return Reading(raw=raw, words=words, ask=ask, length=len(text))


def spaced(lowered: str) -> str:
    """Set the words of lowered text apart: punctuation goes, one space stands around each word."""
    return f" {' '.join(_NOT_WORDS.sub(' ', lowered).split())} "
