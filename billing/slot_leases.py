"""How many requests of a caller run at once in this process, out of the slots that the database lent it.

Used by `Concurrency`. Pure: time is passed in. Invariants: a request holds a slot of every limit that covers it or
of none; no more are held of a limit than are lent, and only while the lease outlasts the request's deadline; a
slot that nobody gave back ends with its request's deadline.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from billing.errors import ConcurrencyLimited

# How long requests may begin under a lease. It ends a request's deadline later.
BEGIN_S: Final = 120
# How long a limit that was full is not asked about again.
FULL_NS: Final = 200_000_000
LEASES_MAX: Final = 50_000
NS_PER_S: Final = 1_000_000_000


class ConcurrencyLimit(msgspec.Struct, frozen=True, kw_only=True):
    """So many requests at once, for what `scope` says in words."""

    tenant_id: UUID
    limit_id: UUID
    slots_max: int
    scope: str


@dataclass(slots=True)
class Lease:
    """What the database lent of one limit."""

    limit: ConcurrencyLimit
    slots: int = 0
    used: int = 0
    spare: int = 0  # how many may be kept idle
    begins_until_ns: int = 0
    full_until_ns: int = 0

    def has_room(self, now_ns: int) -> bool:
        """Whether one more request may begin."""
        return self.used < self.slots and now_ns < self.begins_until_ns

    @property
    def has_too_many(self) -> bool:
        """Whether so many are idle that others should have them."""
        return self.slots - self.used > 2 * self.spare


class SlotLeases:
    """The leases of a process, by limit, and the requests that hold slots of them."""

    def __init__(self, *, deadline_s: float) -> None:
        self._deadline_ns = int(deadline_s * NS_PER_S)
        self._leases: dict[UUID, Lease] = {}
        self._held: dict[UUID, tuple[int, list[Lease]]] = {}  # by request, with the moment at which it ends

    @property
    def has_any(self) -> bool:
        """Whether anything was ever lent."""
        return bool(self._leases)

    def enter(self, request_id: UUID, limits: Sequence[ConcurrencyLimit], now_ns: int) -> list[Lease]:
        """Hold a slot of each limit; for those that are returned the database must be asked, then `lend` and `hold`.

        Raises ConcurrencyLimited for a limit that was full a moment ago; then nothing is held.
        """
        leases = [self._lease(limit) for limit in limits]
        if not all(lease.has_room(now_ns) for lease in leases):
            self._end_overdue(now_ns)
        lacking = [lease for lease in leases if not lease.has_room(now_ns)]
        for lease in lacking:
            if now_ns < lease.full_until_ns:
                raise ConcurrencyLimited(lease.limit.scope, lease.limit.slots_max)
        held = [lease for lease in leases if lease.has_room(now_ns)] if lacking else leases
        for lease in held:
            lease.used += 1
        self._held[request_id] = (now_ns + self._deadline_ns, held)
        return lacking

    def lend(self, lease: Lease, now_ns: int) -> bool:
        """Give a slot to a request that waits for it, if there is one; it is held, or given back by `take_back`."""
        if not lease.has_room(now_ns):
            return False
        lease.used += 1
        return True

    def hold(self, request_id: UUID, lease: Lease) -> None:
        """Put down to a request what was lent to it."""
        self._held[request_id][1].append(lease)

    def leave(self, request_id: UUID) -> list[Lease]:
        """Let go of a request's slots, once; what is returned holds more than this process should keep."""
        _, leases = self._held.pop(request_id, (0, ()))
        return [lease for lease in leases if self.take_back(lease)]

    def take_back(self, lease: Lease) -> bool:
        """Take back one slot; tell whether more are idle now than this process should keep."""
        lease.used -= 1
        lease.full_until_ns = 0
        return lease.has_too_many

    def freeze(self, lease: Lease) -> int:
        """Let nobody begin until the database has answered; return how many run."""
        lease.slots = lease.used
        return lease.used

    def keep(self, lease: Lease, *, granted: int, spare: int, is_enough: bool, asked_at_ns: int) -> None:
        """Take in what the database lent."""
        lease.slots, lease.spare = granted, spare
        lease.begins_until_ns = asked_at_ns + BEGIN_S * NS_PER_S
        lease.full_until_ns = 0 if is_enough else asked_at_ns + FULL_NS

    def forget_unused(self, now_ns: int) -> None:
        """Drop leases that ended and that nobody uses, when there are many."""
        if len(self._leases) > LEASES_MAX:
            stale = [key for key, lease in self._leases.items() if not lease.used and now_ns > lease.begins_until_ns]
            for key in stale:
                del self._leases[key]

    def _lease(self, limit: ConcurrencyLimit) -> Lease:
        lease = self._leases.get(limit.limit_id)
        if lease is None:
            lease = self._leases[limit.limit_id] = Lease(limit)
        elif lease.limit is not limit:
            if lease.limit.slots_max != limit.slots_max:
                lease.begins_until_ns = 0  # what was lent was lent under another limit
            lease.limit = limit
        return lease

    def _end_overdue(self, now_ns: int) -> None:
        """End what nobody ended. Requests stand in the order of their beginning."""
        while self._held:
            request_id, (ends_at_ns, _) = next(iter(self._held.items()))
            if now_ns < ends_at_ns:
                return
            self.leave(request_id)
