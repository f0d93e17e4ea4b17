"""What metering alone costs: admit, reserve and settle of one meter, without HTTP, on an embedded server.

By hand: `python -m tests.load.metering [--json] [--work-us N] [--seconds N]`. Each case runs 64 callers in a
closed loop. CPU of this process is counted without what the callers themselves cost, of PostgreSQL by the
kernel's count of its process tree.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import msgspec
import uvloop
from rich.console import Console
from rich.table import Table
from uuid_utils.compat import uuid7

from app.embedded import EmbeddedPostgres
from app.embedded.postgres import DATABASE, SUPERUSER
from billing import (
    Admission,
    AdmissionRequest,
    AttemptRecord,
    CommitMeter,
    Meter,
    Outcome,
    RequestRecord,
    Reservation,
    Usage,
)
from migrations import prepare_embedded, upgrade
from tenants import Database, DatabaseRole
from tests.load.processes import cpu_s, postgres_processes

CALLERS: Final = 64
GATEWAY_CORE: Final = 0
GC_THRESHOLD: Final = 50_000  # as a gateway process sets it
WARM_UP_S: Final = 0.7
# A fast provider that answers unevenly: callers that go in step would make batches that no gateway sees.
UPSTREAM_S: Final = (0.0005, 0.006)
TENANTS: Final = (1, 1_000)
# The decision of a request that names its model: one candidate, about a kilobyte.
DECISION: Final = msgspec.Raw(
    json.dumps(
        {"policy_name": "default", "rule": "named", "reason": "task open_qa by keywords, named " * 4}
        | {"request": dict.fromkeys("abcdefghijklm", 123_456)}
        | {"candidates": [{"name": "openai/gpt-4o-mini", "rank": 1, "detail": "fits", "bound_nano_usd": 91_234}] * 4}
    ).encode()
)
MAKE_TENANTS: Final = """
WITH made AS (
    INSERT INTO tenant (tenant_id, name) SELECT id, 'bench' FROM unnest($1::uuid[]) AS id
), projects AS (
    INSERT INTO project (tenant_id, project_id, name) SELECT id, id, 'bench' FROM unnest($1::uuid[]) AS id
), keys AS (
    INSERT INTO api_key (tenant_id, api_key_id, project_id, name, kind, prefix, last_four, key_hash, scopes, created_by)
    SELECT id, id, id, 'bench', 'model', 'sbx_live_', 'abcd', uuid_send(id), '{}', 'bench' FROM unnest($1::uuid[]) AS id
) SELECT"""
MAKE_BUDGETS: Final = """
INSERT INTO budget (tenant_id, budget_id, project_id, api_key_id, period, limit_nano_usd)
SELECT id, gen_random_uuid(), project_id, api_key_id, period, 1000000000000
FROM unnest($1::uuid[]) AS id CROSS JOIN LATERAL (
    VALUES (NULL::uuid, NULL::uuid, 'month'), (NULL, NULL, 'day'), (id, NULL, 'month'), (NULL, id, 'month')
) AS b (project_id, api_key_id, period)"""


class NoMeter:
    """Answers at once: what is left is the callers' own cost."""

    async def admit(self, request: AdmissionRequest) -> Admission:
        """Admit."""
        return Admission(rate_limit=1, rate_remaining=1, rate_reset_ms=0)

    async def reserve(self, reservation: Reservation) -> None:
        """Hold nothing."""

    async def release(self, tenant_id: UUID, attempt_id: UUID) -> None:
        """Return nothing."""

    async def settle(self, record: RequestRecord) -> None:
        """Write nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one case cost."""

    tenants: int
    budgets_each: int
    requests_per_s: int
    gateway_cpu_us: float
    postgres_cpu_us: float
    wal_bytes: int
    transactions_each: float
    p50_ms: float
    p99_ms: float


async def main(*, seconds: float, work_us: int, is_json: bool) -> None:
    """Measure every case and print them."""
    os.sched_setaffinity(0, {GATEWAY_CORE})
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    folder = Path(tempfile.mkdtemp(prefix="sbx"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    try:
        # The server was started on this core; like a real one it may use all.
        for pid in postgres_processes(folder / "postgres"):
            os.sched_setaffinity(pid, range(os.cpu_count() or 1))
        await prepare_embedded(server.url(SUPERUSER, "postgres"), DATABASE)
        await upgrade(server.url(DatabaseRole.OWNER))
        figures = [
            await case(server, folder / "postgres", tenants, has_budgets, seconds, work_us)
            for tenants in TENANTS
            for has_budgets in (False, True)
        ]
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    report(figures, is_json=is_json)


async def case(
    server: EmbeddedPostgres, folder: Path, tenants: int, has_budgets: bool, seconds: float, work_us: int
) -> Figures:
    """One number of tenants, with budgets on four levels or without any."""
    database = Database(server.url)
    ids = [uuid7() for _ in range(tenants)]
    admin = await asyncpg.connect(host=str(server.socket_folder), user=SUPERUSER, database=DATABASE)
    await admin.execute(MAKE_TENANTS, ids)
    if has_budgets:
        await admin.execute(MAKE_BUDGETS, ids)
    meter = CommitMeter(database, uuid4())
    own_us, _, _ = await run(NoMeter(), ids, 0.3, work_us)
    await run(meter, ids, WARM_UP_S, work_us)
    wal, transactions = await wal_and_transactions(admin)
    before = cpu_s(postgres_processes(folder))
    cpu_us, rate, latencies = await run(meter, ids, seconds, work_us)
    postgres_cpu_s = cpu_s(postgres_processes(folder)) - before
    wal_now, transactions_now = await wal_and_transactions(admin)
    await meter.close()
    await database.close()
    await admin.close()
    count = len(latencies)
    return Figures(
        tenants=tenants,
        budgets_each=4 if has_budgets else 0,
        requests_per_s=round(rate),
        gateway_cpu_us=round(cpu_us - own_us, 1),
        postgres_cpu_us=round(postgres_cpu_s * 1e6 / count, 1),
        wal_bytes=round((wal_now - wal) / count),
        transactions_each=round((transactions_now - transactions) / count, 2),
        p50_ms=round(latencies[count // 2] * 1e3, 1),
        p99_ms=round(latencies[count * 99 // 100] * 1e3, 1),
    )


async def run(
    meter: Meter, tenant_ids: Sequence[UUID], seconds: float, work_us: int
) -> tuple[float, float, list[float]]:
    """CPU µs of this process for each request, requests per second, and their times in order."""
    latencies: list[float] = []
    ends = perf_counter() + seconds

    async def call_on(number: int) -> None:
        while (began := perf_counter()) < ends:
            tenant_id = tenant_ids[number % len(tenant_ids)]
            number += CALLERS
            await request(meter, tenant_id, work_us)
            latencies.append(perf_counter() - began)

    cpu, began = process_time(), perf_counter()
    await asyncio.gather(*(call_on(number) for number in range(CALLERS)))
    cpu_us = (process_time() - cpu) * 1e6 / len(latencies)
    return cpu_us, len(latencies) / (perf_counter() - began), sorted(latencies)


async def request(meter: Meter, tenant_id: UUID, work_us: int) -> None:
    """One request that costs a third of its bound; half of the gateway's other work lies before the call."""
    now, request_id, attempt_id = datetime.now(UTC), uuid7(), uuid7()
    await meter.admit(
        AdmissionRequest(
            tenant_id=tenant_id, project_id=tenant_id, api_key_id=tenant_id,
            requests_per_minute=10_000_000, request_burst=1_000_000,
        )
    )  # fmt: skip
    spin(work_us / 2)
    await meter.reserve(
        Reservation(
            tenant_id=tenant_id, project_id=tenant_id, api_key_id=tenant_id,
            request_id=request_id, attempt_id=attempt_id, amount_nano_usd=30_000,
        )
    )  # fmt: skip
    await asyncio.sleep(random.uniform(*UPSTREAM_S))
    spin(work_us / 2)
    await meter.settle(
        RequestRecord(
            tenant_id=tenant_id, request_id=request_id, project_id=tenant_id, api_key_id=tenant_id,
            operation_name="chat", surface="openai", is_streamed=False, started_at=now,
            request_model="openai/gpt-4o-mini", outcome=Outcome.OK, http_status=200, latency_ms=21,
            provider_name="openai", response_model="gpt-4o-mini", task="open_qa", domain="general",
            policy_name="default", policy_version=1, rule="named", decision=DECISION, finish_reason="stop",
            baseline_nano_usd=20_000, baseline_model="openai/gpt-4o", overhead_ms=0.4,
            attempts=(
                AttemptRecord(
                    attempt_id=attempt_id, attempt_number=1, provider_name="openai", model="gpt-4o-mini",
                    credential_id=tenant_id, credential_owner="platform", started_at=now, outcome=Outcome.OK,
                    latency_ms=20, reserved_nano_usd=30_000, billed_nano_usd=11_000, provider_cost_nano_usd=10_000,
                    usage=Usage(input_tokens=200, output_tokens=50), price_version_id=tenant_id, http_status=200,
                    response_id="chatcmpl-1",
                ),
            ),
        )
    )  # fmt: skip


def spin(microseconds: float) -> None:
    """Compute for a while, as the rest of a gateway does."""
    ends = perf_counter() + microseconds / 1e6
    while perf_counter() < ends:
        pass


async def wal_and_transactions(admin: asyncpg.Connection) -> tuple[int, int]:
    """Bytes of write-ahead log so far, and transaction ids."""
    row = await admin.fetchrow("""SELECT pg_current_wal_insert_lsn() - '0/0' AS wal,
                                         pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS transactions""")
    return int(row["wal"]), int(row["transactions"])


def report(figures: Sequence[Figures], *, is_json: bool) -> None:
    """Print a table, or JSON."""
    if is_json:
        sys.stdout.write(json.dumps([asdict(each) for each in figures], indent=2) + "\n")
        return
    table = Table(*Figures.__dataclass_fields__, title=f"admit + reserve + settle, {CALLERS} callers")
    for each in figures:
        table.add_row(*(f"{value:,}" for value in asdict(each).values()))
    Console(width=160).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--work-us", type=int, default=150, help="CPU of the rest of a gateway for each request")
    given = parser.parse_args()
    uvloop.run(main(seconds=given.seconds, work_us=given.work_us, is_json=given.json))
