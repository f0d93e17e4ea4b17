"""The record of a logical request with its attempts: one row and N rows, written once and never edited."""

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

import msgspec

from billing.usage import Usage

CredentialOwner = Literal["platform", "tenant"]


class Outcome(StrEnum):
    """How a request, or an attempt, ended. Only `OK` and `INTERRUPTED` may have cost anything."""

    OK = "ok"
    INTERRUPTED = "interrupted"  # answered in part: the client hung up or the stream broke
    INVALID = "invalid"
    NOT_ALLOWED = "not_allowed"
    BUDGET = "budget"
    RATE_LIMITED = "rate_limited"
    UNROUTABLE = "unroutable"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    GATEWAY_FAULT = "gateway_fault"
    CANCELLED = "cancelled"  # the client hung up before any answer


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One call to a provider. Amounts are nano-USD; `provider_cost_nano_usd` is None when unknown."""

    attempt_id: UUID
    attempt_number: int
    provider_name: str
    model: str
    credential_id: UUID | None
    credential_owner: CredentialOwner
    started_at: datetime
    outcome: Outcome
    latency_ms: int
    reserved_nano_usd: int
    usage: Usage
    billed_nano_usd: int
    provider_cost_nano_usd: int | None
    absorbed_nano_usd: int = 0
    price_version_id: UUID | None = None
    http_status: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    response_id: str | None = None
    first_token_ms: int | None = None
    is_simulated: bool = False


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One logical request. Its usage and amounts are the sums over its attempts."""

    tenant_id: UUID
    request_id: UUID
    project_id: UUID
    api_key_id: UUID
    operation_name: str  # 'chat'
    surface: str  # 'openai', 'anthropic', 'google'
    is_streamed: bool
    started_at: datetime
    request_model: str
    outcome: Outcome
    http_status: int
    latency_ms: int
    attempts: tuple[AttemptRecord, ...] = ()
    client_request_id: str | None = None
    provider_name: str | None = None
    response_model: str | None = None
    task: str | None = None
    domain: str | None = None
    policy_name: str | None = None
    policy_version: int | None = None
    rule: str | None = None
    decision: msgspec.Raw = msgspec.Raw(b"null")
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    end_user: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    finish_reason: str | None = None
    baseline_nano_usd: int | None = None  # what the dearest candidate would have billed for the same tokens
    baseline_model: str | None = None
    first_token_ms: int | None = None
    overhead_ms: float | None = None
