"""So many at once, shared out so that no tenant takes all of them. Used by the connection pool.

A tenant may take a slot while it holds less than four times what is free (the dynamic threshold of Choudhury and
Hahne, IEEE/ACM Transactions on Networking 6(2), 1998): alone it gets four fifths, two get four ninths each, and
something is always left for who comes next. Invariants: a slot that is free and wanted by somebody who may have it
is not free; whose turn it is goes round the tenants, and by the order of coming within each.
"""

import asyncio
from collections import OrderedDict, deque
from typing import Final
from uuid import UUID

SHARE_OF_FREE: Final = 4


class Slots:
    """Slots of one kind. Who may have none now is served in turn."""

    __slots__ = ("_held", "_waiters", "free")

    def __init__(self, count: int) -> None:
        self.free = count
        self._held: dict[UUID, int] = {}
        # The tenant that was served longest ago stands first.
        self._waiters: OrderedDict[UUID, deque[asyncio.Future[None]]] = OrderedDict()

    def may_take(self, tenant_id: UUID) -> bool:
        """Tell whether a tenant may have a slot now."""
        return self._held.get(tenant_id, 0) < SHARE_OF_FREE * self.free

    def take_now(self, tenant_id: UUID) -> None:
        """Take a slot that the tenant may have."""
        self.free -= 1
        self._held[tenant_id] = self._held.get(tenant_id, 0) + 1

    async def take(self, tenant_id: UUID) -> None:
        """Take a slot, or wait for one."""
        if self.may_take(tenant_id):
            self.take_now(tenant_id)
            return
        waiter = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(tenant_id, deque())
        waiters.append(waiter)
        try:
            await waiter
        except BaseException:
            if waiter.cancelled():
                if waiter in waiters:
                    waiters.remove(waiter)
                if not waiters and self._waiters.get(tenant_id) is waiters:
                    del self._waiters[tenant_id]
            else:
                # Given in the same turn in which the call was cancelled.
                self.give_back(tenant_id)
            raise

    def give_back(self, tenant_id: UUID) -> None:
        """Let go of a slot, and pass on what others may have by now."""
        self.free += 1
        left = self._held[tenant_id] - 1
        if left:
            self._held[tenant_id] = left
        else:
            del self._held[tenant_id]
        while self._waiters and self._serve_one():
            pass

    def _serve_one(self) -> bool:
        for tenant_id, waiters in self._waiters.items():
            while waiters and waiters[0].done():
                waiters.popleft()
            if not waiters:
                del self._waiters[tenant_id]
                return True
            if self.may_take(tenant_id):
                self.take_now(tenant_id)
                waiters.popleft().set_result(None)
                if waiters:
                    self._waiters.move_to_end(tenant_id)
                else:
                    del self._waiters[tenant_id]
                return True
        return False
