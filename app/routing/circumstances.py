"""What a decision depends on beside the request, the policy and the budget: its draw, and what was measured lately.

Made by `decide`, read by `ranking`. Invariant: a record keeps what was used of it, so that the decision can be
computed again when the circumstances are gone.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Final
from uuid import UUID

import msgspec

from app.routing.candidate import Candidate
from app.routing.conditions import Situation

DRAW_BYTES: Final = 8
DRAWS: Final = 1 << 8 * DRAW_BYTES
NO_REQUEST: Final = UUID(int=0)

# Of a candidate, for a stream (then: to its first token) or a whole answer; None: nothing was measured lately.
LatencyOf = Callable[[Candidate, bool], int | None]


def unmeasured(_candidate: Candidate, _is_streamed: bool) -> int | None:
    """Know no latency."""
    return None


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """The circumstances of one request."""

    request_id: UUID = NO_REQUEST
    session: str | None = None
    rule: str = ""  # with its policy: keeps what is drawn for one rule apart from what is drawn for another
    latency_ms_of: LatencyOf = unmeasured
    situation: Situation | None = None  # what answer tables look at

    def draw(self) -> str:
        """Draw 16 hexadecimal digits, the same for every request of a session, else for the request alone.

        A session's name cannot be read out of them.
        """
        drawn_for = self.session or str(self.request_id)
        return blake2b(f"{self.rule}\n{drawn_for}".encode(), digest_size=DRAW_BYTES).hexdigest()


QUIET: Final = Circumstances()


def uniform(draw: str, text: str) -> float:
    """Give a number above 0 and up to 1 that a draw and a text have in common with no other."""
    drawn = blake2b(text.encode(), digest_size=DRAW_BYTES, key=draw.encode()).digest()
    return (int.from_bytes(drawn, "big") + 1) / DRAWS
