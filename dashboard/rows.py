"""What the pages read: requests, attempts, tenants and names, as rows of the database.

Filled by queries, which select exactly these fields. Invariant: what a record does not know is None
and is shown as unknown; nothing here is ever HTML.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

import msgspec

from billing import Price, StoredRequest
from dashboard.outcomes import OutcomeWords, words_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """One line of the request list."""

    request_id: UUID
    started_at: datetime
    project_id: UUID
    api_key_id: UUID
    request_model: str
    provider_name: str | None
    response_model: str | None
    task: str | None
    rule: str | None
    outcome: str
    http_status: int
    error_message: str | None
    is_streamed: bool
    is_simulated: bool
    input_tokens: int
    output_tokens: int
    latency_ms: int
    billed_nano_usd: int
    baseline_nano_usd: int | None

    @property
    def words(self) -> OutcomeWords:
        """How the outcome reads."""
        return words_of(self.outcome)

    @property
    def model(self) -> str | None:
        """What served it, as `provider/model`; None when nothing did."""
        return f"{self.provider_name}/{self.response_model}" if self.response_model else None

    @property
    def saved_nano_usd(self) -> int | None:
        """Baseline less billed; None without a baseline."""
        return None if self.baseline_nano_usd is None else self.baseline_nano_usd - self.billed_nano_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts(RequestRow):
    """Everything that was kept of one request."""

    client_request_id: str | None
    operation_name: str
    surface: str
    domain: str | None
    policy_name: str | None
    policy_version: int | None
    decision: object
    tags: tuple[str, ...]
    metadata: dict[str, str]
    end_user: str | None
    error_type: str | None
    finish_reason: str | None
    attempt_count: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_output_tokens: int
    is_usage_estimated: bool
    provider_cost_nano_usd: int | None
    absorbed_nano_usd: int
    baseline_model: str | None
    first_token_ms: int | None
    overhead_ms: float | None

    @classmethod
    def of(cls, stored: StoredRequest) -> "RequestFacts":
        """A request as it is stored, with what became known of it later."""
        kept = {field.name: getattr(stored, field.name) for field in fields(cls) if field.name != "decision"}
        return cls(**kept, decision=msgspec.json.decode(stored.decision))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedRequest:
    """A request as exports hold it; the order is that of their columns."""

    request_id: UUID
    started_at: datetime
    project_id: UUID
    api_key_id: UUID
    client_request_id: str | None
    surface: str
    operation_name: str
    is_streamed: bool
    request_model: str
    provider_name: str | None
    response_model: str | None
    task: str | None
    domain: str | None
    policy_name: str | None
    policy_version: int | None
    rule: str | None
    outcome: str
    http_status: int
    error_type: str | None
    error_message: str | None
    finish_reason: str | None
    attempt_count: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_output_tokens: int
    is_usage_estimated: bool
    is_simulated: bool
    billed_nano_usd: int
    baseline_nano_usd: int | None
    baseline_model: str | None
    latency_ms: int
    first_token_ms: int | None
    overhead_ms: float | None
    tags: list[str]
    metadata: dict[str, str]
    end_user: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptChip:
    """One attempt as a chip in the request list."""

    request_id: UUID
    attempt_number: int
    provider_name: str
    model: str
    outcome: str

    @property
    def words(self) -> OutcomeWords:
        """How the outcome reads."""
        return words_of(self.outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFacts(AttemptChip):
    """One call to a provider."""

    credential_id: UUID | None
    credential_owner: str
    started_at: datetime
    http_status: int | None
    error_type: str | None
    error_message: str | None
    response_id: str | None
    latency_ms: int
    first_token_ms: int | None
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_output_tokens: int
    is_usage_estimated: bool
    is_simulated: bool
    price_version_id: UUID | None
    reserved_nano_usd: int
    provider_cost_nano_usd: int | None
    billed_nano_usd: int
    absorbed_nano_usd: int

    @classmethod
    def all_of(cls, stored: StoredRequest) -> "tuple[AttemptFacts, ...]":
        """The attempts of a request, in order."""
        names = [field.name for field in fields(cls) if field.name != "request_id"]
        return tuple(
            cls(request_id=stored.request_id, **{name: getattr(attempt, name) for name in names})
            for attempt in stored.attempts
        )


@dataclass(frozen=True, slots=True)
class Named:
    """Something with an id and a name, for choices and labels."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """The tenant as its own pages show it."""

    name: str
    status: str
    time_zone: str
    plan_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the filters of a range offer."""

    provider_names: tuple[str, ...]
    models: tuple[str, ...]
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedModel:
    """The price that an attempt was charged at, and where it came from."""

    price: Price
    source: str
    source_version: str
    effective_from: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRow:
    """One tenant as the operator sees it; amounts and counts are of the range, `margin` may be negative."""

    tenant_id: UUID
    name: str
    status: str
    created_at: datetime
    plan_id: str | None
    plan_name: str | None
    request_count: int
    failed_count: int
    billed_nano_usd: int
    provider_cost_nano_usd: int
    own_credential_cost_nano_usd: int
    absorbed_nano_usd: int
    unpriced_count: int
    last_seen_at: datetime | None

    @property
    def platform_cost_nano_usd(self) -> int:
        """The provider cost on the platform's credentials; with its own the tenant pays the provider itself."""
        return self.provider_cost_nano_usd - self.own_credential_cost_nano_usd

    @property
    def margin_nano_usd(self) -> int:
        """What is left of the billed amount after what providers charge us."""
        return self.billed_nano_usd - self.platform_cost_nano_usd


@dataclass(frozen=True, slots=True)
class PlanChoice:
    """A plan in its newest version, as a tenant can be moved to."""

    plan_id: str
    name: str
