"""Setting the limits of a tenant's traffic: requests at once, requests and tokens in a minute or a day.

Set by the tenant's admin in the console, the API or the command line; every change stands in the audit chain and
holds within a second. Invariant: a scope, a model and a kind have one limit; setting it again moves it.
"""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from billing import traffic_limit_repository as repository
from billing.budget_repository import has_scope
from billing.errors import LimitInvalid
from billing.traffic_limit import LimitKind, TrafficLimit
from tenants import Actor, Database, NotFound, record_audit

COUNT_MAX: Final = 10**12
CONCURRENT_MAX: Final = 1_000_000
MODEL_CHARS_MAX: Final = 200


async def set_traffic_limit(
    database: Database,
    actor: Actor,
    tenant_id: UUID,
    *,
    kind: LimitKind,
    limit_count: int,
    burst_count: int | None = None,
    project_id: UUID | None = None,
    api_key_id: UUID | None = None,
    is_per_end_user: bool = False,
    model: str | None = None,
) -> TrafficLimit:
    """Set a limit for the tenant, a project or a key, there for each end user, and for a pattern of models.

    A rate's bucket holds `burst_count`, or as much as the limit. Raises LimitInvalid.
    """
    check_limit(
        kind, limit_count, burst_count, is_in_both=bool(project_id and api_key_id), is_per_end_user=is_per_end_user,
        model=model,
    )  # fmt: skip
    async with database.tenant(tenant_id) as session:
        if not await has_scope(session, tenant_id, project_id, api_key_id):
            raise LimitInvalid(f"There is no project or API key '{project_id or api_key_id or tenant_id}' here.")
        limit_id, before = await repository.put_traffic_limit(
            session,
            tenant_id,
            uuid7(),
            kind,
            limit_count,
            burst_count,
            project_id=project_id,
            api_key_id=api_key_id,
            is_per_end_user=is_per_end_user,
            model=model,
        )
        limit = await _one(session, tenant_id, limit_id)
        await record_audit(
            session,
            tenant_id,
            actor,
            action="limit.set",
            target=f"limit:{limit_id}",
            before=None if before is None else {"limit_count": before},
            after={"scope": limit.words, "kind": kind, "limit_count": limit_count, "burst_count": burst_count},
        )
    return limit


async def remove_traffic_limit(database: Database, actor: Actor, tenant_id: UUID, limit_id: UUID) -> None:
    """Lift a limit. Raises NotFound."""
    async with database.tenant(tenant_id) as session:
        before = await repository.remove_traffic_limit(session, tenant_id, limit_id)
        if before is None:
            raise NotFound("limit", limit_id)
        await record_audit(
            session,
            tenant_id,
            actor,
            action="limit.removed",
            target=f"limit:{limit_id}",
            before={"limit_count": before},
            after=None,
        )


def check_limit(
    kind: LimitKind,
    limit_count: int,
    burst_count: int | None,
    *,
    is_in_both: bool,
    is_per_end_user: bool,
    model: str | None,
) -> None:
    """Refuse what makes no sense. Raises LimitInvalid."""
    if is_in_both:
        raise LimitInvalid("A limit covers a project or an API key, not both; set one of them.")
    count_max = CONCURRENT_MAX if kind is LimitKind.CONCURRENT_REQUESTS else COUNT_MAX
    for field, count in (("limit_count", limit_count), ("burst_count", burst_count)):
        if count is not None and not 1 <= count <= count_max:
            raise LimitInvalid(f"{field} is {count:,}; it must be from 1 to {count_max:,}.")
    if model is not None and not 1 <= len(model) <= MODEL_CHARS_MAX:
        raise LimitInvalid(f"model has {len(model)} characters; it must have from 1 to {MODEL_CHARS_MAX}.")
    if kind is LimitKind.CONCURRENT_REQUESTS and (is_per_end_user or model is not None or burst_count is not None):
        raise LimitInvalid(
            "concurrent_requests are held from before a request is read, and so cover a tenant, a project or a key; "
            "leave is_per_end_user, model and burst_count out."
        )


async def _one(session: AsyncSession, tenant_id: UUID, limit_id: UUID) -> TrafficLimit:
    limits = await repository.list_traffic_limits(session, tenant_id)
    return next(limit for limit in limits if limit.limit_id == limit_id)
