"""What the database granted ahead: a second's share of a tenant's request rate, and the headroom it told.

Used by `CommitMeter`, so that a busy tenant's requests are mostly admitted from memory. Pure: time is passed
in, and only differences of it are used. Invariants: no window of time sees more than the plan's rate and
burst, whatever the processes keep; nothing is told that is older than a second.

Why no window sees more: the bucket in the database empties at the plan's rate, and what was granted lies in
it from the moment it was granted. Here a grant shrinks at that same rate, used or not, so that what is left of
it is always still in the bucket, where it keeps others from being granted the same.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from billing.errors import RateLimited
from billing.meter import Admission, AdmissionRequest

ALLOWANCES_MAX: Final = 50_000
AGE_NS_MAX: Final = 1_000_000_000
# A budget that has no room for this many of the caller's dearest call so far is read anew for each request.
ROOM_FOR_CALLS: Final = 16
NS_PER_MINUTE: Final = 60_000_000_000
NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The database's answer to one caller that asked for some admissions at once."""

    granted: int
    remaining: int
    retry_after_ms: int
    reset_ms: int
    headroom_nano_usd: int | None
    unspent_nano_usd: int | None
    prefers_cheaper: bool = False


@dataclass(slots=True)
class _Allowance:
    request: AdmissionRequest
    grant: Grant
    asked_at_ns: int
    taken: int  # used, or emptied unused
    dearest_nano_usd: int  # the largest amount that this caller reserved; 0: none yet

    def empty(self, age_ns: int) -> None:
        """Let go of what the bucket has emptied of the grant since; what was used of it has gone already."""
        self.taken = max(self.taken, -(-age_ns * self.request.requests_per_minute // NS_PER_MINUTE))

    def is_scarce(self) -> bool:
        """Whether the tightest budget leaves so little, for calls like the caller's, that each must look anew."""
        headroom = self.grant.headroom_nano_usd
        return headroom is not None and not 0 < self.dearest_nano_usd * ROOM_FOR_CALLS <= headroom


class Allowances:
    """Grants by API key, the ones used longest ago are forgotten."""

    def __init__(self, *, allowances_max: int = ALLOWANCES_MAX) -> None:
        self._allowances_max = allowances_max
        self._by_key: OrderedDict[UUID, _Allowance] = OrderedDict()

    def take(self, request: AdmissionRequest, now_ns: int) -> Admission | None:
        """Admit one request from memory; None: ask the database. Raises RateLimited while it would refuse."""
        allowance = self._by_key.get(request.api_key_id)
        if allowance is None:
            return None
        age_ns = now_ns - allowance.asked_at_ns
        grant = allowance.grant
        if age_ns > AGE_NS_MAX or allowance.request != request:
            return None
        if grant.granted == 0 and age_ns < grant.retry_after_ms * NS_PER_MS:
            raise refusal(request, grant, age_ns)
        allowance.empty(age_ns)
        if allowance.is_scarce() or allowance.taken >= grant.granted:
            return None
        allowance.taken += 1
        return admission(request, grant, grant.granted - allowance.taken, age_ns)

    def keep(self, request: AdmissionRequest, grant: Grant, asked_at_ns: int, taken: int) -> None:
        """Remember a grant that was asked for at a moment and of which some is taken."""
        known = self._by_key.get(request.api_key_id)
        dearest_nano_usd = known.dearest_nano_usd if known else 0
        self._by_key[request.api_key_id] = _Allowance(request, grant, asked_at_ns, taken, dearest_nano_usd)
        self._by_key.move_to_end(request.api_key_id)
        if len(self._by_key) > self._allowances_max:
            self._by_key.popitem(last=False)

    def see(self, api_key_id: UUID, amount_nano_usd: int) -> None:
        """Learn how much a call of this caller may cost."""
        allowance = self._by_key.get(api_key_id)
        if allowance is not None and amount_nano_usd > allowance.dearest_nano_usd:
            allowance.dearest_nano_usd = amount_nano_usd

    def drop(self, tenant_id: UUID) -> None:
        """Forget a tenant's grants: something about its budgets has changed."""
        for key in [key for key, kept in self._by_key.items() if kept.request.tenant_id == tenant_id]:
            del self._by_key[key]


def admission(request: AdmissionRequest, grant: Grant, left: int, age_ns: int) -> Admission:
    """What an admitted request is told, when `left` of its grant are left."""
    return Admission(
        rate_limit=request.requests_per_minute,
        rate_remaining=grant.remaining + left,
        rate_reset_ms=max(0, grant.reset_ms - age_ns // NS_PER_MS),
        headroom_nano_usd=grant.headroom_nano_usd,
        unspent_nano_usd=grant.unspent_nano_usd,
        prefers_cheaper=grant.prefers_cheaper,
    )


def refusal(request: AdmissionRequest, grant: Grant, age_ns: int) -> RateLimited:
    """What a refused request is told, that long after the database said so."""
    return RateLimited(
        requests_per_minute=request.requests_per_minute,
        retry_after_ms=max(1, grant.retry_after_ms - age_ns // NS_PER_MS),
        reset_ms=max(0, grant.reset_ms - age_ns // NS_PER_MS),
    )
