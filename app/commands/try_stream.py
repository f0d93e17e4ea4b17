"""Reads one stream of server-sent events as far as `signalbox try` needs it: its first text, usage, end, error.

Invariant: amounts are read as exact decimals.
"""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from time import monotonic
from typing import Any, Final

import aiohttp

EVENT_BYTES_MAX: Final = 4 * 1024 * 1024
PREFIX: Final = b"data:"
END: Final = b"[DONE]"


@dataclass(slots=True)
class StreamRead:
    """What a stream held."""

    usage: dict[str, Decimal | int] = field(default_factory=dict)
    error: object = None
    is_ended: bool = False
    first_token_at: float | None = None  # monotonic seconds

    def take(self, event: bytes) -> None:
        """Read one event."""
        for line in event.splitlines():
            if line.startswith(PREFIX):
                self._take_data(line.removeprefix(PREFIX).strip())

    def _take_data(self, data: bytes) -> None:
        if data == END:
            self.is_ended = True
            return
        chunk: Any = json.loads(data, parse_float=Decimal)
        if not isinstance(chunk, dict):
            return
        self.error = chunk.get("error") or self.error
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self.usage = {name: value for name, value in usage.items() if isinstance(value, Decimal | int)}
        if self.first_token_at is None and any(_has_text(choice) for choice in chunk.get("choices", ())):
            self.first_token_at = monotonic()


async def read_stream(content: aiohttp.StreamReader) -> StreamRead:
    """Read a stream to its end. What is not an event of ours ends the reading without `is_ended`."""
    read = StreamRead()
    waiting = b""
    async for chunk in content.iter_any():
        *events, waiting = (waiting + chunk).split(b"\n\n")
        try:
            for event in events:
                read.take(event)
        except ValueError:
            return read
        if len(waiting) > EVENT_BYTES_MAX:
            return read
    return read


def _has_text(choice: Any) -> bool:
    delta = choice.get("delta") if isinstance(choice, dict) else None
    return isinstance(delta, dict) and bool(delta.get("content"))
