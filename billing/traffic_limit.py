"""Limits of a tenant's traffic as values, and which of them cover a caller. Pure; read by the request path.

Made with a tenant's view and dropped with it. Invariant: what covers a caller is found once and remembered; a
tenant without limits of its own pays for its plan's alone.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from billing.plan import Plan
from billing.slot_leases import ConcurrencyLimit

SCOPE_WORDS: Final = {"tenant": "Tenant", "project": "Project", "api_key": "API key"}


class LimitKind(StrEnum):
    """What a traffic limit counts, and over how long."""

    CONCURRENT_REQUESTS = "concurrent_requests"
    REQUESTS_PER_MINUTE = "requests_per_minute"
    REQUESTS_PER_DAY = "requests_per_day"
    TOKENS_PER_MINUTE = "tokens_per_minute"
    TOKENS_PER_DAY = "tokens_per_day"


class TrafficLimit(msgspec.Struct, frozen=True, kw_only=True):
    """One limit. Without project and key it covers the tenant; `model` is a pattern over `provider/model`."""

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

    @property
    def words(self) -> str:
        """What the limit covers, as an error says it."""
        covered = f"{SCOPE_WORDS[self.scope]} '{self.scope_name}'"
        return f"{covered} for model '{self.model}'" if self.model else covered


class CallerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What covers one API key: how many at once."""

    concurrency: tuple[ConcurrencyLimit, ...]


class TenantLimits:
    """The limits of one tenant with its plan's."""

    def __init__(self, tenant_id: UUID, plan: Plan, limits: Sequence[TrafficLimit] = ()) -> None:
        self._tenant_id = tenant_id
        self._limits = tuple(limits)
        self._plans = ConcurrencyLimit(
            tenant_id=tenant_id,
            limit_id=tenant_id,
            slots_max=plan.concurrent_requests,
            scope=f"The plan '{plan.plan_id}'",
        )
        self._of_keys: dict[UUID, CallerLimits] = {}

    def of(self, project_id: UUID, api_key_id: UUID) -> CallerLimits:
        """What covers a key of a project."""
        found = self._of_keys.get(api_key_id)
        if found is None:
            found = self._of_keys[api_key_id] = self._find(project_id, api_key_id)
        return found

    def _find(self, project_id: UUID, api_key_id: UUID) -> CallerLimits:
        covering = [
            limit
            for limit in self._limits
            if limit.project_id in (None, project_id) and limit.api_key_id in (None, api_key_id)
        ]
        own = (
            ConcurrencyLimit(
                tenant_id=self._tenant_id, limit_id=limit.limit_id, slots_max=limit.limit_count, scope=limit.words
            )
            for limit in covering
            if limit.kind is LimitKind.CONCURRENT_REQUESTS
        )
        return CallerLimits(concurrency=(self._plans, *own))
