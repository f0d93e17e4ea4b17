"""Server-sent events cut into whole events, however the bytes arrive. Pure; used by every dialect.

Invariant: the events do not depend on where the chunks were cut.
"""

import re
from typing import Final, NamedTuple

from app.providers.errors import AnswerTooLarge

EVENT_BYTES_MAX: Final = 8 * 1024 * 1024
# Two line ends, of which one CRLF is never both. Each branch begins with a letter, so that it is searched for fast.
_BLANK_LINE: Final = re.compile(rb"\n(?:\r\n?|\n)|\r(?:\n(?:\r\n?|\n)|\r\n?)")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_TAIL_BYTES: Final = 4  # the longest blank line's
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its name (empty when not given) and its data lines joined."""

    name: bytes
    data: bytes


class EventSplitter:
    """Collects bytes and gives back whole event blocks without their blank line."""

    def __init__(self, *, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._event_bytes_max = event_bytes_max
        self._pieces: list[bytes] = []  # of an event that has not ended yet
        self._size = 0
        self._tail = b""  # of the pieces: as much as can be the beginning of a blank line
        self._is_first = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take bytes; return the blocks they complete. Raises AnswerTooLarge for an event without an end."""
        # A long event is not put together before it ends: to do so for each chunk would take quadratic time.
        if self._pieces and not _BLANK_LINE.search(self._tail + chunk):
            self._keep(chunk)
            return []
        text = b"".join([*self._pieces, chunk]) if self._pieces else chunk
        blank_line = _blank_line_of(text)
        blocks = _cut(text) if blank_line is None else text.split(blank_line)
        rest = blocks.pop()
        self._pieces, self._size, self._tail = [], 0, b""
        if rest:
            self._keep(rest)
        if self._is_first and blocks:
            self._is_first = False
            blocks[0] = blocks[0].removeprefix(_BYTE_ORDER_MARK)
        return [trimmed for block in blocks if (trimmed := block.lstrip(b"\r\n"))]

    def rest(self) -> bytes:
        """The bytes after the last whole event."""
        return b"".join(self._pieces).strip(b"\r\n")

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        self._tail = (self._tail + piece[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        if self._size > self._event_bytes_max:
            raise AnswerTooLarge(f"One event of the stream is larger than {self._event_bytes_max} bytes.")


def read_event(block: bytes) -> Event:
    """Read a block's fields; comments and unknown fields are skipped."""
    name, line = b"", block
    if block.startswith(b"event: "):
        name, _, line = block.partition(b"\n")
        name = name[7:].strip()
    if line.startswith(b"data: ") and b"\n" not in line and b"\r" not in block:
        return Event(name, line[6:])
    return _read_lines(block)


def _read_lines(block: bytes) -> Event:
    name, data = b"", []
    for line in _LINE_END.split(block):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.strip()
    return Event(name, b"\n".join(data))


def _blank_line_of(text: bytes) -> bytes | None:
    """How a text ends its events, if all of its line ends are of one kind, as they are nearly always."""
    if b"\r" not in text:
        return b"\n\n"
    pairs = text.count(b"\r\n")
    return b"\r\n\r\n" if pairs == text.count(b"\r") == text.count(b"\n") else None


def _cut(text: bytes) -> list[bytes]:
    """Cut at blank lines of any kind; the last piece is what follows them."""
    pieces, start = [], 0
    for blank in _BLANK_LINE.finditer(text):
        # A CR at the very end may be half of a CRLF: wait for the next byte.
        if blank.end() == len(text) and text.endswith(b"\r"):
            break
        pieces.append(text[start : blank.start()])
        start = blank.end()
    return [*pieces, text[start:]]
