"""Reading requests and usage, in the tenant's session: row-level security stands behind every query here.

Called by the API, the console and the command line. Each query is bounded: by a page, by its groups.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.adjustment_repository import LATEST
from billing.rollup_repository import ROLLUP_HISTOGRAMS, ROLLUP_SUMS
from billing.stored import (
    RequestFilters,
    RequestPage,
    RequestSummary,
    StoredAttempt,
    StoredRequest,
    UsageDimension,
    UsageRow,
)

PAGE_MAX: Final = 200
USAGE_GROUPS_MAX: Final = 10_000

REQUEST_COLUMNS: Final = ", ".join(
    f"t.{name}" for name in StoredRequest.__struct_fields__ if name not in {"attempts", "decision"}
)
ATTEMPT_COLUMNS: Final = ", ".join(f"t.{name}" for name in StoredAttempt.__struct_fields__)
SUMMARY_COLUMNS: Final = ", ".join(f"r.{name}" for name in RequestSummary.__struct_fields__)
TRIED: Final = "EXISTS (SELECT FROM attempt a WHERE a.tenant_id = r.tenant_id AND a.request_id = r.request_id AND "
NEWEST: Final = """SELECT attempts FROM adjustment WHERE tenant_id = :tenant_id AND request_id = :request_id
                   ORDER BY adjustment_number DESC LIMIT 1"""

# The requests that turned out otherwise than they were recorded, which are few, as they are known now.
ADJUSTED: Final = """SELECT t.* FROM (
        SELECT DISTINCT ON (request_id) record FROM adjustment WHERE tenant_id = :tenant_id
        ORDER BY request_id, adjustment_number DESC
    ) newest CROSS JOIN LATERAL json_populate_record(NULL::request_record, newest.record) t"""

# A request's id holds its arrival, so time narrows the primary key and the partitions; the hour of slack
# covers clocks that differ, the second condition is exact.
CONDITIONS: Final = {
    "since": "r.request_id >= uuid_floor(CAST(:since AS timestamptz) - interval '1 hour') AND r.started_at >= :since",
    "until": "r.request_id < uuid_floor(CAST(:until AS timestamptz) + interval '1 hour') AND r.started_at < :until",
    "outcome": "r.outcome = :outcome",
    "http_status": "r.http_status = :http_status",
    "provider_name": f"(r.provider_name = :provider_name OR {TRIED} a.provider_name = :provider_name))",
    "model": f"(r.response_model = :model OR r.request_model = :model OR {TRIED} a.model = :model))",
    "task": "r.task = :task",
    "project_id": "r.project_id = :project_id",
    "api_key_id": "r.api_key_id = :api_key_id",
}
DIMENSIONS: Final = {
    UsageDimension.PROJECT: "project_id::text",
    UsageDimension.API_KEY: "api_key_id::text",
    UsageDimension.PROVIDER: "provider_name",
    UsageDimension.MODEL: "model",
    UsageDimension.TASK: "task",
    UsageDimension.OUTCOME: "outcome",
    UsageDimension.HOUR: """to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"')""",
    UsageDimension.DAY: "to_char(hour AT TIME ZONE :time_zone, 'YYYY-MM-DD')",
}
SUMS: Final = ", ".join(
    (
        *(f"sum({name})::bigint AS {name}" for name in ROLLUP_SUMS),
        "coalesce(sum(request_count) FILTER (WHERE outcome = 'ok'), 0)::bigint AS ok_count",
        *(f"histogram_sum({name}) AS {name}" for name in ROLLUP_HISTOGRAMS),
    )
)


async def find_request(session: AsyncSession, tenant_id: UUID, request_id: UUID) -> StoredRequest | None:
    """A request with its attempts and decision, adjusted if it was; None when the tenant has no such request."""
    key = {"tenant_id": tenant_id, "request_id": request_id}
    found = await session.execute(
        text(f"""
            SELECT {REQUEST_COLUMNS}, t.decision::text AS decision
            FROM request_record r {LATEST}
            WHERE r.tenant_id = :tenant_id AND r.request_id = :request_id"""),  # noqa: S608 - constants
        key,
    )
    row = found.one_or_none()
    if row is None:
        return None
    attempts = await session.execute(
        text(f"""
            SELECT {ATTEMPT_COLUMNS} FROM attempt t WHERE tenant_id = :tenant_id AND request_id = :request_id
                AND NOT EXISTS (SELECT FROM adjustment a WHERE a.tenant_id = :tenant_id AND a.request_id = :request_id)
            UNION ALL
            SELECT {ATTEMPT_COLUMNS} FROM ({NEWEST}) a CROSS JOIN json_populate_recordset(NULL::attempt, a.attempts) t
            ORDER BY attempt_number"""),  # noqa: S608 - constants
        key,
    )
    columns = dict(row._mapping)
    decision = columns.pop("decision")
    return StoredRequest(
        **columns | {"tags": tuple(columns["tags"])},
        decision=msgspec.Raw((decision or "null").encode()),
        attempts=tuple(StoredAttempt(**attempt._mapping) for attempt in attempts),
    )


async def list_requests(
    session: AsyncSession,
    tenant_id: UUID,
    filters: RequestFilters,
    cursor: UUID | None = None,
    *,
    limit: int = 50,
) -> RequestPage:
    """A page of the requests that pass the filters, newest first. At most 200 a page."""
    page_size = max(1, min(limit, PAGE_MAX))
    given = {name: value for name, value in msgspec.structs.asdict(filters).items() if value is not None}
    conditions = ["r.tenant_id = :tenant_id", *(CONDITIONS[name] for name in given)]
    if cursor is not None:
        conditions.append("r.request_id < :cursor")
        given["cursor"] = cursor
    where = " AND ".join(conditions)
    rows = await session.execute(
        text(f"""
            (SELECT {SUMMARY_COLUMNS} FROM request_record r WHERE {where}
                AND NOT EXISTS (
                    SELECT FROM adjustment a WHERE a.tenant_id = r.tenant_id AND a.request_id = r.request_id)
             ORDER BY r.request_id DESC LIMIT :one_more)
            UNION ALL
            (SELECT {SUMMARY_COLUMNS} FROM ({ADJUSTED}) r WHERE {where} ORDER BY r.request_id DESC LIMIT :one_more)
            ORDER BY request_id DESC LIMIT :one_more"""),  # noqa: S608 - constants
        given | {"tenant_id": tenant_id, "one_more": page_size + 1},
    )
    found = [RequestSummary(**row._mapping) for row in rows]
    page = tuple(found[:page_size])
    return RequestPage(requests=page, next_cursor=page[-1].request_id if len(found) > page_size else None)


async def usage(
    session: AsyncSession,
    tenant_id: UUID,
    group_by: Sequence[UsageDimension],
    since: datetime,
    until: datetime,
    *,
    time_zone: str = "UTC",
    project_id: UUID | None = None,
) -> tuple[UsageRow, ...]:
    """Sums of the hours from the one that holds `since` up to `until`, by group, in the groups' order.

    At most 10,000 groups, of one project when it is named. Days are those of `time_zone`. Without dimensions
    it is one row, or none where nothing happened.
    """
    keys = [DIMENSIONS[dimension] for dimension in group_by]
    grouping = f"GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}" if keys else "HAVING count(*) > 0"
    selected = "".join(f"{key} AS group_{number}, " for number, key in enumerate(keys))
    rows = await session.execute(
        text(f"""
            SELECT {selected}{SUMS} FROM usage_rollup
            WHERE tenant_id = :tenant_id AND hour >= date_trunc('hour', CAST(:since AS timestamptz)) AND hour < :until
                AND (CAST(:project_id AS uuid) IS NULL OR project_id = :project_id)
            {grouping} LIMIT {USAGE_GROUPS_MAX}"""),  # noqa: S608 - constants
        {"tenant_id": tenant_id, "since": since, "until": until, "project_id": project_id}
        | ({"time_zone": time_zone} if UsageDimension.DAY in group_by else {}),
    )
    return tuple(
        UsageRow(
            group=tuple(row[: len(keys)]),
            ok_count=row.ok_count,
            **{name: row._mapping[name] for name in ROLLUP_SUMS},
            latency_histogram=tuple(row.latency_histogram),
            first_token_histogram=tuple(row.first_token_histogram),
        )
        for row in rows
    )
