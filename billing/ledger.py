"""The ledger's view of settled attempts: one balanced posting for each batch, tenant and currency. Pure.

Called by the meter's repository with the records that the database had not seen before. Invariant:
the entries of a posting sum to zero.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal
from uuid import UUID

import msgspec

from billing.records import AttemptRecord, RequestRecord

Currency = Literal["USD", "XTS"]
# ISO 4217's code for testing: simulated usage is posted like any other, and no invoice ever reads it.
SIMULATED_CURRENCY: Final = "XTS"
REAL_CURRENCY: Final = "USD"
POSTING_SOURCE: Final = "usage"


class PostingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `ledger_posting`."""

    tenant_id: UUID
    posting_id: UUID
    currency: Currency
    source: str = POSTING_SOURCE


class EntryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `ledger_entry`: debit positive, credit negative."""

    tenant_id: UUID
    posting_id: UUID
    account: str
    amount_nano_usd: int


PostingIds = Mapping[tuple[UUID, Currency], UUID]


def currency_of(attempt: AttemptRecord) -> Currency:
    """Which books an attempt's money stands in."""
    return SIMULATED_CURRENCY if attempt.is_simulated else REAL_CURRENCY


def moves_money(attempt: AttemptRecord) -> bool:
    """Tell whether an attempt leaves entries."""
    return any(amount for _, amount in _entries_of(attempt))


def postings_of(records: Iterable[RequestRecord], posting_ids: PostingIds) -> tuple[list[PostingRow], list[EntryRow]]:
    """One balanced posting for each tenant and currency whose money moved."""
    moves: dict[tuple[UUID, Currency], dict[str, int]] = {}
    for record in records:
        for attempt in record.attempts:
            if moves_money(attempt):
                accounts = moves.setdefault((record.tenant_id, currency_of(attempt)), {})
                for account, amount in _entries_of(attempt):
                    accounts[account] = accounts.get(account, 0) + amount
    postings, entries = [], []
    for (tenant_id, currency), accounts in moves.items():
        posting_id = posting_ids[tenant_id, currency]
        postings.append(PostingRow(tenant_id=tenant_id, posting_id=posting_id, currency=currency))
        entries += [
            EntryRow(tenant_id=tenant_id, posting_id=posting_id, account=account, amount_nano_usd=amount)
            for account, amount in accounts.items()
            if amount
        ]
    return postings, entries


def _entries_of(attempt: AttemptRecord) -> Sequence[tuple[str, int]]:
    """Billed is earned; with our credential its cost is owed, and what was absorbed is set apart from it."""
    earned = (("accrued_usage", attempt.billed_nano_usd), ("revenue", -attempt.billed_nano_usd))
    cost = attempt.provider_cost_nano_usd
    if attempt.credential_owner == "tenant" or not cost:
        return earned
    # Absorbed is counted at the tenant's rate, which may lie above what the provider charges us.
    absorbed = min(attempt.absorbed_nano_usd, cost)
    return (
        *earned,
        ("provider_cost", cost - absorbed),
        ("absorbed", absorbed),
        ("provider_payable", -cost),
    )
