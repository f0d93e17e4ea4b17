"""How much: plans, the price book, budgets and reservations, request records, rollups and the ledger."""

from billing.budgets import (
    END_USERS_MAX_DEFAULT,
    LIMIT_NANO_USD_MAX,
    Budget,
    BudgetEvent,
    BudgetMode,
    BudgetPeriod,
    EndUserSpend,
    list_budget_events,
    list_budgets,
    list_end_users,
    remove_budget,
    set_budget,
)
from billing.commit_meter import CommitMeter
from billing.credit import CreditGrant, CreditKind
from billing.credits import CreditState, credit_states, draw_credit, grant_credit
from billing.delivery import PROMPT_S
from billing.drift import Drift, find_drift, watch_drift
from billing.errors import (
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
    PlanUnknown,
    PriceBookRejected,
    RateLimited,
    RequestAboveRate,
    StatementInvalid,
    TrafficLimited,
)
from billing.histogram import add_histograms, latency_bounds_ms, percentile_ms
from billing.idempotency import Claim, Claimed, ClaimState, digest
from billing.idempotency_keys import IdempotencyKeys
from billing.idempotency_repository import purge_idempotency_keys
from billing.ledger import Currency
from billing.lost_calls import settle_lost
from billing.management_rate import admit_management
from billing.meter import Admission, AdmissionRequest, BudgetFacts, Meter, RateState, Reservation
from billing.money import usd
from billing.plan import DEFAULT_PLAN_ID, Feature, Plan
from billing.plan_repository import find_plan_of
from billing.plans import PLANS, change_plan, require_feature, seed_plans, subscribe
from billing.price import Price, PriceTier, Rates, ServiceTier, billed_nano_usd
from billing.price_book import PriceBook, declare_prices
from billing.price_import import ImportReport, import_price_book
from billing.queries import USAGE_GROUPS_MAX, find_request, list_requests, usage
from billing.reconciliation import ReconcileReport, absorb_unresolved, reconcile
from billing.records import AttemptRecord, CredentialOwner, Outcome, RequestRecord
from billing.reservation_repository import purge_reservations
from billing.rollup_repository import ensure_partitions, fold_rollups
from billing.snapshot import BillingSnapshot
from billing.statement import COLUMNS as STATEMENT_COLUMNS
from billing.statement import StatementLine, read_statement
from billing.stored import (
    RequestFilters,
    RequestPage,
    RequestSummary,
    StoredAttempt,
    StoredRequest,
    UsageDimension,
    UsageRow,
)
from billing.traffic import Traffic
from billing.traffic_limit import CallerLimits, LimitKind, LimitState, TenantLimits, TrafficLimit
from billing.traffic_limit_repository import list_traffic_limits, traffic_states
from billing.traffic_limits import remove_traffic_limit, set_traffic_limit
from billing.traffic_repository import purge_traffic_buckets
from billing.usage import MediaTokens, Usage

__all__ = [
    "DEFAULT_PLAN_ID",
    "END_USERS_MAX_DEFAULT",
    "LIMIT_NANO_USD_MAX",
    "PLANS",
    "PROMPT_S",
    "STATEMENT_COLUMNS",
    "USAGE_GROUPS_MAX",
    "Admission",
    "AdmissionRequest",
    "AttemptRecord",
    "BillingError",
    "BillingSnapshot",
    "Budget",
    "BudgetContended",
    "BudgetEvent",
    "BudgetFacts",
    "BudgetInvalid",
    "BudgetMode",
    "BudgetPeriod",
    "BudgetUsedUp",
    "CallerLimits",
    "Claim",
    "ClaimState",
    "Claimed",
    "CommitMeter",
    "ConcurrencyLimited",
    "CredentialOwner",
    "CreditGrant",
    "CreditInvalid",
    "CreditKind",
    "CreditState",
    "Currency",
    "Drift",
    "EndUserSpend",
    "Feature",
    "FeatureNotInPlan",
    "IdempotencyKeys",
    "ImportReport",
    "LimitInvalid",
    "LimitKind",
    "LimitState",
    "ManagementRateLimited",
    "MediaTokens",
    "Meter",
    "MeterUnavailable",
    "Outcome",
    "Plan",
    "PlanUnknown",
    "Price",
    "PriceBook",
    "PriceBookRejected",
    "PriceTier",
    "RateLimited",
    "RateState",
    "Rates",
    "ReconcileReport",
    "RequestAboveRate",
    "RequestFilters",
    "RequestPage",
    "RequestRecord",
    "RequestSummary",
    "Reservation",
    "ServiceTier",
    "StatementInvalid",
    "StatementLine",
    "StoredAttempt",
    "StoredRequest",
    "TenantLimits",
    "Traffic",
    "TrafficLimit",
    "TrafficLimited",
    "Usage",
    "UsageDimension",
    "UsageRow",
    "absorb_unresolved",
    "add_histograms",
    "admit_management",
    "billed_nano_usd",
    "change_plan",
    "credit_states",
    "declare_prices",
    "digest",
    "draw_credit",
    "ensure_partitions",
    "find_drift",
    "find_plan_of",
    "find_request",
    "fold_rollups",
    "grant_credit",
    "import_price_book",
    "latency_bounds_ms",
    "list_budget_events",
    "list_budgets",
    "list_end_users",
    "list_requests",
    "list_traffic_limits",
    "percentile_ms",
    "purge_idempotency_keys",
    "purge_reservations",
    "purge_traffic_buckets",
    "read_statement",
    "reconcile",
    "remove_budget",
    "remove_traffic_limit",
    "require_feature",
    "seed_plans",
    "set_budget",
    "set_traffic_limit",
    "settle_lost",
    "subscribe",
    "traffic_states",
    "usage",
    "usd",
    "watch_drift",
]
