"""One table from domain errors to HTTP; every surface renders its rows in its own dialect.

Called at the edge only. Invariant: each error class of the domain folders has a row, its own or its
nearest parent's; what has none is a fault of ours and says nothing of its inside.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from app.gateway.errors import (
    AlreadyCompleted,
    BodyTooLarge,
    BodyTooSlow,
    ClientGone,
    GatewayError,
    HeaderInvalid,
    IdempotencyConflict,
    KeyMissing,
    MethodNotAllowed,
    RequestRunning,
    RequestUnknown,
    StreamBroken,
    UpstreamRejected,
    UpstreamResting,
    UpstreamUnreachable,
)
from app.providers import AddressNotAllowed, AllowListInvalid, BodyInvalid, ProviderError, UpstreamError, VendorUnknown
from app.routing import (
    ModelNotAllowed,
    ModelNotFound,
    NoCandidateLeft,
    OverBudget,
    PolicyInvalid,
    PolicyNotFound,
    RoutingError,
    SensitivityUnknown,
)
from billing import (
    BillingError,
    BudgetContended,
    BudgetInvalid,
    BudgetUsedUp,
    ConcurrencyLimited,
    CreditInvalid,
    FeatureNotInPlan,
    LimitInvalid,
    ManagementRateLimited,
    MeterUnavailable,
    Outcome,
    PlanUnknown,
    PriceBookRejected,
    RateLimited,
    RequestAboveRate,
    StatementInvalid,
    TrafficLimited,
)
from tenants import (
    AuditBroken,
    DatabaseUnavailable,
    FieldInvalid,
    KeyExpired,
    KeyRejected,
    KeyRevoked,
    KeyUnknown,
    LimitReached,
    MasterKeyWrong,
    NameTaken,
    NotFound,
    ScopeMissing,
    SecretRejected,
    SignInBlocked,
    SignInFailed,
    TenantError,
    TenantSuspended,
    VersionOutdated,
)


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """How an error reads over HTTP. `type` and `code` are OpenAI's words where OpenAI has one."""

    status: int
    type: str
    code: str
    outcome: Outcome
    may_retry: bool = False


FAULT: Final = ErrorRow(500, "server_error", "internal_error", Outcome.GATEWAY_FAULT, may_retry=True)
FAULT_MESSAGE: Final = "The gateway failed on this request; it was recorded. Retry, or report the request id."

_BAD = "invalid_request_error"
_AUTH = "authentication_error"
_DENIED = "permission_error"

ROW_BY_ERROR: Final[dict[type[BaseException], ErrorRow]] = {
    # Nobody reads this one: the client hung up. 499 is nginx's number for it.
    asyncio.CancelledError: ErrorRow(499, _BAD, "client_closed_request", Outcome.CANCELLED),
    # gateway
    KeyMissing: ErrorRow(401, _AUTH, "missing_api_key", Outcome.INVALID),
    MethodNotAllowed: ErrorRow(405, _BAD, "method_not_allowed", Outcome.INVALID),
    HeaderInvalid: ErrorRow(400, _BAD, "invalid_header", Outcome.INVALID),
    IdempotencyConflict: ErrorRow(409, _BAD, "idempotency_conflict", Outcome.INVALID),
    RequestRunning: ErrorRow(409, _BAD, "request_running", Outcome.INVALID, may_retry=True),
    AlreadyCompleted: ErrorRow(409, _BAD, "already_completed", Outcome.INVALID),
    BodyTooLarge: ErrorRow(413, _BAD, "request_too_large", Outcome.INVALID),
    RequestUnknown: ErrorRow(404, _BAD, "request_not_found", Outcome.INVALID),
    UpstreamRejected: ErrorRow(502, "upstream_error", "upstream_rejected", Outcome.UPSTREAM_ERROR, may_retry=True),
    UpstreamUnreachable: ErrorRow(
        503, "upstream_error", "upstream_unreachable", Outcome.UPSTREAM_ERROR, may_retry=True
    ),
    UpstreamResting: ErrorRow(503, "upstream_error", "upstream_resting", Outcome.UPSTREAM_ERROR, may_retry=True),
    ClientGone: ErrorRow(499, _BAD, "client_closed_request", Outcome.CANCELLED),
    BodyTooSlow: ErrorRow(408, _BAD, "request_timeout", Outcome.INVALID, may_retry=True),
    StreamBroken: ErrorRow(502, "upstream_error", "stream_broken", Outcome.INTERRUPTED),
    GatewayError: FAULT,
    # providers
    BodyInvalid: ErrorRow(400, _BAD, "invalid_body", Outcome.INVALID),
    AddressNotAllowed: ErrorRow(400, _BAD, "address_not_allowed", Outcome.INVALID),
    VendorUnknown: ErrorRow(422, _BAD, "provider_not_found", Outcome.INVALID),
    AllowListInvalid: FAULT,
    ProviderError: FAULT,
    UpstreamError: ErrorRow(502, "upstream_error", "upstream_error", Outcome.UPSTREAM_ERROR, may_retry=True),
    # routing
    PolicyInvalid: ErrorRow(422, _BAD, "policy_invalid", Outcome.INVALID),
    PolicyNotFound: ErrorRow(404, _BAD, "policy_not_found", Outcome.INVALID),
    SensitivityUnknown: ErrorRow(400, _BAD, "sensitivity_not_found", Outcome.INVALID),
    ModelNotFound: ErrorRow(404, _BAD, "model_not_found", Outcome.INVALID),
    ModelNotAllowed: ErrorRow(403, _DENIED, "model_not_allowed", Outcome.NOT_ALLOWED),
    OverBudget: ErrorRow(402, "insufficient_quota", "budget_exceeded", Outcome.BUDGET),
    NoCandidateLeft: ErrorRow(422, _BAD, "no_candidate_left", Outcome.UNROUTABLE),
    RoutingError: FAULT,
    # billing
    RateLimited: ErrorRow(429, "requests", "rate_limit_exceeded", Outcome.RATE_LIMITED, may_retry=True),
    ManagementRateLimited: ErrorRow(429, "requests", "management_rate_exceeded", Outcome.RATE_LIMITED, may_retry=True),
    TrafficLimited: ErrorRow(429, "requests", "rate_limit_exceeded", Outcome.RATE_LIMITED, may_retry=True),
    RequestAboveRate: ErrorRow(429, "requests", "request_above_rate", Outcome.RATE_LIMITED),
    ConcurrencyLimited: ErrorRow(429, "requests", "concurrency_limit_exceeded", Outcome.RATE_LIMITED, may_retry=True),
    BudgetUsedUp: ErrorRow(402, "insufficient_quota", "budget_exceeded", Outcome.BUDGET),
    BudgetContended: ErrorRow(429, "requests", "budget_contended", Outcome.BUDGET, may_retry=True),
    MeterUnavailable: ErrorRow(503, "server_error", "meter_unavailable", Outcome.GATEWAY_FAULT, may_retry=True),
    FeatureNotInPlan: ErrorRow(403, _DENIED, "feature_not_in_plan", Outcome.NOT_ALLOWED),
    PlanUnknown: ErrorRow(404, _BAD, "plan_not_found", Outcome.INVALID),
    LimitInvalid: ErrorRow(422, _BAD, "limit_invalid", Outcome.INVALID),
    BudgetInvalid: ErrorRow(422, _BAD, "budget_invalid", Outcome.INVALID),
    CreditInvalid: ErrorRow(422, _BAD, "credit_invalid", Outcome.INVALID),
    StatementInvalid: ErrorRow(422, _BAD, "statement_invalid", Outcome.INVALID),
    PriceBookRejected: ErrorRow(422, _BAD, "price_book_rejected", Outcome.INVALID),
    BillingError: FAULT,
    # tenants
    KeyUnknown: ErrorRow(401, _AUTH, "invalid_api_key", Outcome.INVALID),
    KeyExpired: ErrorRow(401, _AUTH, "api_key_expired", Outcome.INVALID),
    KeyRevoked: ErrorRow(401, _AUTH, "api_key_revoked", Outcome.INVALID),
    KeyRejected: ErrorRow(401, _AUTH, "invalid_api_key", Outcome.INVALID),
    TenantSuspended: ErrorRow(403, _DENIED, "tenant_suspended", Outcome.NOT_ALLOWED),
    ScopeMissing: ErrorRow(403, _DENIED, "scope_missing", Outcome.NOT_ALLOWED),
    SignInFailed: ErrorRow(401, _AUTH, "sign_in_failed", Outcome.INVALID),
    NotFound: ErrorRow(404, _BAD, "not_found", Outcome.INVALID),
    NameTaken: ErrorRow(409, _BAD, "name_taken", Outcome.INVALID),
    VersionOutdated: ErrorRow(412, _BAD, "version_outdated", Outcome.INVALID),
    FieldInvalid: ErrorRow(422, _BAD, "field_invalid", Outcome.INVALID),
    LimitReached: ErrorRow(422, _BAD, "limit_reached", Outcome.INVALID),
    SignInBlocked: ErrorRow(429, _AUTH, "sign_in_blocked", Outcome.RATE_LIMITED, may_retry=True),
    DatabaseUnavailable: ErrorRow(503, "server_error", "database_unavailable", Outcome.GATEWAY_FAULT, may_retry=True),
    MasterKeyWrong: FAULT,
    SecretRejected: FAULT,
    AuditBroken: FAULT,
    TenantError: FAULT,
}


def row_of(error: BaseException) -> ErrorRow:
    """The row of an error's class or of its nearest parent; FAULT when nobody has one."""
    if isinstance(error, UpstreamUnreachable) and error.is_timeout:
        return ErrorRow(504, "upstream_error", "upstream_timeout", Outcome.UPSTREAM_TIMEOUT, may_retry=True)
    if isinstance(error, UpstreamRejected):
        return ErrorRow(
            error.status, "upstream_error", error.kind, Outcome.UPSTREAM_ERROR, may_retry=error.status >= 429
        )
    if isinstance(error, OverBudget) and error.is_contended:
        return ROW_BY_ERROR[BudgetContended]
    for parent in type(error).__mro__:
        if parent in ROW_BY_ERROR:
            return ROW_BY_ERROR[parent]
    return FAULT


def message_of(error: BaseException) -> str:
    """What a caller may read of an error: its own words, or nothing of a fault's inside."""
    return FAULT_MESSAGE if row_of(error) is FAULT else str(error)


def retry_after_s(error: BaseException) -> int | None:
    """Seconds to wait before the next try, when the error knows."""
    match error:
        case RateLimited() | ManagementRateLimited():
            return max(1, -(-error.retry_after_ms // 1000))
        case RequestAboveRate():
            return None
        case TrafficLimited():
            return max(1, -(-error.retry_after_ms // 1000))
        case ConcurrencyLimited() | BudgetContended() | RequestRunning() | UpstreamRejected() | UpstreamResting():
            return error.retry_after_s
        case MeterUnavailable() | DatabaseUnavailable() | OverBudget(is_contended=True):
            return 1
        case _:
            return None
