"""`/limits`: how many requests at once, and how many requests and tokens in a minute or a day."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody

from app.http.api.access import Caller
from app.http.api.answers import PAGE, After, Limit, Page, page_within
from app.http.api.services import Services
from billing import (
    LimitKind,
    LimitState,
    TrafficLimit,
    list_traffic_limits,
    remove_traffic_limit,
    set_traffic_limit,
    traffic_states,
)


class NewLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A limit for the whole tenant, or for a project or a key when one is named.

    `is_per_end_user` gives each `user` of the body (`metadata.user_id` of Anthropic) one of its own; `model` is
    `provider/model`, in which * stands for anything. A rate lets `burst_count` through at once, else `limit_count`.
    """

    kind: LimitKind
    limit_count: Annotated[int, msgspec.Meta(ge=1)]
    burst_count: Annotated[int, msgspec.Meta(ge=1)] | None = None
    project_id: UUID | None = None
    api_key_id: UUID | None = None
    is_per_end_user: bool = False
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


class LimitAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A limit and what is used of it now, over all processes; for each end user: of the one who used most."""

    limit_id: UUID
    project_id: UUID | None
    api_key_id: UUID | None
    scope: str
    scope_name: str
    is_per_end_user: bool
    model: str | None
    kind: LimitKind
    limit_count: int
    burst_count: int | None
    used_count: int
    reset_ms: int


class Limits(Controller):
    """The limits of the tenant's traffic beside its plan's; a model key sees those of its project and its own."""

    path = "/limits"
    tags = ("Limits",)

    @get(summary="List limits")
    async def list_limits(
        self, caller: Caller, services: Services, limit: Limit = PAGE, after: After = None
    ) -> Page[LimitAnswer]:
        """The tenant's own first, then by the name of what they cover."""
        async with services.database.tenant(caller.tenant_id) as session:
            limits = await list_traffic_limits(session, caller.tenant_id)
            states = await traffic_states(session, caller.tenant_id)
        reached = [
            _answer(each, states.get(each.limit_id))
            for each in limits
            if caller.reaches(each.project_id, each.api_key_id)
        ]
        return page_within(reached, lambda each: each.limit_id, limit=limit, after=after)

    @post(summary="Set a limit", status_code=200)
    async def set_limit(self, caller: Caller, services: Services, data: JSONBody[NewLimit]) -> LimitAnswer:
        """Set the limit of a scope, model and kind; setting it again moves it. It holds within a second."""
        made = await set_traffic_limit(
            services.database,
            caller.principal.actor,
            caller.tenant_id,
            kind=data.kind,
            limit_count=data.limit_count,
            burst_count=data.burst_count,
            project_id=data.project_id,
            api_key_id=data.api_key_id,
            is_per_end_user=data.is_per_end_user,
            model=data.model,
        )
        return _answer(made, None)

    @delete("/{limit_id:uuid}", summary="Remove a limit")
    async def remove_limit(self, caller: Caller, services: Services, limit_id: FromPath[UUID]) -> None:
        """Lift the limit."""
        await remove_traffic_limit(services.database, caller.principal.actor, caller.tenant_id, limit_id)


def _answer(limit: TrafficLimit, state: LimitState | None) -> LimitAnswer:
    now = state or LimitState(used_count=0, reset_ms=0)
    return LimitAnswer(**msgspec.structs.asdict(limit), used_count=now.used_count, reset_ms=now.reset_ms)
