"""Keep the embedded server up while the program runs; a task of `signalbox up` and `signalbox serve`.

Its invariant: a server that keeps dying is not restarted for ever, it ends the program with its reason.
"""

import asyncio
import time
from collections import deque
from typing import Final

import structlog

from app.embedded.errors import EmbeddedPostgresFailed
from app.embedded.postgres import EmbeddedPostgres

POLL_S: Final = 0.25
RESTARTS_MAX: Final = 5
RESTARTS_WINDOW_S: Final = 300


async def keep_running(
    postgres: EmbeddedPostgres, *, restarts_max: int = RESTARTS_MAX, window_s: float = RESTARTS_WINDOW_S
) -> None:
    """Restart the server whenever it stops answering, until cancelled.

    Raises EmbeddedPostgresFailed when a start fails, or when `restarts_max` within `window_s` did not help.
    """
    log = structlog.get_logger("signalbox.embedded")
    restarted_at: deque[float] = deque()
    while True:
        await asyncio.sleep(POLL_S)
        if postgres.is_alive():
            continue
        while restarted_at and restarted_at[0] < time.monotonic() - window_s:
            restarted_at.popleft()
        if len(restarted_at) >= restarts_max:
            raise EmbeddedPostgresFailed(
                f"The embedded PostgreSQL died {restarts_max + 1} times within {window_s:g} s. "
                f"See the log in {postgres.log_folder}; free memory or disk may be short."
            )
        restarted_at.append(time.monotonic())
        log.warning("embedded_postgres_died", restarts=len(restarted_at), restarts_max=restarts_max)
        await asyncio.to_thread(postgres.start)
        log.info("embedded_postgres_restarted")
