"""Limits of a tenant's traffic as values, and which of them cover a caller. Pure; read by the request path.

Made with a tenant's view and dropped with it. Invariant: what covers a caller is found once and remembered; a
tenant without limits of its own pays for its plan's alone.
"""

from collections.abc import Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final
from uuid import UUID

import msgspec

from billing.plan import Plan
from billing.slot_leases import ConcurrencyLimit

SCOPE_WORDS: Final = {"tenant": "Tenant", "project": "Project", "api_key": "API key"}
MINUTE_S: Final = 60
DAY_S: Final = 86_400
# A caller names models as it likes only as far as they exist, and there are thousands of those at most.
MODELS_REMEMBERED_MAX: Final = 10_000


class LimitKind(StrEnum):
    """What a traffic limit counts, and over how long."""

    CONCURRENT_REQUESTS = "concurrent_requests"
    REQUESTS_PER_MINUTE = "requests_per_minute"
    REQUESTS_PER_DAY = "requests_per_day"
    TOKENS_PER_MINUTE = "tokens_per_minute"
    TOKENS_PER_DAY = "tokens_per_day"

    @property
    def is_of_tokens(self) -> bool:
        """Whether it counts tokens, and not requests."""
        return self in (LimitKind.TOKENS_PER_MINUTE, LimitKind.TOKENS_PER_DAY)

    @property
    def period_s(self) -> int:
        """Over how long it counts."""
        return DAY_S if self in (LimitKind.REQUESTS_PER_DAY, LimitKind.TOKENS_PER_DAY) else MINUTE_S

    @property
    def words(self) -> str:
        """As a person says it."""
        return self.value.replace("_", " ")


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
        each = ", for each end user," if self.is_per_end_user else ""
        return f"{covered}{each} for model '{self.model}'" if self.model else f"{covered}{each}"


class LimitState(msgspec.Struct, frozen=True, kw_only=True):
    """What is used of a limit now; `reset_ms` until nothing would be."""

    used_count: int
    reset_ms: int


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A rate as the database counts it: a bucket that holds `capacity` and drains at `limit_count` in a period."""

    tenant_id: UUID
    limit_id: UUID
    kind: LimitKind
    limit_count: int
    capacity: int
    model: str | None
    is_per_end_user: bool
    scope: str

    def covers(self, model_name: str) -> bool:
        """Whether it counts calls of `provider/model`."""
        return self.model is None or fnmatchcase(model_name, self.model)


class CallerLimits(msgspec.Struct, kw_only=True):
    """What covers one API key: how many at once, and its rates."""

    concurrency: tuple[ConcurrencyLimit, ...]
    rates: tuple[RateLimit, ...] = ()
    _of_models: dict[tuple[str, bool], tuple[RateLimit, ...]] = {}

    def rates_of(self, model_name: str, *, has_end_user: bool) -> tuple[RateLimit, ...]:
        """The rates of a call of `provider/model`. Those for each end user cover calls that name one."""
        key = (model_name, has_end_user)
        found = self._of_models.get(key)
        if found is None:
            found = tuple(
                rate for rate in self.rates if rate.covers(model_name) and (has_end_user or not rate.is_per_end_user)
            )
            if len(self._of_models) < MODELS_REMEMBERED_MAX:
                self._of_models[key] = found
        return found


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
        return CallerLimits(
            concurrency=(
                self._plans,
                *(self._concurrency(limit) for limit in covering if limit.kind is LimitKind.CONCURRENT_REQUESTS),
            ),
            rates=tuple(self._rate(limit) for limit in covering if limit.kind is not LimitKind.CONCURRENT_REQUESTS),
        )

    def _concurrency(self, limit: TrafficLimit) -> ConcurrencyLimit:
        return ConcurrencyLimit(
            tenant_id=self._tenant_id, limit_id=limit.limit_id, slots_max=limit.limit_count, scope=limit.words
        )

    def _rate(self, limit: TrafficLimit) -> RateLimit:
        return RateLimit(
            tenant_id=self._tenant_id,
            limit_id=limit.limit_id,
            kind=limit.kind,
            limit_count=limit.limit_count,
            capacity=limit.burst_count or limit.limit_count,
            model=limit.model,
            is_per_end_user=limit.is_per_end_user,
            scope=limit.words,
        )
