"""The seam between the request path and the money: admit, reserve, release, settle.

Two modes stand behind it: `commit` (every step is a committed batch in PostgreSQL) and, later,
`lease`. Nothing above this seam may assume which one runs.
"""

from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from billing.records import CredentialOwner, RequestRecord


class AdmissionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A caller and its plan's request rate."""

    tenant_id: UUID
    project_id: UUID
    api_key_id: UUID
    requests_per_minute: int
    request_burst: int


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What admission found: the state of the rate, and how much the budgets leave."""

    rate_limit: int
    rate_remaining: int
    rate_reset_ms: int
    headroom_nano_usd: int | None = None  # limit - spent - reserved of the tightest budget; None: no budget
    unspent_nano_usd: int | None = None  # limit - spent of the same budget
    prefers_cheaper: bool = False  # a budget is so far used that cheaper models are preferred


class RateState(msgspec.Struct, frozen=True, kw_only=True):
    """What a bucket holds after a request took from it, or could not."""

    is_of_tokens: bool
    limit_count: int
    remaining: int
    reset_ms: int


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """The upper bound of one attempt, held before the call is sent.

    Whom it calls is kept beside it: should the process die, the record of the call is made from this.
    """

    tenant_id: UUID
    project_id: UUID
    api_key_id: UUID
    request_id: UUID
    attempt_id: UUID
    amount_nano_usd: int
    provider_name: str = ""
    model: str = ""
    credential_owner: CredentialOwner = "platform"
    is_simulated: bool = False
    end_user: str | None = None


class Meter(Protocol):
    """Admit once, reserve per attempt, settle once."""

    async def admit(self, request: AdmissionRequest) -> Admission:
        """Take one request off the rate. Raises RateLimited, BudgetUsedUp or MeterUnavailable."""
        ...

    async def reserve(self, reservation: Reservation) -> None:
        """Hold an attempt's bound in every budget that covers it, or in none.

        Committed on return. Raises BudgetUsedUp (spent money alone leaves no room), BudgetContended
        (requests in flight hold it) or MeterUnavailable.
        """
        ...

    async def release(self, tenant_id: UUID, attempt_id: UUID) -> None:
        """Return an attempt that cost nothing, before the next one is reserved. Idempotent."""
        ...

    async def settle(self, record: RequestRecord) -> None:
        """Write the record with its attempts, rollups and ledger entries and settle its reservations.

        Committed on return; exactly once per request id however often it is called.
        """
        ...


class BudgetFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an error about a budget tells: names and amounts, no ids of other tenants."""

    scope: str  # 'tenant' | 'project' | 'api_key'
    scope_name: str
    period: str
    model: str | None = None
    end_user: str | None = None
    limit_nano_usd: int
    spent_nano_usd: int
    reserved_nano_usd: int
    resets_at: datetime | None
