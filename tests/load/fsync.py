"""How long PostgreSQL waits for its log to reach the disk, by its own clock.

Called by the bench around a load. Invariant: nothing is counted before `time_wal` was called.
"""

from pathlib import Path

import asyncpg
import msgspec

from app.embedded.postgres import SUPERUSER


class Flushed(msgspec.Struct, frozen=True):
    """Flushes of the write-ahead log so far, and the time they took."""

    count: int
    seconds: float

    def since(self, earlier: "Flushed") -> "Flushed":
        """What happened between the two."""
        return Flushed(self.count - earlier.count, self.seconds - earlier.seconds)


async def time_wal(socket_folder: Path) -> None:
    """Have the server clock its log from now on."""
    connection = await _connect(socket_folder)
    await connection.execute("ALTER SYSTEM SET track_wal_io_timing = on")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


async def flushed(socket_folder: Path) -> Flushed:
    """Read the clock. The last second may be missing: a session of PostgreSQL tells what it did once a second."""
    connection = await _connect(socket_folder)
    # PostgreSQL 18 counts the log's flushes here; 15 to 17 counted them in pg_stat_wal.
    count, milliseconds = await connection.fetchrow(
        "SELECT coalesce(sum(fsyncs), 0), coalesce(sum(fsync_time), 0) FROM pg_stat_io WHERE object = 'wal'"
    )
    await connection.close()
    return Flushed(int(count), float(milliseconds) / 1000)


async def _connect(socket_folder: Path) -> asyncpg.Connection:
    return await asyncpg.connect(host=str(socket_folder), user=SUPERUSER, database="postgres")
