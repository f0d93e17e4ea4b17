"""A circuit breaker: a pure state machine over moments that the caller passes in.

Closed, it counts; open, it lets nothing through until its pause is over; then half open, it lets one
call probe. Invariant: at most one probe runs at a time, and whoever was let through says how it ended.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

# It opens when, of the last calls, this many and this share failed.
CALLS_WATCHED: Final = 20
WATCHED_FOR_S: Final = 30.0
FAILURES_LEAST: Final = 5
FAILURE_SHARE: Final = 0.5
PAUSE_S: Final = 2.0
PAUSE_S_MAX: Final = 60.0


class Ending(StrEnum):
    """How a call ended, as a breaker counts."""

    GOOD = "good"
    BAD = "bad"
    NEITHER = "neither"  # it says nothing of the provider: the caller left, or is itself at fault


@dataclass(slots=True)
class Breaker:
    """The breaker of one model behind one credential. Moments are monotonic seconds."""

    _calls: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=CALLS_WATCHED))
    _opened_until: float | None = None
    _pause_s: float = PAUSE_S
    _is_probing: bool = False

    def wait_s(self, now: float) -> float:
        """Seconds until a call is let through; 0: now. While a probe runs, the pause that its failure would bring."""
        if self._opened_until is None:
            return 0.0
        if self._is_probing:
            return self._pause_s
        return max(0.0, self._opened_until - now)

    def begin(self, now: float) -> bool:
        """Let a call through, if it may go; it must be followed by `end`."""
        if self._opened_until is None:
            return True
        if self._is_probing or now < self._opened_until:
            return False
        self._is_probing = True
        return True

    def end(self, now: float, ending: Ending, *, jitter: float = 1.0) -> None:
        """Say how a call ended that was let through. `jitter` spreads the probes of many processes."""
        if self._opened_until is not None:
            self._end_while_open(now, ending, jitter)
        elif ending is not Ending.NEITHER:
            self._calls.append((now, ending is Ending.BAD))
            if ending is Ending.BAD and self._has_failed_enough(now):
                self._open(now, jitter)

    def _end_while_open(self, now: float, ending: Ending, jitter: float) -> None:
        # A call that began before the breaker opened may end here too: a good one is as good as a probe's.
        if ending is Ending.GOOD:
            self._calls.clear()
            self._opened_until, self._pause_s, self._is_probing = None, PAUSE_S, False
        elif self._is_probing:
            self._is_probing = False
            if ending is Ending.BAD:
                self._pause_s = min(PAUSE_S_MAX, self._pause_s * 2)
                self._open(now, jitter)

    def _open(self, now: float, jitter: float) -> None:
        self._opened_until = now + self._pause_s * jitter
        self._calls.clear()

    def _has_failed_enough(self, now: float) -> bool:
        recent = [is_bad for at, is_bad in self._calls if now - at <= WATCHED_FOR_S]
        return sum(recent) >= max(FAILURES_LEAST, FAILURE_SHARE * len(recent))
