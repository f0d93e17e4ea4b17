"""Writes amounts of nano-USD for people, exactly and without floats."""

from typing import Final

NANO_USD_PER_USD: Final = 1_000_000_000
CENT_DIGITS: Final = 2


def usd(amount_nano_usd: int) -> str:
    """Write an amount with at least cents and no trailing zeros: `$0.00`, `$1.25`, `$0.000371`."""
    whole, part = divmod(abs(amount_nano_usd), NANO_USD_PER_USD)
    digits = f"{part:09d}".rstrip("0").ljust(CENT_DIGITS, "0")
    return f"{'-' if amount_nano_usd < 0 else ''}${whole}.{digits}"
