"""What this process has lately seen of each model behind each credential: breakers, rests, a budget of repeats.

Asked by `tries` before each call, told by `attempts` after it. In memory and bounded. Invariant: what it
holds only delays or reorders calls; it never widens what a request may reach.
"""

import math
import random
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog

from app.gateway.breaker import Breaker, Ending
from app.gateway.causes import CAUSES, Rest, is_impatience
from app.providers import FailureKind, UpstreamError, UpstreamRefused
from tenants import CredentialFacts

TARGETS_MAX: Final = 10_000
# Repeats of one candidate may add this share to its calls, and so many in a burst: a storm feeds itself.
REPEATS_PER_CALL: Final = 0.2
REPEATS_BURST: Final = 10.0
JITTER: Final = (0.8, 1.2)
# A provider may ask for an hour; whether it still means it is worth one call a minute.
REST_S_MAX: Final = 60.0
# They may be the request's own fault, as a 403 for `logprobs` is at OpenAI: while others are answered, they close
# nothing that tenants share.
_DOUBTFUL: Final = frozenset({FailureKind.AUTH, FailureKind.MODEL_NOT_FOUND})
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Target:
    """One model behind one credential."""

    breaker: Breaker = field(default_factory=Breaker)
    rests_until: float = 0.0
    repeats_left: float = REPEATS_BURST
    good_at: float = -math.inf


class Health:
    """The state of a process; one for each gateway. Moments are monotonic seconds."""

    def __init__(self) -> None:
        self._targets: OrderedDict[tuple[UUID, str], _Target] = OrderedDict()
        self._credentials_rest_until: OrderedDict[UUID, float] = OrderedDict()

    def choose(
        self, pool: Sequence[CredentialFacts], model: str, tried: Collection[UUID], now: float
    ) -> CredentialFacts | None:
        """One of the credentials that may be called now and was not tried, by weight; None when there is none."""
        if len(pool) == 1:
            [only] = pool
            is_ready = only.credential_id not in tried and self.wait_s(only.credential_id, model, now) <= 0
            return only if is_ready else None
        ready = [
            credential
            for credential in pool
            if credential.credential_id not in tried and self.wait_s(credential.credential_id, model, now) <= 0
        ]
        if len(ready) <= 1:
            return ready[0] if ready else None
        return random.choices(ready, [credential.weight for credential in ready])[0]  # noqa: S311 - no secret

    def wait_s(self, credential_id: UUID, model: str, now: float) -> float:
        """Seconds until the model behind the credential may be called; 0: now."""
        target = self._targets.get((credential_id, model))
        rest_s = self._credentials_rest_until.get(credential_id, 0.0) - now
        if target is None:
            return max(0.0, rest_s)
        return max(0.0, rest_s, target.rests_until - now, target.breaker.wait_s(now))

    def begin(self, credential_id: UUID, model: str, now: float) -> bool:
        """A call begins, unless another one probes already. When it is let through, `end` must follow."""
        target = self._target(credential_id, model)
        target.repeats_left = min(REPEATS_BURST, target.repeats_left + REPEATS_PER_CALL)
        return target.breaker.begin(now)

    def end(self, credential_id: UUID, model: str, now: float, error: BaseException | None) -> None:
        """A call that began has ended: well, with an upstream's error, or for a reason that is not the upstream's."""
        target = self._target(credential_id, model)
        if error is None:
            target.breaker.end(now, Ending.GOOD)
            target.good_at = now
        elif not isinstance(error, UpstreamError):
            target.breaker.end(now, Ending.NEITHER)
        else:
            cause = CAUSES[error.kind]
            is_bad = cause.trips_breaker and not is_impatience(error)
            jitter = random.uniform(*JITTER)  # noqa: S311 - no secret
            target.breaker.end(now, Ending.BAD if is_bad else Ending.NEITHER, jitter=jitter)
            self._rest(credential_id, target, now, error)
            if cause.alerts:
                log.error("credential_refused", credential_id=str(credential_id), model=model, reason=error.kind)

    def take_repeat(self, credential_id: UUID, model: str) -> bool:
        """Take one repeat off the budget of the model behind the credential, if one is left."""
        target = self._target(credential_id, model)
        if target.repeats_left < 1:
            return False
        target.repeats_left -= 1
        return True

    def _rest(self, credential_id: UUID, target: _Target, now: float, error: UpstreamError) -> None:
        cause = CAUSES[error.kind]
        asked_s = error.retry_after_s if isinstance(error, UpstreamRefused) else None
        rest_s = min(REST_S_MAX, cause.rest_s if asked_s is None else asked_s)
        if asked_s is not None and error.kind is FailureKind.OVERLOADED:
            target.rests_until = now + rest_s
        match cause.rest:
            case Rest.MODEL if error.kind in _DOUBTFUL and now - target.good_at < REST_S_MAX:
                pass
            case Rest.MODEL:
                target.rests_until = now + rest_s
            case Rest.CREDENTIAL:
                self._credentials_rest_until[credential_id] = now + cause.rest_s
                _bound(self._credentials_rest_until)

    def _target(self, credential_id: UUID, model: str) -> _Target:
        key = (credential_id, model)
        target = self._targets.get(key)
        if target is None:
            target = self._targets[key] = _Target()
            _bound(self._targets)
        return target


def _bound(kept: OrderedDict[tuple[UUID, str], _Target] | OrderedDict[UUID, float]) -> None:
    if len(kept) > TARGETS_MAX:
        kept.popitem(last=False)
