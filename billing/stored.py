"""Requests and usage as they are read back: rows of the tables, with amounts in nano-USD.

Returned by `billing.queries` to the API, the console and the command line. Pure.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from billing.records import CredentialOwner


class StoredAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One call to a provider. An unknown cost is None."""

    attempt_number: int
    attempt_id: UUID
    provider_name: str
    model: str
    credential_id: UUID | None
    credential_owner: CredentialOwner
    started_at: datetime
    outcome: str
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
    cache_creation_1h_input_tokens: int
    reasoning_output_tokens: int
    is_usage_estimated: bool
    is_simulated: bool
    price_version_id: UUID | None
    reserved_nano_usd: int
    provider_cost_nano_usd: int | None
    billed_nano_usd: int
    absorbed_nano_usd: int


class StoredRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request with its attempts and the decision that routed it, as JSON."""

    tenant_id: UUID
    request_id: UUID
    project_id: UUID
    api_key_id: UUID
    client_request_id: str | None
    operation_name: str
    surface: str
    is_streamed: bool
    started_at: datetime
    request_model: str
    provider_name: str | None
    response_model: str | None
    task: str | None
    domain: str | None
    policy_name: str | None
    policy_version: int | None
    rule: str | None
    tags: tuple[str, ...]
    metadata: dict[str, str]
    end_user: str | None
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
    provider_cost_nano_usd: int | None
    billed_nano_usd: int
    absorbed_nano_usd: int
    baseline_nano_usd: int | None
    baseline_model: str | None
    latency_ms: int
    first_token_ms: int | None
    overhead_ms: float | None
    posting_id: UUID | None
    attempts: tuple[StoredAttempt, ...] = ()
    decision: msgspec.Raw = msgspec.Raw(b"null")


class RequestSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a list of requests."""

    request_id: UUID
    project_id: UUID
    api_key_id: UUID
    started_at: datetime
    is_streamed: bool
    request_model: str
    provider_name: str | None
    response_model: str | None
    task: str | None
    policy_name: str | None
    rule: str | None
    outcome: str
    http_status: int
    error_type: str | None
    attempt_count: int
    input_tokens: int
    output_tokens: int
    is_simulated: bool
    provider_cost_nano_usd: int | None
    billed_nano_usd: int
    baseline_nano_usd: int | None
    latency_ms: int
    first_token_ms: int | None


class RequestFilters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of requests is narrowed to; None does not narrow. `since` is included, `until` is not.

    A provider or model matches the requests that it answered and those that only tried it.
    """

    since: datetime | None = None
    until: datetime | None = None
    outcome: str | None = None
    http_status: int | None = None
    provider_name: str | None = None
    model: str | None = None
    task: str | None = None
    project_id: UUID | None = None
    api_key_id: UUID | None = None


class RequestPage(msgspec.Struct, frozen=True, kw_only=True):
    """Requests, newest first; `next_cursor` asks for the ones after them, None: there are none."""

    requests: tuple[RequestSummary, ...]
    next_cursor: UUID | None


class UsageDimension(StrEnum):
    """What usage is grouped by."""

    PROJECT = "project"
    API_KEY = "api_key"
    PROVIDER = "provider"
    MODEL = "model"
    TASK = "task"
    OUTCOME = "outcome"
    HOUR = "hour"
    DAY = "day"


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over one group; `group` holds its value of each dimension asked for, '' where unknown.

    `own_credential_cost_nano_usd` is the part of the provider cost that the tenant pays directly.
    """

    group: tuple[str, ...]
    request_count: int
    ok_count: int
    attempt_count: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_output_tokens: int
    provider_cost_nano_usd: int
    own_credential_cost_nano_usd: int
    billed_nano_usd: int
    absorbed_nano_usd: int
    baseline_nano_usd: int
    baselined_billed_nano_usd: int
    unpriced_count: int
    latency_histogram: tuple[int, ...]
    first_token_histogram: tuple[int, ...]

    @property
    def saved_nano_usd(self) -> int:
        """What the dearest candidates would have billed beyond what was billed, where both are known."""
        return self.baseline_nano_usd - self.baselined_billed_nano_usd
