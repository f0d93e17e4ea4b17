"""What classification reads of a prompt: a bounded head and tail, lowered, with its words set apart.

Instructions stand at the start or at the end of a prompt and pasted text between them, so rules look
at the ends first. Work is linear, and bounded whatever the prompt's length.
"""

import re
from typing import Final

import msgspec

HEAD_CHARACTERS: Final = 1_200
TAIL_CHARACTERS: Final = 600
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


def read_prompt(text: str) -> Reading:
    """Read a prompt once for all rules."""
    raw = _ends(text, HEAD_CHARACTERS, TAIL_CHARACTERS).strip().lower()
    words = spaced(raw)
    ends = _ends(raw, ASK_HEAD_CHARACTERS, ASK_TAIL_CHARACTERS)
    ask = words if ends is raw else spaced(ends)
    return Reading(raw=raw, words=words, ask=ask, length=len(text))


def spaced(lowered: str) -> str:
    """Set the words of lowered text apart: punctuation goes, one space stands around each word."""
    return f" {' '.join(_NOT_WORDS.sub(' ', lowered).split())} "


def _ends(text: str, head: int, tail: int) -> str:
    return text if len(text) <= head + tail else f"{text[:head]}\n{text[-tail:]}"
