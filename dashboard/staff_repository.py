"""The statements of the operator's pages, which cross tenants.

Called by the pages in a session of `Database.across_tenants()`, which record the look in the same transaction.
Invariant: none of them writes, and none reads a prompt, an answer or a secret.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from dashboard.audit_rows import AuditRow, Told, audit_row
from dashboard.outcomes import OUTCOMES, OutcomeClass
from dashboard.rows import PlanChoice, TenantRow
from dashboard.staff_rows import TenantFilter, TenantTotals
from tenants import PLATFORM_TENANT_ID

TENANT_PAGE_ROWS: Final = 50
AUDIT_PAGE_ROWS: Final = 50
# As everywhere, an outcome that this release does not know counts as failed.
_NOT_FAILED: Final = [
    outcome.value for outcome, words in OUTCOMES.items() if words.outcome_class != OutcomeClass.FAILED
]

# A tenant with its sums of a window; every list and total of tenants is made of these lines.
_LINES: Final = """
    WITH line AS (
        SELECT t.tenant_id, t.name, t.status, t.created_at, s.plan_id, p.name AS plan_name,
               coalesce(u.request_count, 0)::bigint AS request_count,
               coalesce(u.failed_count, 0)::bigint AS failed_count,
               coalesce(u.billed_nano_usd, 0)::bigint AS billed_nano_usd,
               coalesce(u.provider_cost_nano_usd, 0)::bigint AS provider_cost_nano_usd,
               coalesce(u.own_credential_cost_nano_usd, 0)::bigint AS own_credential_cost_nano_usd,
               coalesce(u.absorbed_nano_usd, 0)::bigint AS absorbed_nano_usd,
               coalesce(u.unpriced_count, 0)::bigint AS unpriced_count,
               coalesce(u.provider_cost_nano_usd - u.own_credential_cost_nano_usd, 0)::bigint AS platform_cost_nano_usd
        FROM tenant t
        LEFT JOIN subscription s USING (tenant_id)
        LEFT JOIN plan p ON p.plan_id = s.plan_id AND p.version = s.plan_version
        LEFT JOIN (
            SELECT tenant_id, sum(request_count) AS request_count,
                   sum(request_count) FILTER (WHERE outcome <> ALL(:not_failed)) AS failed_count,
                   sum(billed_nano_usd) AS billed_nano_usd, sum(provider_cost_nano_usd) AS provider_cost_nano_usd,
                   sum(own_credential_cost_nano_usd) AS own_credential_cost_nano_usd,
                   sum(absorbed_nano_usd) AS absorbed_nano_usd, sum(unpriced_count) AS unpriced_count
            FROM usage_rollup
            WHERE hour >= :since AND hour < :until
                AND (CAST(:tenant_ids AS uuid[]) IS NULL OR tenant_id = ANY(:tenant_ids))
            GROUP BY tenant_id
        ) u USING (tenant_id)
        WHERE t.tenant_id <> :platform
            AND (CAST(:tenant_ids AS uuid[]) IS NULL OR t.tenant_id = ANY(:tenant_ids))
            AND (strpos(lower(t.name), lower(:search)) > 0 OR strpos(t.tenant_id::text, lower(:search)) > 0)
    ), chosen AS (
        SELECT * FROM line WHERE CASE CAST(:segment AS text)
            WHEN '' THEN true WHEN 'loss' THEN billed_nano_usd < platform_cost_nano_usd ELSE status = :segment END
    )
"""
_MARGIN: Final = "billed_nano_usd - platform_cost_nano_usd"
_SORT_VALUES: Final = {
    "name": "lower(name)",
    "billed": "billed_nano_usd",
    "cost": "platform_cost_nano_usd",
    "margin": _MARGIN,
    # In parts per million, rounded down; a tenant that was billed nothing has no share and stands last.
    "margin_share": f"coalesce(floor(({_MARGIN})::numeric * 1000000 / nullif(billed_nano_usd, 0))::bigint, -{2**62})",
    "requests": "request_count",
    "errors": "coalesce(floor(failed_count::numeric * 1000000 / nullif(request_count, 0))::bigint, -1)",
}


async def tenant_lines(
    session: AsyncSession, since: datetime, until: datetime, wanted: TenantFilter, *, limit: int = TENANT_PAGE_ROWS + 1
) -> tuple[tuple[TenantRow, str | int], ...]:
    """Tenants of a choice in its order, each with the value that it is sorted by."""
    value = _SORT_VALUES[wanted.sort]
    order, beyond, kind = ("ASC", ">", "text") if wanted.sort == "name" else ("DESC", "<", "bigint")
    after, after_id = wanted.after or (None, None)
    found = await session.execute(
        text(f"""
            {_LINES}, sorted AS (SELECT *, {value} AS sort_value FROM chosen)
            SELECT tenant_id, name, status, created_at, plan_id, plan_name, request_count, failed_count,
                   billed_nano_usd, provider_cost_nano_usd, own_credential_cost_nano_usd, absorbed_nano_usd,
                   unpriced_count, sort_value,
                   (SELECT r.started_at FROM request_record r WHERE r.tenant_id = sorted.tenant_id
                    ORDER BY r.request_id DESC LIMIT 1) AS last_seen_at
            FROM sorted
            WHERE CAST(:after_id AS uuid) IS NULL
                OR (sort_value, tenant_id) {beyond} (CAST(:after AS {kind}), CAST(:after_id AS uuid))
            ORDER BY sort_value {order}, tenant_id {order} LIMIT :limit
        """),  # noqa: S608 - constants
        _parameters(since, until, wanted) | {"after": after, "after_id": after_id, "limit": limit},
    )
    lines = []
    for row in found:
        columns = dict(row._mapping)
        sort_value = columns.pop("sort_value")
        lines.append((TenantRow(**columns), sort_value))
    return tuple(lines)


async def tenant_totals(session: AsyncSession, since: datetime, until: datetime, wanted: TenantFilter) -> TenantTotals:
    """The sums of every tenant of a choice, whichever page of the list is shown."""
    found = await session.execute(
        text(f"""
            {_LINES}
            SELECT count(*) AS tenant_count, coalesce(sum(request_count), 0)::bigint AS request_count,
                   coalesce(sum(failed_count), 0)::bigint AS failed_count,
                   coalesce(sum(billed_nano_usd), 0)::bigint AS billed_nano_usd,
                   coalesce(sum(platform_cost_nano_usd), 0)::bigint AS platform_cost_nano_usd
            FROM chosen
        """),  # noqa: S608 - constants
        _parameters(since, until, wanted),
    )
    return TenantTotals(**found.one()._mapping)


async def plan_choices(session: AsyncSession) -> tuple[PlanChoice, ...]:
    """The newest version of every plan, the cheapest first."""
    found = await session.execute(
        text("""
            SELECT plan_id, name FROM (SELECT DISTINCT ON (plan_id) * FROM plan ORDER BY plan_id, version DESC) newest
            ORDER BY monthly_price_nano_usd, plan_id
        """)
    )
    return tuple(PlanChoice(*row) for row in found)


async def tenant_events(session: AsyncSession, tenant_id: UUID, *, limit: int) -> tuple[AuditRow, ...]:
    """The newest events in the trail of one tenant, whoever caused them."""
    found = await session.execute(
        text("""
            SELECT e.tenant_id, t.name AS tenant_name, e.audit_event_id, e.payload
            FROM audit_event e JOIN tenant t USING (tenant_id)
            WHERE e.tenant_id = :tenant_id ORDER BY e.audit_event_id DESC LIMIT :limit
        """),
        {"tenant_id": tenant_id, "limit": limit},
    )
    return tuple(audit_row(*row) for row in found)


async def staff_events(
    session: AsyncSession, first_id: UUID, before_id: UUID, told: Told, *, limit: int = AUDIT_PAGE_ROWS + 1
) -> tuple[AuditRow, ...]:
    """What staff did in the trails of all tenants, newest first, of the ids from one up to another."""
    # Tenant by tenant, because that is how the trail is keyed.
    found = await session.execute(
        text("""
            SELECT e.tenant_id, t.name AS tenant_name, e.audit_event_id, e.payload
            FROM tenant t CROSS JOIN LATERAL (
                SELECT a.tenant_id, a.audit_event_id, a.payload
                FROM audit_event a
                WHERE a.tenant_id = t.tenant_id AND a.audit_event_id >= :first_id AND a.audit_event_id < :before_id
                    AND convert_from(a.payload, 'UTF8')::json #>> '{actor,kind}' = 'operator'
                    AND CASE CAST(:told AS text) WHEN '' THEN true
                        ELSE (convert_from(a.payload, 'UTF8')::json ->> 'action' LIKE '%.viewed') = (:told = 'looks')
                    END
                ORDER BY a.audit_event_id DESC LIMIT :limit
            ) e
            ORDER BY e.audit_event_id DESC LIMIT :limit
        """),
        {"first_id": first_id, "before_id": before_id, "told": told, "limit": limit},
    )
    return tuple(audit_row(*row) for row in found)


def _parameters(since: datetime, until: datetime, wanted: TenantFilter) -> dict[str, object]:
    tenant_ids: list[UUID] | None = None if wanted.tenant_ids is None else list(wanted.tenant_ids)
    return {
        "not_failed": _NOT_FAILED, "since": since, "until": until, "platform": PLATFORM_TENANT_ID,
        "tenant_ids": tenant_ids, "search": wanted.search, "segment": wanted.segment,
    }  # fmt: skip
