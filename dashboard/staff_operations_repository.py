"""The statements of the operator's pages about running the platform: providers, jobs, plans and prices.

Called by the pages in a session of `Database.across_tenants()`, which record the look in the same transaction.
Invariant: none of them writes, and none reads a prompt, an answer or a secret; of a dead letter its reason alone.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing import Outcome
from dashboard.operations_rows import AttemptHealth, DeadLetter, OrphanLine, PlanLine, PriceLine, VersionLine, Waiting
from dashboard.queries import REQUEST_ID_SLACK, uuid_floor

LETTERS_SHOWN: Final = 50
ORPHANS_SHOWN: Final = 50
PRICES_SHOWN: Final = 50
VERSIONS_SHOWN: Final = 50
MODELS_MAX: Final = 2_000
# What a provider is answerable for; the caller's own faults and hang-ups are not.
_PROVIDER_FAILED: Final = [
    outcome.value for outcome in (Outcome.UPSTREAM_ERROR, Outcome.UPSTREAM_TIMEOUT, Outcome.RATE_LIMITED)
]


async def attempt_health(session: AsyncSession, since: datetime, until: datetime) -> tuple[AttemptHealth, ...]:
    """The attempts of a short window by provider and model, over all tenants."""
    # Tenant by tenant, because that is how attempts are keyed: no other read finds a window in a month of them.
    found = await session.execute(
        text("""
            SELECT a.provider_name, a.model, count(*) AS attempt_count,
                   count(*) FILTER (WHERE a.outcome = ANY(:failed)) AS failed_count,
                   count(*) FILTER (WHERE a.http_status = 429) AS limited_count,
                   percentile_disc(0.5) WITHIN GROUP (ORDER BY a.latency_ms) FILTER (WHERE a.outcome = :ok) AS p50_ms,
                   percentile_disc(0.95) WITHIN GROUP (ORDER BY a.latency_ms) FILTER (WHERE a.outcome = :ok) AS p95_ms,
                   mode() WITHIN GROUP (ORDER BY a.error_type) FILTER (WHERE a.outcome = ANY(:failed)) AS error_type
            FROM tenant t CROSS JOIN LATERAL (
                SELECT * FROM attempt x WHERE x.tenant_id = t.tenant_id
                    AND x.request_id >= :first_id AND x.request_id < :end_id
                    AND x.started_at >= :since AND x.started_at < :until
            ) a
            GROUP BY a.provider_name, a.model ORDER BY failed_count DESC, attempt_count DESC LIMIT :limit
        """),
        {
            "failed": _PROVIDER_FAILED, "ok": Outcome.OK.value, "since": since, "until": until, "limit": MODELS_MAX,
            "first_id": uuid_floor(since - REQUEST_ID_SLACK), "end_id": uuid_floor(until + REQUEST_ID_SLACK),
        },
    )  # fmt: skip
    return tuple(AttemptHealth(**row._mapping) for row in found)


async def dead_letters(session: AsyncSession) -> tuple[DeadLetter, ...]:
    """The newest records that could not be written, with the reason."""
    found = await session.execute(
        text("""
            SELECT d.tenant_id, t.name AS tenant_name, d.dead_letter_id, d.kind, d.error, d.created_at,
                   count(*) OVER () AS total_count
            FROM dead_letter d LEFT JOIN tenant t USING (tenant_id)
            ORDER BY d.created_at DESC, d.dead_letter_id DESC LIMIT :limit
        """),
        {"limit": LETTERS_SHOWN},
    )
    return tuple(DeadLetter(**row._mapping) for row in found)


async def orphans(session: AsyncSession) -> tuple[OrphanLine, ...]:
    """Reservations whose process died before it said what the call cost, by tenant and model, the oldest first."""
    found = await session.execute(
        text("""
            SELECT r.tenant_id, t.name AS tenant_name, r.provider_name, r.model, count(*) AS reservation_count,
                   sum(r.amount_nano_usd)::bigint AS amount_nano_usd, min(r.created_at) AS oldest_at
            FROM reservation r JOIN tenant t USING (tenant_id) WHERE r.state = 'orphaned'
            GROUP BY r.tenant_id, t.name, r.provider_name, r.model ORDER BY oldest_at LIMIT :limit
        """),
        {"limit": ORPHANS_SHOWN},
    )
    return tuple(OrphanLine(**row._mapping) for row in found)


async def waiting(session: AsyncSession) -> Waiting:
    """What the worker has not done yet."""
    found = await session.execute(
        text("""
            SELECT (SELECT count(*) FROM audit_pending) AS unlinked_events,
                   (SELECT min(e.created_at) FROM audit_pending p JOIN audit_event e USING (tenant_id, audit_event_id))
                       AS oldest_event_at,
                   (SELECT count(*) FROM reservation WHERE state = 'held') AS held_reservations,
                   (SELECT min(created_at) FROM reservation WHERE state = 'held') AS oldest_reservation_at,
                   (SELECT max(hour) FROM usage_rollup) AS newest_rollup_at
        """)
    )
    return Waiting(**found.one()._mapping)


async def plan_lines(session: AsyncSession) -> tuple[PlanLine, ...]:
    """Every version of every plan with how many tenants are on it, the cheapest first, the newest version on top."""
    found = await session.execute(
        text("""
            SELECT p.plan_id, p.version, p.name, p.monthly_price_nano_usd, p.requests_per_minute,
                   p.concurrent_requests, cardinality(p.allowed_models) AS allowance_count, p.features,
                   p.markup_ppm, p.own_credential_fee_ppm, p.created_at,
                   (SELECT count(*) FROM subscription s WHERE s.plan_id = p.plan_id AND s.plan_version = p.version)
                       AS tenant_count
            FROM plan p ORDER BY p.monthly_price_nano_usd, p.plan_id, p.version DESC
        """)
    )
    return tuple(PlanLine(**row._mapping) for row in found)


async def price_versions(session: AsyncSession, now: datetime) -> tuple[VersionLine, ...]:
    """The newest versions of the price book; of each source the newest that began is in force."""
    found = await session.execute(
        text("""
            SELECT v.price_version_id, v.source, v.source_version, v.effective_from, v.imported_at,
                   (SELECT count(*) FROM price p WHERE p.price_version_id = v.price_version_id) AS price_count,
                   CASE WHEN v.effective_from > :now THEN 'coming'
                        WHEN v.price_version_id = (
                            SELECT n.price_version_id FROM price_version n
                            WHERE n.source = v.source AND n.effective_from <= :now
                            ORDER BY n.effective_from DESC, n.price_version_id DESC LIMIT 1) THEN 'in force'
                        ELSE 'past' END AS state
            FROM price_version v ORDER BY v.effective_from DESC, v.price_version_id DESC LIMIT :limit
        """),
        {"now": now, "limit": VERSIONS_SHOWN},
    )
    return tuple(VersionLine(**row._mapping) for row in found)


async def find_prices(session: AsyncSession, now: datetime, search: str) -> tuple[PriceLine, ...]:
    """Prices in force whose provider or model holds some words, with the source that each stands in."""
    found = await session.execute(
        text("""
            SELECT p.provider_name, p.model, v.source, v.effective_from, p.input_nano_usd_per_million,
                   p.output_nano_usd_per_million, p.cache_read_nano_usd_per_million, p.per_request_nano_usd,
                   p.is_declared_free
            FROM (SELECT DISTINCT ON (source) * FROM price_version WHERE effective_from <= :now
                  ORDER BY source, effective_from DESC, price_version_id DESC) v
            JOIN price p USING (price_version_id)
            WHERE strpos(lower(p.provider_name || '/' || p.model), lower(:search)) > 0
            ORDER BY p.provider_name, p.model, v.effective_from LIMIT :limit
        """),
        {"now": now, "search": search, "limit": PRICES_SHOWN + 1},
    )
    return tuple(PriceLine(**row._mapping) for row in found)
