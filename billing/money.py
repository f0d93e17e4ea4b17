"""Nano-dollars in words: the only place that turns an amount into text."""

from typing import Final

NANO_USD_PER_USD: Final = 1_000_000_000
NANO_USD_PER_CENT: Final = 10_000_000


def usd(amount_nano_usd: int) -> str:
    """An amount as people read it: cents when it is whole cents, else every digit that counts."""
    sign, whole = ("-", -amount_nano_usd) if amount_nano_usd < 0 else ("", amount_nano_usd)
    dollars, rest = divmod(whole, NANO_USD_PER_USD)
    if whole % NANO_USD_PER_CENT == 0:
        return f"{sign}${dollars:,}.{rest // NANO_USD_PER_CENT:02d}"
    return f"{sign}${dollars:,}.{f'{rest:09d}'.rstrip('0')}"
