"""The background work: linking the audit trail, folding rollups and evidence, settling lost calls, purging, partitions.

Runs beside the gateway in one process (`signalbox up`) or alone (`signalbox worker`). Every job takes
its own lock in the database, so that any number of workers may run.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from billing import (
    absorb_unresolved,
    draw_credit,
    ensure_partitions,
    fold_rollups,
    purge_idempotency_keys,
    purge_reservations,
    purge_traffic_buckets,
    settle_lost,
    watch_drift,
)
from tenants import Database, Vault, fold_quality, link_audit

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One thing done again and again."""

    name: str
    every_s: float
    run: Callable[[], Awaitable[object]]


AUDIT_EVERY_S: Final = 0.5  # the promise is "within a second"
FOLD_EVERY_S: Final = 300.0
QUALITY_EVERY_S: Final = 30.0  # a view is built anew each time that evidence changes
LOST_EVERY_S: Final = 15.0  # a call whose process fell silent is shown as interrupted after 120 s
CREDIT_EVERY_S: Final = 30.0  # what expires is used up by then; what is used can never be above the credit
ABSORB_EVERY_S: Final = 300.0
DRIFT_EVERY_S: Final = 21_600.0  # it reads two days of records
PURGE_EVERY_S: Final = 600.0
PARTITIONS_EVERY_S: Final = 3600.0


def jobs(database: Database, vault: Vault) -> tuple[Job, ...]:
    """The jobs, in no order."""
    return (
        Job("link_audit", AUDIT_EVERY_S, lambda: link_audit(database, vault)),
        Job("fold_rollups", FOLD_EVERY_S, lambda: fold_rollups(database)),
        Job("fold_quality", QUALITY_EVERY_S, lambda: fold_quality(database)),
        Job("settle_lost", LOST_EVERY_S, lambda: settle_lost(database)),
        Job("draw_credit", CREDIT_EVERY_S, lambda: draw_credit(database)),
        Job("absorb_unresolved", ABSORB_EVERY_S, lambda: absorb_unresolved(database)),
        Job("watch_drift", DRIFT_EVERY_S, lambda: watch_drift(database)),
        Job("purge_reservations", PURGE_EVERY_S, lambda: purge_reservations(database)),
        Job("purge_traffic_buckets", PURGE_EVERY_S, lambda: purge_traffic_buckets(database)),
        Job("purge_idempotency_keys", PURGE_EVERY_S, lambda: purge_idempotency_keys(database)),
        Job("ensure_partitions", PARTITIONS_EVERY_S, lambda: ensure_partitions(database)),
    )


async def run_jobs(database: Database, vault: Vault) -> None:
    """Run every job until cancelled. A job that fails is logged and tried again at its next turn."""
    async with asyncio.TaskGroup() as group:
        for job in jobs(database, vault):
            group.create_task(_repeat(job))


async def _repeat(job: Job) -> None:
    while True:
        try:
            await job.run()
        except Exception as error:  # a worker loop: one failed turn must not end the next ones
            log.error("job_failed", job=job.name, error_type=type(error).__name__, exc_info=error)
        await asyncio.sleep(job.every_s)
