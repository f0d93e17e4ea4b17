"""Hears of configuration changes: LISTEN for speed, and a poll of table `change` for certainty.

Run by the snapshot. Invariant: every committed change is reported within one poll interval, whatever
happens to the listener's connection; after a gap in listening everything is reported as changed.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from tenants.database import DATABASE_ERRORS, Database
from tenants.snapshot_repository import ping, select_changes

CHANNEL: Final = "signalbox_change"
# Stands for everyone: plans, prices, or "something was missed".
EVERYONE: Final = UUID(int=0)
# With the time that a poll and a fresh load take, a change is seen within five seconds.
POLL_INTERVAL_S: Final = 2.0
POLL_TIMEOUT_S: Final = 2.0
RECONNECT_INTERVAL_S: Final = 0.5
PING_TIMEOUT_S: Final = 5.0
# A row's `changed_at` is older than its commit; transactions longer than this could slip through a poll.
OVERLAP: Final = timedelta(seconds=60)

_log: Final[structlog.stdlib.BoundLogger] = structlog.get_logger(__name__)


class ChangeFeed:
    """Calls `on_change` with the tenant that changed; EVERYONE when anything may have."""

    def __init__(
        self,
        database: Database,
        on_change: Callable[[UUID], None],
        *,
        poll_interval_s: float = POLL_INTERVAL_S,
        is_listening: bool = True,
    ) -> None:
        """Without listening (behind a pooler that shares connections) the poll alone keeps the promise."""
        self._database = database
        self._on_change = on_change
        self._poll_interval_s = poll_interval_s
        self._is_listening = is_listening
        self._since: datetime | None = None
        self._seen: dict[UUID, datetime] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start to listen and to poll; returns at once, also when the database is away."""
        self._tasks = [asyncio.create_task(self._keep_polling(), name="change-poll")]
        if self._is_listening:
            self._tasks.append(asyncio.create_task(self._keep_listening(), name="change-listen"))

    async def stop(self) -> None:
        """Stop both and close the connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _keep_listening(self) -> None:
        while True:
            try:
                await self._listen_until_lost()
            except DATABASE_ERRORS as error:  # the next connection starts by reporting everything
                _log.warning("change_listener_lost", error_type=type(error).__name__)
            await asyncio.sleep(RECONNECT_INTERVAL_S)

    async def _listen_until_lost(self) -> None:
        connection = await self._database.listener()
        try:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, self._on_notice)
            # What changed while nobody listened is not known, so everything may have.
            self._on_change(EVERYONE)
            while not lost.is_set():
                try:
                    async with asyncio.timeout(self._poll_interval_s):
                        await lost.wait()
                except TimeoutError:
                    # A connection that died without a word only shows when it is used.
                    await ping(connection, timeout_s=PING_TIMEOUT_S)
            _log.warning("change_listener_lost", error_type="ConnectionClosed")
        finally:
            connection.terminate()

    def _on_notice(self, connection: object, pid: int, channel: str, payload: object) -> None:
        try:
            self._on_change(UUID(str(payload)))
        except ValueError:
            self._on_change(EVERYONE)

    async def _keep_polling(self) -> None:
        while True:
            try:
                async with asyncio.timeout(POLL_TIMEOUT_S):
                    await self._poll()
            except DATABASE_ERRORS as error:  # the next poll looks back to the last one that succeeded
                _log.warning("change_poll_failed", error_type=type(error).__name__)
            await asyncio.sleep(self._poll_interval_s)

    async def _poll(self) -> None:
        async with self._database.snapshot() as session:
            now, changed_at_by_tenant = await select_changes(session, self._since)
        self._since = now - OVERLAP
        seen, self._seen = self._seen, changed_at_by_tenant
        for tenant_id, changed_at in changed_at_by_tenant.items():
            if seen.get(tenant_id) != changed_at:
                self._on_change(tenant_id)
