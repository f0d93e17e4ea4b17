"""How rollup rows merge, and the jobs over what is stored: folding many writers into one, partitions ahead.

The jobs are called by the worker, over the pool of `signalbox_meter`. Both may run at any time, in several
processes at once, while requests are being settled.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from billing.rollups import RollupRow
from tenants import Database

FOLDED_WRITER_ID: Final = UUID(int=0)
# Long requests still arrive for an hour that is over; what comes later yet is folded by a later run.
FOLD_GRACE: Final = timedelta(hours=1)
FOLD_ROWS_MAX: Final = 5_000
PARTITION_MONTHS_AHEAD: Final = 2

ROLLUP_KEY: Final = (
    "tenant_id", "hour", "project_id", "api_key_id", "provider_name", "model", "task", "outcome", "writer_id",
)  # fmt: skip
ROLLUP_HISTOGRAMS: Final = ("latency_histogram", "first_token_histogram")
ROLLUP_SUMS: Final = tuple(
    name for name in RollupRow.__struct_fields__ if name not in ROLLUP_KEY and name not in ROLLUP_HISTOGRAMS
)
MERGE_ROLLUPS: Final = f"""ON CONFLICT ({", ".join(ROLLUP_KEY)}) DO UPDATE SET
    {", ".join(f"{name} = usage_rollup.{name} + excluded.{name}" for name in ROLLUP_SUMS)},
    {", ".join(f"{name} = histogram_add(usage_rollup.{name}, excluded.{name})" for name in ROLLUP_HISTOGRAMS)}"""
_DIMENSIONS: Final = ", ".join(name for name in ROLLUP_KEY if name != "writer_id")
# The rows are locked in key order, as settling locks them; deleting returns what the lock found, and
# so a row that was counted up meanwhile is folded with that count.
FOLD: Final = f"""
WITH due AS MATERIALIZED (
    SELECT {", ".join(ROLLUP_KEY)} FROM usage_rollup WHERE hour < $1 AND writer_id <> $2
    ORDER BY {", ".join(ROLLUP_KEY)} LIMIT $3 FOR UPDATE
), taken AS (
    DELETE FROM usage_rollup u USING due d WHERE {" AND ".join(f"u.{name} = d.{name}" for name in ROLLUP_KEY)}
    RETURNING u.*
), folded AS (
    INSERT INTO usage_rollup ({_DIMENSIONS}, writer_id, {", ".join((*ROLLUP_SUMS, *ROLLUP_HISTOGRAMS))})
    SELECT {_DIMENSIONS}, $2, {", ".join(f"sum({name})" for name in ROLLUP_SUMS)},
           {", ".join(f"histogram_sum({name})" for name in ROLLUP_HISTOGRAMS)}
    FROM taken GROUP BY {_DIMENSIONS} ORDER BY {_DIMENSIONS}
    {MERGE_ROLLUPS}
)
SELECT count(*) FROM taken"""  # noqa: S608 - constants


async def fold_rollups(database: Database, *, now: datetime | None = None) -> int:
    """Merge the writers' rows of closed hours; return how many were folded. Sums do not change."""
    this_hour = (now or datetime.now(UTC)).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    pool = await database.meter_pool()
    total = 0
    while True:
        folded: int = await pool.fetchval(FOLD, this_hour - FOLD_GRACE, FOLDED_WRITER_ID, FOLD_ROWS_MAX)
        total += folded
        if folded < FOLD_ROWS_MAX:
            return total


async def ensure_partitions(database: Database, *, months_ahead: int = PARTITION_MONTHS_AHEAD) -> int:
    """Make the partitions of this month and the next ones; return how many were missing."""
    pool = await database.meter_pool()
    made: int = await pool.fetchval("SELECT ensure_record_partitions($1)", months_ahead)
    return made
