"""How much: plans, the price book, budgets and reservations, request records, rollups and the ledger."""

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
from billing.meter import Admission, AdmissionRequest, BudgetFacts, Meter, Reservation
from billing.price import Price, billed_nano_usd
from billing.records import AttemptRecord, CredentialOwner, Outcome, RequestRecord
from billing.usage import Usage

__all__ = [
    "Admission",
    "AdmissionRequest",
    "AttemptRecord",
    "BillingError",
    "BudgetContended",
    "BudgetFacts",
    "BudgetInvalid",
    "BudgetUsedUp",
    "CredentialOwner",
    "Meter",
    "MeterUnavailable",
    "Outcome",
    "PlanUnknown",
    "Price",
    "PriceBookRejected",
    "RateLimited",
    "RequestRecord",
    "Reservation",
    "Usage",
    "billed_nano_usd",
]
