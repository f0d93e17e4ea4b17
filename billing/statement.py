"""A provider's usage report, read from CSV: one line for each call that it bills. Pure.

Read by `signalbox reconcile`; the sandbox writes one of its own calls. Columns, in any order; the first four are
needed, and `attempt_id` or `response_id` in each line:

    provider_name  started_at  model  cost_usd  attempt_id  response_id
    input_tokens  output_tokens  cache_read_input_tokens  cache_creation_input_tokens
    cache_creation_1h_input_tokens  reasoning_output_tokens

Invariant: an amount is what its text says to the nano-dollar, or the statement is refused with its line.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, Inexact, localcontext
from typing import Final
from uuid import UUID

import msgspec

from billing.errors import StatementInvalid
from billing.money import NANO_USD_PER_USD
from billing.usage import Usage

REQUIRED: Final = ("provider_name", "started_at", "model", "cost_usd")
IDS: Final = ("attempt_id", "response_id")
TOKENS: Final = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
    "cache_creation_1h_input_tokens", "reasoning_output_tokens",
)  # fmt: skip
COLUMNS: Final = (*REQUIRED, *IDS, *TOKENS)
COST_NANO_USD_MAX: Final = 10**15  # a million dollars for one call
TOKENS_MAX: Final = 10**9
SHOWN_CHARACTERS_MAX: Final = 40


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One call as the provider bills it. Its tokens are None where the statement does not tell them."""

    provider_name: str
    model: str
    started_at: datetime
    cost_nano_usd: int
    attempt_id: UUID | None = None
    response_id: str | None = None
    usage: Usage | None = None

    @property
    def call_id(self) -> str:
        """What tells this call from the provider's others."""
        return str(self.attempt_id or self.response_id)


def read_statement(text: Iterable[str]) -> Iterator[StatementLine]:
    """The lines of a statement. Raises StatementInvalid with the number of the line that does not hold."""
    rows = csv.DictReader(text, strict=True)
    try:
        missing = [name for name in REQUIRED if name not in (rows.fieldnames or ())]
        if missing or not any(name in (rows.fieldnames or ()) for name in IDS):
            needed = ", ".join(missing) or " or ".join(IDS)
            raise StatementInvalid(1, f"it has no column {needed}. Its columns may be: {', '.join(COLUMNS)}.")
        for row in rows:
            yield _line(row, rows.line_num)
    except (csv.Error, UnicodeDecodeError) as error:
        raise StatementInvalid(rows.line_num, "it is not CSV in UTF-8.") from error


def _line(row: Mapping[str, str | None], number: int) -> StatementLine:
    def told(name: str) -> str:
        return (row.get(name) or "").strip()

    attempt_id, response_id = told("attempt_id"), told("response_id")
    if not attempt_id and not response_id:
        raise StatementInvalid(number, "neither attempt_id nor response_id says which call it is.")
    counts = {name: _tokens(told(name), name, number) for name in TOKENS if told(name)}
    return StatementLine(
        provider_name=told("provider_name") or _missing("provider_name", number),
        model=told("model") or _missing("model", number),
        started_at=_moment(told("started_at"), number),
        cost_nano_usd=_nano_usd(told("cost_usd"), number),
        attempt_id=_uuid(attempt_id, number) if attempt_id else None,
        response_id=response_id or None,
        usage=msgspec.convert(counts, Usage) if counts else None,
    )


def _missing(name: str, number: int) -> str:
    raise StatementInvalid(number, f"{name} is empty.")


def _nano_usd(told: str, number: int) -> int:
    with localcontext() as exactly:
        exactly.traps[Inexact] = True
        try:
            amount = Decimal(told) * NANO_USD_PER_USD
            is_whole = amount.is_finite() and amount == amount.to_integral_value()
        except ArithmeticError:
            is_whole = False
    if not is_whole or not 0 <= amount <= COST_NANO_USD_MAX:
        raise StatementInvalid(
            number,
            f"cost_usd is '{told[:SHOWN_CHARACTERS_MAX]}'; it must be dollars from 0 on, with at most nine decimals.",
        )
    return int(amount)


def _tokens(told: str, name: str, number: int) -> int:
    if not told.isdecimal() or int(told) > TOKENS_MAX:
        raise StatementInvalid(number, f"{name} is '{told[:SHOWN_CHARACTERS_MAX]}'; it must be a whole number.")
    return int(told)


def _moment(told: str, number: int) -> datetime:
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise StatementInvalid(
            number, f"started_at is '{told[:SHOWN_CHARACTERS_MAX]}'; it must be RFC 3339 with a time zone, best '…Z'."
        )
    return moment.astimezone(UTC)


def _uuid(told: str, number: int) -> UUID:
    try:
        return UUID(told)
    except ValueError as error:
        raise StatementInvalid(
            number, f"attempt_id is '{told[:SHOWN_CHARACTERS_MAX]}', which is no id of an attempt."
        ) from error
