"""Errors of billing. They carry facts, not HTTP.

BillingError
├── RateLimited          the plan's request rate is used for the moment
├── ManagementRateLimited  the management API's request rate is used for the moment
├── TrafficLimited       a rate that the tenant set is used for the moment
│   └── RequestAboveRate   the request alone is more than the rate's bucket holds
├── ConcurrencyLimited   as many requests run as may at once
├── BudgetUsedUp         spent money leaves no room
├── BudgetContended      requests in flight hold the room that is left
├── MeterUnavailable     nothing was admitted
│   └── DatabaseSilent   the database is away, or did not answer in time
├── PlanUnknown          no such plan
├── FeatureNotInPlan     the plan does not unlock this
├── LimitInvalid         a traffic limit's fields do not make sense
├── BudgetInvalid        a budget's fields do not make sense
├── CreditInvalid        a grant of credit does not make sense
├── PriceBookRejected    an import held an implausible price
└── StatementInvalid     a line of a provider's statement cannot be read
"""

from billing.meter import BudgetFacts, RateState


class BillingError(Exception):
    """The root."""


class RateLimited(BillingError):
    """More requests than the plan's rate."""

    def __init__(self, *, requests_per_minute: int, retry_after_ms: int, reset_ms: int) -> None:
        super().__init__(
            f"The plan allows {requests_per_minute} requests per minute and they are used. "
            f"Retry in {max(1, -(-retry_after_ms // 1000))} s, or move to a larger plan."
        )
        self.requests_per_minute = requests_per_minute
        self.retry_after_ms = retry_after_ms
        self.reset_ms = reset_ms


class ManagementRateLimited(BillingError):
    """More calls of the management API than it takes of one tenant."""

    def __init__(self, *, requests_per_minute: int, retry_after_ms: int) -> None:
        super().__init__(
            f"The management API takes {requests_per_minute} requests per minute of a tenant and they are used. "
            f"Retry in {max(1, -(-retry_after_ms // 1000))} s. Calls of models are not affected."
        )
        self.retry_after_ms = retry_after_ms


class TrafficLimited(BillingError):
    """A rate that the tenant set is used for the moment. `scope` is what it covers, in words."""

    def __init__(
        self,
        *,
        scope: str,
        kind: str,
        limit_count: int,
        capacity: int,
        amount: int,
        retry_after_ms: int,
        is_of_model: bool,
        states: tuple[RateState, ...],
    ) -> None:
        super().__init__(self._message(f"{scope} allows {limit_count:,} {kind}", capacity, amount, retry_after_ms))
        self.retry_after_ms = retry_after_ms
        self.is_of_model = is_of_model
        self.states = states

    def _message(self, limit: str, capacity: int, amount: int, retry_after_ms: int) -> str:
        wait_s = max(1, -(-retry_after_ms // 1000))
        return f"{limit} and they are used. Retry in {wait_s} s, or raise the limit."


class RequestAboveRate(TrafficLimited):
    """The request alone is more than the rate's bucket holds, and so it can never pass."""

    def _message(self, limit: str, capacity: int, amount: int, retry_after_ms: int) -> str:
        return (
            f"{limit}, {capacity:,} of them at once, and this request takes {amount:,}. Send less or ask for less "
            "output, or raise the limit."
        )


class ConcurrencyLimited(BillingError):
    """As many requests run as may at once. `scope` is what the limit covers, in words."""

    retry_after_s = 1

    def __init__(self, scope: str, slots_max: int) -> None:
        super().__init__(
            f"{scope} allows {slots_max} requests at once and they run. Retry in {self.retry_after_s} s; let some end, "
            "or raise the limit."
        )
        self.slots_max = slots_max


class BudgetUsedUp(BillingError):
    """Spent money leaves no room for this request in a budget."""

    def __init__(self, message: str, facts: BudgetFacts) -> None:
        super().__init__(message)
        self.facts = facts


class BudgetContended(BillingError):
    """There is room in the budget, but requests in flight hold it."""

    def __init__(self, message: str, facts: BudgetFacts, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.facts = facts
        self.retry_after_s = retry_after_s


class MeterUnavailable(BillingError):
    """The database did not answer in time; the request was not admitted and cost nothing."""


class DatabaseSilent(MeterUnavailable):
    """The database is away, or did not answer in time."""


class PlanUnknown(BillingError):
    """No plan has this id."""


class FeatureNotInPlan(BillingError):
    """The tenant's plan does not unlock a feature."""

    def __init__(self, feature: str, plan_name: str, others: tuple[str, ...]) -> None:
        instead = f"Move to {' or '.join(others)}." if others else "Ask whoever runs this gateway."
        super().__init__(f"The plan {plan_name} does not include '{feature}'. {instead}")
        self.feature = feature


class LimitInvalid(BillingError):
    """A traffic limit's fields do not make sense; the message names the field."""


class BudgetInvalid(BillingError):
    """A budget's fields do not make sense; the message names the field."""


class PriceBookRejected(BillingError):
    """An import held an implausible price; nothing of it was kept."""


class StatementInvalid(BillingError):
    """A line of a provider's statement cannot be read; what stood before it may have been."""

    def __init__(self, line_number: int, reason: str) -> None:
        super().__init__(f"Line {line_number} of the statement cannot be read: {reason} Mend it and read it again.")
        self.line_number = line_number


class CreditInvalid(BillingError):
    """A grant of credit does not make sense; the message names the value."""
