"""The sandbox's own account of every call it served: the truth that metering is compared with.

Kept in memory (the newest) and, with a state folder, one JSON line per call. Invariant: one entry per
call that asked for an answer, whatever became of it, written before the last byte of that answer.
"""

from collections import deque
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from billing import Usage

CALLS_KEPT_MAX: Final = 100_000
LOG_NAME: Final = "calls.jsonl"


class CallOutcome(StrEnum):
    """How a call ended, as the sandbox saw it."""

    ANSWERED = "answered"
    REFUSED = "refused"  # an error status
    FAILED = "failed"  # a fault after 200: cut, error event, malformed
    CLIENT_GONE = "client_gone"


class CallEntry(msgspec.Struct, kw_only=True):
    """One call. `generated_tokens` were made; `output_tokens` and `cost_nano_usd` are what is charged."""

    sequence: int
    call_id: str
    attempt_id: str | None
    request_id: str | None
    provider_name: str
    model: str
    is_streamed: bool
    started_at: datetime
    outcome: CallOutcome = CallOutcome.REFUSED
    http_status: int | None = None
    fault: str | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    generated_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano_usd: int = 0
    is_fully_delivered: bool = False

    def usage(self) -> Usage:
        """The counts as billing knows them."""
        return Usage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cache_read_input_tokens=self.cached_tokens,
            reasoning_output_tokens=self.reasoning_tokens,
        )


class CallLog:
    """Every call, newest last."""

    def __init__(self, folder: Path | None = None) -> None:
        self._entries: deque[CallEntry] = deque(maxlen=CALLS_KEPT_MAX)
        self._file = None
        self._sequence = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            # Unbuffered and appending: a line is with the kernel when `write` returns, and survives kill -9.
            self._file = (folder / LOG_NAME).open("ab", buffering=0)

    def next_sequence(self) -> int:
        """A number for the next call of this process."""
        self._sequence += 1
        return self._sequence

    def write(self, entry: CallEntry) -> None:
        """Keep an entry whose call has ended."""
        self._entries.append(entry)
        if self._file is not None:
            self._file.write(msgspec.json.encode(entry) + b"\n")

    def entries(self, *, after: int = 0) -> list[CallEntry]:
        """The kept entries whose number is larger than `after`, as they ended."""
        return [entry for entry in self._entries if entry.sequence > after]

    def clear(self) -> None:
        """Forget the entries in memory; the file is kept."""
        self._entries.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
