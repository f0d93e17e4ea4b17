"""The plans as rows, and the two ways they move: seeded at start-up, changed by the operator.

Called by start-up, the command line and the operator's pages. Invariant: a stored plan is never
edited; a changed row becomes a new version, and subscribers stay on theirs until they are moved.
"""

from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.errors import FeatureNotInPlan, PlanUnknown
from billing.money import NANO_USD_PER_USD
from billing.plan import Feature, Plan
from billing.plan_repository import add_plan, find_subscription, has_tenant, lock_plans, newest_plans, put_subscription
from tenants import Actor, Database, NotFound, record_audit

PLANS: Final = (
    Plan(
        plan_id="free",
        name="Free",
        monthly_price_nano_usd=0,
        requests_per_minute=60,
        request_burst=20,
        concurrent_requests=50,
        allowed_models=(
            "sandbox/swift-mini",
            "sandbox/steady-base",
            "openai/*-mini*",
            "openai/*-nano*",
            "anthropic/*haiku*",
            "google/*flash*",
            "google/gemma*",
            "mistral/*small*",
            "mistral/ministral*",
            "mistral/open-mistral*",
            "groq/*8b*",
            "groq/*20b*",
            "deepseek/deepseek-chat",
            "deepseek/*flash*",
            "cohere/command-r7b*",
            "x-ai/*mini*",
            "x-ai/*fast*",
            "openrouter/*:free",
        ),
        features=(Feature.OWN_CREDENTIALS,),
        markup_ppm=100_000,
        own_credential_fee_ppm=20_000,
    ),
    Plan(
        plan_id="pro",
        name="Pro",
        monthly_price_nano_usd=49 * NANO_USD_PER_USD,
        requests_per_minute=1_000,
        request_burst=200,
        concurrent_requests=500,
        allowed_models=("*",),
        features=(Feature.OWN_CREDENTIALS, Feature.CUSTOM_POLICIES, Feature.AUDIT_EXPORT),
        markup_ppm=50_000,
        own_credential_fee_ppm=10_000,
    ),
    Plan(
        plan_id="enterprise",
        name="Enterprise",
        monthly_price_nano_usd=999 * NANO_USD_PER_USD,
        requests_per_minute=12_000,
        request_burst=2_400,
        concurrent_requests=5_000,
        allowed_models=("*",),
        features=tuple(Feature),
        markup_ppm=20_000,
        own_credential_fee_ppm=5_000,
    ),
)


def require_feature(plan: Plan, feature: Feature) -> None:
    """Pass where a tenant's plan unlocks a feature. Raises FeatureNotInPlan, which names the plans that do."""
    if feature not in plan.features:
        raise FeatureNotInPlan(feature, plan.name, tuple(row.name for row in PLANS if feature in row.features))


async def seed_plans(database: Database, plans: tuple[Plan, ...] = PLANS) -> tuple[Plan, ...]:
    """Store the rows that are new or changed, each as its plan's next version; return what was stored."""
    added = []
    async with database.across_tenants() as session:
        await lock_plans(session)
        stored = await newest_plans(session)
        for row in plans:
            newest = stored.get(row.plan_id)
            if newest is not None and msgspec.structs.replace(row, version=newest.version) == newest:
                continue
            plan = msgspec.structs.replace(row, version=newest.version + 1 if newest else 1)
            await add_plan(session, plan)
            added.append(plan)
    return tuple(added)


async def change_plan(database: Database, actor: Actor, tenant_id: UUID, plan_id: str) -> Plan:
    """Move a tenant to the newest version of a plan; the event stands in that tenant's audit chain.

    Raises PlanUnknown, or NotFound when there is no such tenant.
    """
    async with database.across_tenants() as session:
        return await subscribe(session, actor, tenant_id, plan_id)


async def subscribe(session: AsyncSession, actor: Actor, tenant_id: UUID, plan_id: str) -> Plan:
    """The same in a transaction of the operator that does more, such as making the tenant."""
    stored = await newest_plans(session)
    plan = stored.get(plan_id)
    if plan is None:
        raise PlanUnknown(f"No plan is called '{plan_id}'. There are: {', '.join(sorted(stored)) or 'none yet'}.")
    if not await has_tenant(session, tenant_id):
        raise NotFound("tenant", tenant_id)
    before = await find_subscription(session, tenant_id)
    await put_subscription(session, tenant_id, plan, changed_by=f"{actor.kind}:{actor.id}")
    await record_audit(
        session,
        tenant_id,
        actor,
        action="plan.changed",
        target=f"tenant:{tenant_id}",
        before={"plan_id": before.plan_id, "plan_version": before.version} if before else None,
        after={"plan_id": plan.plan_id, "plan_version": plan.version},
    )
    return plan
