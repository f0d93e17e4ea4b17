"""A bounded cache that is loaded on demand and dropped by tenant; the snapshot is made of these.

Invariant: a value that was read before its tenant changed is never kept after the change, also when
the change arrives while the value is still being read.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(slots=True, eq=False)
class _Load(Generic[Value]):
    """A value being read, and what changed meanwhile."""

    task: "asyncio.Task[tuple[UUID, Value] | None]"
    dropped: set[UUID] = field(default_factory=set)
    is_cleared: bool = False


class TenantCache(Generic[Key, Value]):
    """The least recently used entries leave first; concurrent calls for one key share one load."""

    def __init__(self, load: Callable[[Key], Awaitable[tuple[UUID, Value] | None]], *, entries_max: int) -> None:
        """`load` gives the tenant that the value belongs to, and the value; None when there is none."""
        self._load = load
        self._entries_max = entries_max
        self._entries: OrderedDict[Key, tuple[UUID, Value]] = OrderedDict()
        self._keys_of: dict[UUID, set[Key]] = {}
        self._newest_load: dict[Key, _Load[Value]] = {}
        self._loads: set[_Load[Value]] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def cached(self, key: Key) -> Value | None:
        """The value, if it is in memory."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[1]

    async def get(self, key: Key) -> Value | None:
        """The value, from memory or loaded. What does not exist is not remembered."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
            return entry[1]
        load = self._newest_load.get(key) or self._start(key)
        # Shielded: a caller that goes away does not take the others' answer with it.
        loaded = await asyncio.shield(load.task)
        return loaded[1] if loaded else None

    def drop_tenant(self, tenant_id: UUID) -> None:
        """Forget what belongs to a tenant, and do not keep what is being read of it."""
        for key in self._keys_of.pop(tenant_id, ()):
            del self._entries[key]
        for load in self._loads:
            load.dropped.add(tenant_id)
        # Whoever asks from now on must not join a read that began before the change.
        self._newest_load.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._keys_of.clear()
        for load in self._loads:
            load.is_cleared = True
        self._newest_load.clear()

    def _start(self, key: Key) -> _Load[Value]:
        load: _Load[Value] = _Load(asyncio.ensure_future(self._load(key)))
        self._loads.add(load)
        self._newest_load[key] = load
        load.task.add_done_callback(lambda task: self._finish(key, load))
        return load

    def _finish(self, key: Key, load: _Load[Value]) -> None:
        self._loads.discard(load)
        if self._newest_load.get(key) is load:
            del self._newest_load[key]
        if load.task.cancelled() or load.task.exception() is not None:
            return
        loaded = load.task.result()
        if loaded is not None and not load.is_cleared and loaded[0] not in load.dropped:
            self._put(key, loaded)

    def _put(self, key: Key, entry: tuple[UUID, Value]) -> None:
        self._entries[key] = entry
        self._keys_of.setdefault(entry[0], set()).add(key)
        if len(self._entries) > self._entries_max:
            oldest, (tenant_id, _) = self._entries.popitem(last=False)
            keys = self._keys_of[tenant_id]
            keys.discard(oldest)
            if not keys:
                del self._keys_of[tenant_id]
