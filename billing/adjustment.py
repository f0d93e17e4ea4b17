"""What is written when a request turns out otherwise than it was recorded: the differences, and the truth whole. Pure.

Made when a lost call settles late, when a provider's statement says another cost, and when a day has passed without
either. Invariant: what was recorded and its adjustments together say, in every sum, what the newest truth says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import msgspec

from billing.ledger import PostingIds, PostingRow, postings_between, postings_of
from billing.records import RequestRecord
from billing.rollups import RollupRow, rollups_between
from billing.settlement import attempt_row, record_row, whole_rows_json


class AdjustmentReason(StrEnum):
    """Why a request was adjusted."""

    SETTLED_LATE = "settled_late"  # its process was taken for dead, and was not
    STATEMENT = "statement"  # the provider's statement says so
    UNRESOLVED = "unresolved"  # nobody said anything for a day: we bear it
    RERATED = "rerated"  # it was priced wrongly


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """The differences between two states of a request, and the newer one, whole, as JSON."""

    tenant_id: UUID
    request_id: UUID
    reason: AdjustmentReason
    record: str
    attempts: str
    billed_nano_usd: int
    rollups: Sequence[RollupRow]
    postings: Sequence[PostingRow]
    charges: Mapping[UUID, int]  # what the reservations that still stand are settled at


def adjustment_between(
    before: RequestRecord,
    after: RequestRecord,
    *,
    reason: AdjustmentReason,
    writer_id: UUID,
    posting_ids: PostingIds,
    charges: Mapping[UUID, int],
) -> Adjustment:
    """What leads from one state of a request to another."""
    postings = postings_between(postings_of([before], posting_ids), postings_of([after], posting_ids))
    row = record_row(after, posting_ids)
    if row.posting_id not in {posting.posting_id for posting in postings}:
        row = msgspec.structs.replace(row, posting_id=None)  # no money moved
    return Adjustment(
        tenant_id=after.tenant_id,
        request_id=after.request_id,
        reason=reason,
        record=whole_rows_json([row])[1:-1],
        attempts=whole_rows_json([attempt_row(after, attempt) for attempt in after.attempts]),
        billed_nano_usd=_billed_nano_usd(after) - _billed_nano_usd(before),
        rollups=rollups_between(before, after, writer_id),
        postings=postings,
        charges=charges,
    )


def _billed_nano_usd(record: RequestRecord) -> int:
    return sum(attempt.billed_nano_usd for attempt in record.attempts)
