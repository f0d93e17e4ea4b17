"""How fast each model behind each credential was lately: what `fastest`, `balanced` and a latency limit go by.

Told by `attempts` of each answer, asked by `decide`. In memory, bounded, of this process alone. Invariant: what was
not measured for `FORGOTTEN_S` is not known.
"""

from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import Final
from uuid import UUID

from app.routing import Candidate

# The newest answer counts for a fifth: about ten answers later a change has come through.
NEWEST_SHARE: Final = 0.2
FORGOTTEN_S: Final = 600.0
MEASURED_MAX: Final = 10_000


@dataclass(slots=True)
class _Measured:
    mean_ms: float
    at: float  # monotonic seconds


class Pace:
    """Decayed means of latencies: to the first token of streams, and of whole answers."""

    def __init__(self) -> None:
        self._measured: OrderedDict[tuple[UUID, str, bool], _Measured] = OrderedDict()

    def took(self, candidate: Candidate, latency_ms: int, *, is_streamed: bool, now: float) -> None:
        """Note that a candidate answered after so long. `now` is monotonic seconds."""
        key = (candidate.credential_id, candidate.model, is_streamed)
        measured = self._measured.get(key)
        if measured is None or now - measured.at > FORGOTTEN_S:
            self._measured[key] = _Measured(latency_ms, now)
            if len(self._measured) > MEASURED_MAX:
                self._measured.popitem(last=False)
            return
        measured.mean_ms += NEWEST_SHARE * (latency_ms - measured.mean_ms)
        measured.at = now

    def latency_ms(self, candidate: Candidate, is_streamed: bool) -> int | None:
        """The candidate's latency lately, in whole milliseconds; None where nothing is known."""
        return self.latency_ms_at(candidate, is_streamed, monotonic())

    def latency_ms_at(self, candidate: Candidate, is_streamed: bool, now: float) -> int | None:
        """The same at a moment of the monotonic clock."""
        measured = self._measured.get((candidate.credential_id, candidate.model, is_streamed))
        if measured is None or now - measured.at > FORGOTTEN_S:
            return None
        return round(measured.mean_ms)
