"""How much: plans, the price book, budgets and reservations, request records, rollups and the ledger."""

from billing.budgets import Budget, BudgetPeriod, list_budgets, remove_budget, set_budget
from billing.commit_meter import CommitMeter
from billing.errors import (
    BillingError,
    BudgetContended,
    BudgetInvalid,
    BudgetUsedUp,
    MeterUnavailable,
    PlanUnknown,
    PriceBookRejected,
    RateLimited,
)
from billing.histogram import add_histograms, latency_bounds_ms, percentile_ms
from billing.meter import Admission, AdmissionRequest, BudgetFacts, Meter, Reservation
from billing.money import usd
from billing.plan import DEFAULT_PLAN_ID, Feature, Plan
from billing.plans import PLANS, change_plan, seed_plans
from billing.price import Price, billed_nano_usd
from billing.price_book import PriceBook, declare_prices
from billing.price_import import ImportReport, import_price_book
from billing.records import AttemptRecord, CredentialOwner, Outcome, RequestRecord
from billing.snapshot import BillingSnapshot
from billing.usage import Usage

__all__ = [
    "DEFAULT_PLAN_ID",
    "PLANS",
    "Admission",
    "AdmissionRequest",
    "AttemptRecord",
    "BillingError",
    "BillingSnapshot",
    "Budget",
    "BudgetContended",
    "BudgetFacts",
    "BudgetInvalid",
    "BudgetPeriod",
    "BudgetUsedUp",
    "CommitMeter",
    "CredentialOwner",
    "Feature",
    "ImportReport",
    "Meter",
    "MeterUnavailable",
    "Outcome",
    "Plan",
    "PlanUnknown",
    "Price",
    "PriceBook",
    "PriceBookRejected",
    "RateLimited",
    "RequestRecord",
    "Reservation",
    "Usage",
    "add_histograms",
    "billed_nano_usd",
    "change_plan",
    "declare_prices",
    "import_price_book",
    "latency_bounds_ms",
    "list_budgets",
    "percentile_ms",
    "remove_budget",
    "seed_plans",
    "set_budget",
    "usd",
]
