"""What the operator's pages about running the platform read: providers, jobs, plans and prices, as rows.

Filled by `dashboard.staff_operations_repository`, which selects exactly these fields. Invariant: what is not known
is None; no row holds the body of a request.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptHealth:
    """The attempts of one provider and model; percentiles are of those that were answered."""

    provider_name: str
    model: str
    attempt_count: int
    failed_count: int
    limited_count: int
    p50_ms: int | None
    p95_ms: int | None
    error_type: str | None

    @property
    def name(self) -> str:
        """As every page names it."""
        return f"{self.provider_name}/{self.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record that the database refused; `total_count` is of all, shown or not."""

    tenant_id: UUID
    tenant_name: str | None
    dead_letter_id: UUID
    kind: str
    error: str
    created_at: datetime
    total_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanLine:
    """Money held for calls whose process died, of one tenant and model."""

    tenant_id: UUID
    tenant_name: str
    provider_name: str
    model: str
    reservation_count: int
    amount_nano_usd: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What the worker and the gateway have in hand."""

    unlinked_events: int
    oldest_event_at: datetime | None
    held_reservations: int
    oldest_reservation_at: datetime | None
    newest_rollup_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLine:
    """One version of a plan and how many tenants are on it."""

    plan_id: str
    version: int
    name: str
    monthly_price_nano_usd: int
    requests_per_minute: int
    concurrent_requests: int
    allowance_count: int
    features: list[str]
    markup_ppm: int
    own_credential_fee_ppm: int
    created_at: datetime
    tenant_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLine:
    """One dated version of a source's prices: 'coming', 'in force' or 'past'."""

    price_version_id: UUID
    source: str
    source_version: str
    effective_from: datetime
    imported_at: datetime
    price_count: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLine:
    """A model's price in force, from one source."""

    provider_name: str
    model: str
    source: str
    effective_from: datetime
    input_nano_usd_per_million: int
    output_nano_usd_per_million: int
    cache_read_nano_usd_per_million: int | None
    per_request_nano_usd: int
    is_declared_free: bool
