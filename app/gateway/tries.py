"""The order of one request's tries: which candidate and credential comes next, and after what pause.

Asked by `attempts`; no I/O. Invariants: never more calls than the limit; a candidate that the decision
did not rank is never tried; a repeat of the same candidate waits, and is paid from a budget.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import msgspec

from app.gateway.causes import CAUSES, Move
from app.gateway.health import Health
from app.providers import UpstreamError, UpstreamRefused
from app.routing import Ranked, RouteDecision
from tenants import CredentialFacts

PAUSE_S: Final = 0.25
PAUSE_S_MAX: Final = 4.0
# What needs a longer wait is passed on to the caller, who can wait at less cost.
WAIT_S_MAX: Final = 5.0
PAUSES_MAX: Final = 3


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate to call now, or after `wait_s`. `has_next`: another stands behind it; told to an impatient rule."""

    ranked: Ranked
    credential: CredentialFacts
    wait_s: float = 0.0
    has_next: bool = False


@dataclass(slots=True)
class _Standing:
    """What became of one candidate so far."""

    ranked: Ranked
    pool: Sequence[CredentialFacts]
    tried: set[UUID] = field(default_factory=set)
    is_out: bool = False
    was_called: bool = False
    may_repeat: bool = False  # its last failure may pass
    asked_wait_s: float | None = None

    @property
    def model(self) -> str:
        """The provider's name of the model."""
        return self.ranked.candidate.model

    @property
    def may_be_called_later(self) -> bool:
        """Whether a pause can help."""
        return not self.is_out and (self.may_repeat or not self.was_called)


class Tries:
    """One request's tries. `next` gives one, `failed` or `pass_over` says what became of it."""

    def __init__(
        self,
        decision: RouteDecision,
        pools: Mapping[UUID, Sequence[CredentialFacts]],
        health: Health,
        *,
        tries_max: int,
    ) -> None:
        self._ranked = decision.ranked
        self._pools = pools
        self._standings: list[_Standing] = []  # of the first candidates, as far as they were looked at
        self._moves_on_refusal = decision.moves_on_refusal
        self._is_impatient = decision.first_token_ms_max is not None
        self._health = health
        self._left = tries_max
        self._pauses = 0
        self._current: tuple[_Standing, CredentialFacts] | None = None

    def next(self, now: float) -> Try | None:
        """The next try; None when nothing is left. `now` is monotonic seconds."""
        if self._left <= 0:
            return None
        for place in range(len(self._ranked)):
            standing = self._standing(place)
            credential = self._choose(standing, now)
            if credential is not None:
                return self._take(standing, credential, has_next=self._has_next(place, now))
        return self._later(now)

    def failed(self, error: UpstreamError) -> None:
        """The try that `next` gave last was called, and failed so."""
        standing, _ = self._present()
        self._left -= 1
        cause = CAUSES[error.kind]
        standing.was_called = True
        standing.may_repeat = cause.may_repeat
        standing.asked_wait_s = error.retry_after_s if isinstance(error, UpstreamRefused) else None
        match cause.move:
            case Move.STOP:
                self._left = 0
            case Move.AS_POLICY_SAYS:
                standing.is_out = True
                self._left = self._left if self._moves_on_refusal else 0
            case Move.LONGER:
                self._drop_shorter(standing)
            case Move.NEXT:
                pass

    def pass_over(self, *, whole_candidate: bool) -> None:
        """The try that `next` gave last was not called: no budget for its bound, or another call probes."""
        standing, credential = self._present()
        standing.tried.add(credential.credential_id)
        standing.is_out = standing.is_out or whole_candidate

    def soonest_s(self, now: float) -> float:
        """Seconds until some candidate may be called again, to tell the caller when nothing could be called."""
        waits = [
            self._health.wait_s(credential.credential_id, ranked.candidate.model, now)
            for ranked in self._ranked
            for credential in self._pools[ranked.candidate.credential_id]
        ]
        return min(waits, default=0.0)

    def _take(self, standing: _Standing, credential: CredentialFacts, *, has_next: bool, wait_s: float = 0.0) -> Try:
        standing.tried.add(credential.credential_id)
        self._current = (standing, credential)
        return Try(ranked=standing.ranked, credential=credential, wait_s=wait_s, has_next=has_next)

    def _standing(self, place: int) -> _Standing:
        while place >= len(self._standings):
            ranked = self._ranked[len(self._standings)]
            self._standings.append(_Standing(ranked, self._pools[ranked.candidate.credential_id]))
        return self._standings[place]

    def _choose(self, standing: _Standing, now: float) -> CredentialFacts | None:
        if standing.is_out:
            return None
        return self._health.choose(standing.pool, standing.model, standing.tried, now)

    def _has_next(self, place: int, now: float) -> bool:
        if self._left <= 1 or not self._is_impatient:
            return False
        return any(self._choose(self._standing(later), now) for later in range(place + 1, len(self._ranked)))

    def _later(self, now: float) -> Try | None:
        """Wait, when nothing can be called now: for a candidate that rests, or to ask again one that may recover."""
        if self._pauses >= PAUSES_MAX:
            return None
        self._pauses += 1
        pause_s = min(PAUSE_S_MAX, PAUSE_S * 2 ** (self._pauses - 1)) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        waits = [
            (max(wait_s, pause_s, standing.asked_wait_s or 0.0), place, credential)
            for place in range(len(self._ranked))
            if (standing := self._standing(place)).may_be_called_later
            for credential in standing.pool
            if (wait_s := self._health.wait_s(credential.credential_id, standing.model, now)) <= WAIT_S_MAX
        ]
        for wait_s, place, credential in sorted(waits, key=lambda each: each[:2]):
            standing = self._standings[place]
            is_repeat = standing.was_called
            if wait_s > WAIT_S_MAX or (
                is_repeat and not self._health.take_repeat(credential.credential_id, standing.model)
            ):
                continue
            return self._take(standing, credential, has_next=False, wait_s=wait_s)
        return None

    def _drop_shorter(self, failed: _Standing) -> None:
        """Keep only candidates that may hold what the failed one could not."""
        held = _context_tokens(failed.ranked)
        failed.is_out = True
        for place in range(len(self._ranked)):
            standing = self._standing(place)
            holds = _context_tokens(standing.ranked)
            if held is not None and holds is not None and holds <= held:
                standing.is_out = True

    def _present(self) -> tuple[_Standing, CredentialFacts]:
        assert self._current is not None, "next() gives a try before anything is said of it"
        return self._current


def _context_tokens(ranked: Ranked) -> int | None:
    price = ranked.candidate.price
    return price.context_tokens if price else None
