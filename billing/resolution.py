"""What a provider's statement, or a day without one, makes of a recorded request. Pure.

Called by reconciliation. Invariants: what the provider bills is what we owe, to the nano-dollar; a caller pays
for a call that was lost by the statement, and never more than was held; what a caller was told of any other call stays.
"""

from collections.abc import Collection, Mapping
from typing import Final
from uuid import UUID

import msgspec

from billing.price import billed_nano_usd
from billing.records import AttemptRecord, RequestRecord
from billing.statement import StatementLine

STATED_MESSAGE: Final = "The gateway process ended before this call was settled; it is charged by the provider's bill."
ABSORBED_MESSAGE: Final = "The gateway process ended before this call was settled; it is not charged."


def by_statement(
    record: RequestRecord,
    lines: Mapping[UUID, StatementLine],
    *,
    lost: Collection[UUID],
    rate_ppm: Mapping[str, int],
) -> RequestRecord:
    """The record with what the statement says of its attempts, by their ids.

    `lost` are the attempts that were charged what was held for them; `rate_ppm` is the tenant's by credential owner.
    """
    attempts = tuple(
        _stated(attempt, lines[attempt.attempt_id], rate_ppm[attempt.credential_owner], attempt.attempt_id in lost)
        if attempt.attempt_id in lines
        else attempt
        for attempt in record.attempts
    )
    return _with(record, attempts, STATED_MESSAGE if lost else record.error_message)


def unresolved(record: RequestRecord, *, lost: Collection[UUID]) -> RequestRecord:
    """The record when nobody told what its lost attempts cost: the caller pays nothing, we bear what they can cost."""
    attempts = tuple(_borne(each) if each.attempt_id in lost else each for each in record.attempts)
    return _with(record, attempts, ABSORBED_MESSAGE)


def _stated(attempt: AttemptRecord, line: StatementLine, rate_ppm: int, is_lost: bool) -> AttemptRecord:
    rated = billed_nano_usd(line.cost_nano_usd, rate_ppm)
    billed = min(rated, attempt.reserved_nano_usd) if is_lost else attempt.billed_nano_usd
    return msgspec.structs.replace(
        attempt,
        usage=line.usage or attempt.usage,
        provider_cost_nano_usd=line.cost_nano_usd,
        billed_nano_usd=billed,
        absorbed_nano_usd=max(0, rated - billed) if attempt.credential_owner == "platform" else 0,
        response_id=attempt.response_id or line.response_id,
        error_message=STATED_MESSAGE if is_lost else attempt.error_message,
    )


def _borne(attempt: AttemptRecord) -> AttemptRecord:
    is_ours = attempt.credential_owner == "platform"
    return msgspec.structs.replace(
        attempt,
        billed_nano_usd=0,
        # The most that the provider can bill, until it says otherwise.
        provider_cost_nano_usd=attempt.reserved_nano_usd if is_ours else attempt.provider_cost_nano_usd,
        absorbed_nano_usd=attempt.reserved_nano_usd if is_ours else 0,
        error_message=ABSORBED_MESSAGE,
    )


def _with(record: RequestRecord, attempts: tuple[AttemptRecord, ...], message: str | None) -> RequestRecord:
    return msgspec.structs.replace(record, attempts=attempts, error_message=message)
