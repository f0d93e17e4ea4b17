"""Amounts and moments as people type them on a command line, read exactly.

Invariant: an amount that is finer than a nano-dollar is refused, never rounded.
"""

from datetime import UTC, datetime
from decimal import Decimal, Inexact, localcontext
from typing import Final

import click

NANO_USD_PER_USD: Final = 1_000_000_000
USD_MAX: Final = 1_000_000_000


def read_dollars(_: click.Context, option: click.Parameter, text: str) -> int:
    """Read `25`, `0.5` or `$1,000.25` as nano-USD; a callback of an option."""
    amount_nano_usd = nano_usd_of(text.strip().removeprefix("$").replace(",", ""))
    if amount_nano_usd is None or not 0 <= amount_nano_usd <= USD_MAX * NANO_USD_PER_USD:
        raise click.BadParameter(
            f"'{text}' is not an amount from 0 to {USD_MAX:,} dollars with at most 9 decimals.", param=option
        )
    return amount_nano_usd


def read_moment(_: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    """Read `2026-12-01` or `2026-12-01T08:00Z`, UTC unless it says otherwise; a callback of an option."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            f"'{text}' is not a moment like 2026-12-01 or 2026-12-01T08:00Z.", param=option
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def nano_usd_of(dollars: str) -> int | None:
    """Exact nano-USD of a decimal number of dollars; None when it is not one."""
    with localcontext() as context:
        context.traps[Inexact] = True
        try:
            scaled = Decimal(dollars) * NANO_USD_PER_USD
            return int(scaled) if scaled.is_finite() and scaled == scaled.to_integral_value() else None
        except ArithmeticError:
            return None
