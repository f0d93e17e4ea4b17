"""What classification reads of a prompt: a bounded head and tail, lowered, with its words set apart.

Instructions stand at the start or at the end of a prompt and pasted text between them, so rules look
at the ends first. Work is linear, and bounded whatever the prompt's length.
"""

from typing import Final

import msgspec

HEAD_CHARACTERS: Final = 1_200
TAIL_CHARACTERS: Final = 600
ASK_HEAD_CHARACTERS: Final = 300
ASK_TAIL_CHARACTERS: Final = 200
ASK_PART_CHARACTERS_MIN: Final = 15  # a shorter first paragraph or last line is a greeting or a name
DENSE_BYTES_PER_CHARACTER: Final = 2  # beyond, the script says in one character what others say in three
DENSITY: Final = 3

_PUNCTUATION: Final = ".,!?;:\"'()[]{}<>`*_/|\\“”‘’«»„-–—=+#&。，！？；：、「」《》（）¿¡"
_NO_PUNCTUATION: Final = str.maketrans(_PUNCTUATION, " " * len(_PUNCTUATION))


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt as rules see it. In `words` and `ask` every word stands between single spaces."""

    raw: str  # lowered, with its punctuation and lines
    words: str
    ask: str  # the words of the ends, where the instruction is
    length: int
    passage_length: int  # characters after the first paragraph


def read_prompt(text: str) -> Reading:
    """Read a prompt once for all rules."""
    raw = _ends(text, HEAD_CHARACTERS, TAIL_CHARACTERS).strip().lower()
    words = spaced(raw)
    ask = _ask(raw)
    opening = raw.find("\n\n")
    return Reading(
        raw=raw,
        words=words,
        ask=words if ask is raw else spaced(ask),
        length=len(text),
        passage_length=len(text) - opening if opening > 0 else 0,
    )


def spaced(lowered: str) -> str:
    """Set the words of lowered text apart: punctuation goes, one space stands around each word."""
    return f" {' '.join(lowered.translate(_NO_PUNCTUATION).split())} "


def _ask(raw: str) -> str:
    """Cut to the first paragraph and the last line, or to the ends where there are none."""
    density = DENSITY if len(raw.encode()) > DENSE_BYTES_PER_CHARACTER * len(raw) else 1
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
