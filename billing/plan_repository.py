"""Rows of `plan` and `subscription`. Plans are read by every role, written in the operator's session."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.plan import DEFAULT_PLAN_ID, Plan

PLAN_COLUMNS: Final = (
    "p.plan_id, p.version, p.name, p.monthly_price_nano_usd, p.requests_per_minute, p.request_burst, "
    "p.concurrent_requests, p.allowed_models, p.features, p.markup_ppm, p.own_credential_fee_ppm"
)


async def lock_plans(session: AsyncSession) -> None:
    """Let one seeder in at a time; held until the transaction ends."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('signalbox.plan'))"))


async def newest_plans(session: AsyncSession) -> dict[str, Plan]:
    """The newest version of each plan by its id."""
    rows = await session.execute(
        text(f"SELECT DISTINCT ON (p.plan_id) {PLAN_COLUMNS} FROM plan p ORDER BY p.plan_id, p.version DESC")  # noqa: S608 - a constant
    )
    return {row.plan_id: _plan(row) for row in rows}


async def add_plan(session: AsyncSession, plan: Plan) -> None:
    """Store one version."""
    await session.execute(
        text("""
            INSERT INTO plan (plan_id, version, name, monthly_price_nano_usd, requests_per_minute, request_burst,
                              concurrent_requests, allowed_models, features, markup_ppm, own_credential_fee_ppm)
            VALUES (:plan_id, :version, :name, :monthly_price_nano_usd, :requests_per_minute, :request_burst,
                    :concurrent_requests, :allowed_models, :features, :markup_ppm, :own_credential_fee_ppm)"""),
        {
            "plan_id": plan.plan_id,
            "version": plan.version,
            "name": plan.name,
            "monthly_price_nano_usd": plan.monthly_price_nano_usd,
            "requests_per_minute": plan.requests_per_minute,
            "request_burst": plan.request_burst,
            "concurrent_requests": plan.concurrent_requests,
            "allowed_models": list(plan.allowed_models),
            "features": list(plan.features),
            "markup_ppm": plan.markup_ppm,
            "own_credential_fee_ppm": plan.own_credential_fee_ppm,
        },
    )


async def find_plan_of(session: AsyncSession, tenant_id: UUID) -> Plan | None:
    """The version a tenant is subscribed to; without a subscription the newest default plan."""
    rows = await session.execute(
        text(f"""
            SELECT {PLAN_COLUMNS} FROM plan p
            LEFT JOIN subscription s ON s.tenant_id = :tenant_id
            WHERE (p.plan_id, p.version) = (s.plan_id, s.plan_version)
               OR (s.tenant_id IS NULL AND p.plan_id = :default_plan_id)
            ORDER BY p.version DESC LIMIT 1"""),  # noqa: S608 - a constant
        {"tenant_id": tenant_id, "default_plan_id": DEFAULT_PLAN_ID},
    )
    row = rows.one_or_none()
    return _plan(row) if row is not None else None


async def find_subscription(session: AsyncSession, tenant_id: UUID) -> Plan | None:
    """The plan that a tenant was put on, locked against a second change; None: never put on one."""
    rows = await session.execute(
        text(f"""
            SELECT {PLAN_COLUMNS} FROM subscription s
            JOIN plan p ON (p.plan_id, p.version) = (s.plan_id, s.plan_version)
            WHERE s.tenant_id = :tenant_id FOR UPDATE OF s"""),  # noqa: S608 - a constant
        {"tenant_id": tenant_id},
    )
    row = rows.one_or_none()
    return _plan(row) if row is not None else None


async def has_tenant(session: AsyncSession, tenant_id: UUID) -> bool:
    """Tell whether the tenant exists."""
    found = await session.execute(text("SELECT 1 FROM tenant WHERE tenant_id = :tenant_id"), {"tenant_id": tenant_id})
    return found.one_or_none() is not None


async def put_subscription(session: AsyncSession, tenant_id: UUID, plan: Plan, *, changed_by: str) -> None:
    """Put a tenant on a plan's version."""
    await session.execute(
        text("""
            INSERT INTO subscription (tenant_id, plan_id, plan_version, changed_by)
            VALUES (:tenant_id, :plan_id, :version, :changed_by)
            ON CONFLICT (tenant_id) DO UPDATE SET plan_id = excluded.plan_id, plan_version = excluded.plan_version,
                changed_by = excluded.changed_by, changed_at = now()"""),
        {"tenant_id": tenant_id, "plan_id": plan.plan_id, "version": plan.version, "changed_by": changed_by},
    )


def _plan(row: Row[Any]) -> Plan:
    return Plan(
        plan_id=row.plan_id,
        version=row.version,
        name=row.name,
        monthly_price_nano_usd=row.monthly_price_nano_usd,
        requests_per_minute=row.requests_per_minute,
        request_burst=row.request_burst,
        concurrent_requests=row.concurrent_requests,
        allowed_models=tuple(row.allowed_models),
        features=tuple(row.features),
        markup_ppm=row.markup_ppm,
        own_credential_fee_ppm=row.own_credential_fee_ppm,
    )
