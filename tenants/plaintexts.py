"""Opened secrets, for a few minutes: decrypting one costs more than all else that authenticates a call.

Used by the snapshot. Invariants: no secret stays longer than MAX_AGE_S after it was opened, whether or not
it is asked for again; one whose ciphertext has changed is never given.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from uuid import UUID

MAX_AGE_S: Final = 300.0
SECRETS_MAX: Final = 1_000


class Plaintexts:
    """Bounded; the oldest leaves first. `now` is monotonic seconds."""

    def __init__(self, now: Callable[[], float], *, secrets_max: int = SECRETS_MAX) -> None:
        self._now = now
        self._secrets_max = secrets_max
        self._opened: OrderedDict[UUID, tuple[bytes, float, str]] = OrderedDict()  # in the order of opening
        self._purge: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._opened)

    def get(self, credential_id: UUID, sealed: bytes) -> str | None:
        """The secret that this ciphertext holds, if it was opened lately."""
        entry = self._opened.get(credential_id)
        if entry is None or entry[0] != sealed or self._now() - entry[1] > MAX_AGE_S:
            return None
        return entry[2]

    def put(self, credential_id: UUID, sealed: bytes, secret: str) -> None:
        """Keep a secret that was opened now."""
        self._opened.pop(credential_id, None)
        self._opened[credential_id] = (sealed, self._now(), secret)
        if len(self._opened) > self._secrets_max:
            self._opened.popitem(last=False)
        if self._purge is None:
            self._purge = asyncio.get_running_loop().call_later(MAX_AGE_S, self._drop_old)

    def clear(self) -> None:
        """Forget everything."""
        self._opened.clear()
        if self._purge is not None:
            self._purge.cancel()
            self._purge = None

    def _drop_old(self) -> None:
        self._purge = None
        now = self._now()
        while self._opened and now - next(iter(self._opened.values()))[1] >= MAX_AGE_S:
            self._opened.popitem(last=False)
        if self._opened:
            left_s = MAX_AGE_S - (now - next(iter(self._opened.values()))[1])
            self._purge = asyncio.get_running_loop().call_later(left_s, self._drop_old)
