"""The ledger's view of settled attempts: one balanced posting for each batch, tenant and currency. Pure.

Called by the meter's repository with the records that the database had not seen before. Invariant:
the entries of a posting sum to zero.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal
from uuid import UUID

import msgspec

from billing.records import AttemptRecord, RequestRecord

Currency = Literal["USD", "XTS"]
# ISO 4217's code for testing: simulated usage is posted like any other, and no invoice ever reads it.
SIMULATED_CURRENCY: Final = "XTS"
REAL_CURRENCY: Final = "USD"
POSTING_SOURCE: Final = "usage"
ADJUSTMENT_SOURCE: Final = "adjustment"
POSTED_SUMS: Final = ("billed_nano_usd", "provider_cost_nano_usd", "absorbed_nano_usd")
# What each account of a posting is debited (credited, when negative), of the posting's three sums. They balance:
# billed is earned; with our credential its cost is owed, and what was absorbed is set apart from it.
ACCOUNTS: Final = {
    "accrued_usage": "billed_nano_usd",
    "revenue": "-billed_nano_usd",
    "provider_cost": "provider_cost_nano_usd - absorbed_nano_usd",
    "absorbed": "absorbed_nano_usd",
    "provider_payable": "-provider_cost_nano_usd",
}
PostingIds = Mapping[tuple[UUID, Currency], UUID]


class PostingRow(msgspec.Struct, kw_only=True):
    """A row of `ledger_posting` with the sums of its attempts; the cost is that of our credentials."""

    tenant_id: UUID
    posting_id: UUID
    currency: Currency
    source: str = POSTING_SOURCE
    billed_nano_usd: int = 0
    provider_cost_nano_usd: int = 0
    absorbed_nano_usd: int = 0


def currency_of(attempt: AttemptRecord) -> Currency:
    """Which books an attempt's money stands in."""
    return SIMULATED_CURRENCY if attempt.is_simulated else REAL_CURRENCY


def moves_money(attempt: AttemptRecord) -> bool:
    """Tell whether an attempt leaves entries."""
    return bool(attempt.billed_nano_usd or _owed_nano_usd(attempt))


def postings_of(records: Iterable[RequestRecord], posting_ids: PostingIds) -> list[PostingRow]:
    """One balanced posting for each tenant and currency whose money moved."""
    postings: dict[UUID, PostingRow] = {}
    for record in records:
        for attempt in record.attempts:
            if not moves_money(attempt):
                continue
            currency = currency_of(attempt)
            posting_id = posting_ids[record.tenant_id, currency]
            posting = postings.get(posting_id)
            if posting is None:
                posting = PostingRow(tenant_id=record.tenant_id, posting_id=posting_id, currency=currency)
                postings[posting_id] = posting
            owed = _owed_nano_usd(attempt)
            posting.billed_nano_usd += attempt.billed_nano_usd
            posting.provider_cost_nano_usd += owed
            # Absorbed is counted at the tenant's rate, which may lie above what the provider charges us.
            posting.absorbed_nano_usd += min(attempt.absorbed_nano_usd, owed)
    return list(postings.values())


def postings_between(before: Iterable[PostingRow], after: Iterable[PostingRow]) -> list[PostingRow]:
    """What leads from one state of the same postings to another, where it differs; these balance too."""
    between = {posting.posting_id: msgspec.structs.replace(posting, source=ADJUSTMENT_SOURCE) for posting in after}
    for old in before:
        new = between.setdefault(
            old.posting_id,
            PostingRow(
                tenant_id=old.tenant_id, posting_id=old.posting_id, currency=old.currency, source=ADJUSTMENT_SOURCE
            ),
        )
        for name in POSTED_SUMS:
            setattr(new, name, getattr(new, name) - getattr(old, name))
    return [posting for posting in between.values() if any(getattr(posting, name) for name in POSTED_SUMS)]


def _owed_nano_usd(attempt: AttemptRecord) -> int:
    """What we owe the provider: nothing for a call with the tenant's own credential."""
    return 0 if attempt.credential_owner == "tenant" else attempt.provider_cost_nano_usd or 0
