"""All text of a request that goes to a model: its JSON without payloads of media, unescaped, in words.

Made by `sensitivity` once a request. Invariant: nothing is left out but long unbroken runs of base64, whatever field
or repeated key it stands in; work is linear in the request's length.
"""

import re
from collections.abc import Sequence
from typing import Final

PART_CHARACTERS: Final = 32_768
OVERLAP_CHARACTERS: Final = 256  # what is looked for is shorter, or known by its beginning
ESCAPES_UNDONE_MAX: Final = 3  # JSON in a string in JSON: arguments of a tool whose own argument is JSON

# An unbroken run of so much base64 is a medium and no text.
_INLINE_PAYLOAD: Final = re.compile(rb";base64,[A-Za-z0-9+/=]{256,}")
_FIELD_PAYLOAD: Final = re.compile(rb'"data"[ \t\r\n]*:[ \t\r\n]*"[A-Za-z0-9+/=]{256,}"')
_PUNCTUATION: Final = b".,!?;:\"'()[]{}<>`*/|\\=#&~%^$@_+-"
_NO_PUNCTUATION: Final = bytes.maketrans(_PUNCTUATION, b" " * len(_PUNCTUATION))
_OTHER_PUNCTUATION: Final = "“”‘’«»„–—…。，！？；：、「」『』《》（）【】¿¡،؛؟।\u00a0"
# An escaped backslash is set aside, or what follows it would be read as escaped.
_BACKSLASH: Final = "\x00"
_ESCAPES: Final = (("\\n", "\n"), ('\\"', '"'), ("\\t", "\t"), ("\\r", "\n"), ("\\/", "/"), ("\\b", " "), ("\\f", " "))


class Prose:
    """Text with its words: runs of letters and digits, lowered. Never changed once made."""

    __slots__ = ("_in_order", "_spaced", "lowered", "odd_words", "text", "words")

    def __init__(self, text: str) -> None:
        self.text = text
        self.lowered = _lowered(text)
        self._in_order = _parted(self.lowered)
        self._spaced = ""
        self.words = frozenset(self._in_order)
        # Not of letters alone: every digit of the text stands in one.
        self.odd_words = [word for word in self.words if not word.isalpha()]

    @property
    def spaced(self) -> str:
        """The words in their order, each between single spaces."""
        if not self._spaced:
            self._spaced = f" {' '.join(self._in_order)} "
        return self._spaced


def prose_of(content: bytes) -> Sequence[Prose]:
    """Read the text of a request's JSON, in parts where it is long."""
    if b"base64" in content:
        content = _FIELD_PAYLOAD.sub(b'""', _INLINE_PAYLOAD.sub(b"", content))
    text = content.decode(errors="replace")
    for _ in range(ESCAPES_UNDONE_MAX):
        if "\\" not in text:
            break
        text = _unescaped(text)
    return parts_of(text)


def parts_of(text: str) -> Sequence[Prose]:
    """Cut a long text into parts that overlap: each is read in short calls, between which others may run."""
    if len(text) <= PART_CHARACTERS:
        return (Prose(text),)
    starts = range(0, len(text), PART_CHARACTERS)
    return [Prose(text[max(0, start - OVERLAP_CHARACTERS) : start + PART_CHARACTERS]) for start in starts]


def _lowered(text: str) -> str:
    lowered = text.lower()
    # Turkish writes a dot over its large i, which Unicode keeps apart from the small one.
    return lowered if lowered.isascii() else lowered.replace("i\u0307", "i")


def _parted(lowered: str) -> list[str]:
    parted = lowered.encode(errors="replace").translate(_NO_PUNCTUATION).decode()
    if not parted.isascii():
        for mark in _OTHER_PUNCTUATION:
            if mark in parted:
                parted = parted.replace(mark, " ")
    return parted.split()


def _unescaped(text: str) -> str:
    if "\\\\" in text:
        text = text.replace("\\\\", _BACKSLASH)
    if "\\u" in text:
        # Joins escaped pairs; what else is escaped keeps its backslash, since raw escapes are of code points alone.
        text = text.encode("raw_unicode_escape").decode("raw_unicode_escape", errors="replace")
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", errors="replace")
    for escape, character in _ESCAPES:
        if "\\" not in text:
            break
        text = text.replace(escape, character)
    return text.replace(_BACKSLASH, "\\")
