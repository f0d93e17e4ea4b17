"""Server-sent events cut into whole events, however the bytes arrive. Pure; used by every dialect.

Invariant: the events do not depend on where the chunks were cut.
"""

import re
from typing import Final, NamedTuple

from app.providers.errors import AnswerTooLarge

EVENT_BYTES_MAX: Final = 8 * 1024 * 1024
# Atomic, so that one CRLF is never read as two line ends.
_BLANK_LINE: Final = re.compile(rb"(?>\r\n|\n|\r){2}")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_LONGEST_BLANK_LINE: Final = 4
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its name (empty when not given) and its data lines joined."""

    name: bytes
    data: bytes


class EventSplitter:
    """Collects bytes and gives back whole event blocks without their blank line."""

    def __init__(self, *, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._event_bytes_max = event_bytes_max
        self._rest = b""
        self._searched = 0
        self._is_first = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take bytes; return the blocks they complete. Raises AnswerTooLarge for an event without an end."""
        text = self._rest + chunk if self._rest else chunk
        blocks = []
        start = 0
        for blank in _BLANK_LINE.finditer(text, self._searched):
            # A CR at the very end may be half of a CRLF: wait for the next byte.
            if blank.end() == len(text) and text.endswith(b"\r"):
                break
            blocks.append(self._without_mark(text[start : blank.start()]))
            start = blank.end()
        self._rest = text[start:]
        self._searched = max(0, len(self._rest) - _LONGEST_BLANK_LINE)
        if len(self._rest) > self._event_bytes_max:
            raise AnswerTooLarge(f"One event of the stream is larger than {self._event_bytes_max} bytes.")
        return [block for block in blocks if block]

    def rest(self) -> bytes:
        """The bytes after the last whole event."""
        return self._rest.strip(b"\r\n")

    def _without_mark(self, block: bytes) -> bytes:
        if self._is_first:
            self._is_first = False
            block = block.removeprefix(_BYTE_ORDER_MARK)
        return block.lstrip(b"\r\n")


def read_event(block: bytes) -> Event:
    """Read a block's fields; comments and unknown fields are skipped."""
    if block.startswith(b"data:") and b"\n" not in block and b"\r" not in block:
        return Event(b"", block[5:].lstrip(b" "))
    name, data = b"", []
    for line in _LINE_END.split(block):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.strip()
    return Event(name, b"\n".join(data))
