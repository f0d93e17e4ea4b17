"""How numbers are written: money, counts, shares, durations and moments. Called by pages and figures.

Invariant: unknown is "—" and never a zero; a rounded number has its exact form beside it.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

UNKNOWN: Final = "—"
NANO_PER_USD: Final = 1_000_000_000
# From this many nano-USD on, this many decimals.
DECIMALS: Final = ((NANO_PER_USD, 2), (NANO_PER_USD // 100, 4), (NANO_PER_USD // 10_000, 6))
COMPACT_FROM: Final = 10_000_000
MINUS: Final = "−"


def money(nano_usd: int | None) -> str:
    """Dollars for reading; the smaller the amount, the more decimals, in steps so that columns align."""
    if nano_usd is None:
        return UNKNOWN
    size = abs(nano_usd)
    decimals = next((decimals for least, decimals in DECIMALS if size >= least or size == 0), 9)
    return f"{MINUS if nano_usd < 0 else ''}${Decimal(size) / NANO_PER_USD:,.{decimals}f}"


def exact_money(nano_usd: int | None) -> str:
    """Dollars to the nano-dollar, as the ledger holds them."""
    if nano_usd is None:
        return UNKNOWN
    whole, nano = divmod(abs(nano_usd), NANO_PER_USD)
    return f"{MINUS if nano_usd < 0 else ''}${whole:,}.{nano:09d}"


def plain_usd(nano_usd: int) -> str:
    """Dollars to the nano-dollar for machines: without currency and separators."""
    whole, nano = divmod(abs(nano_usd), NANO_PER_USD)
    return f"{'-' if nano_usd < 0 else ''}{whole}.{nano:09d}"


def usd(nano_usd: int) -> float:
    """Dollars as a number for drawing only; no sum is ever made of these."""
    return nano_usd / NANO_PER_USD


def count(number: int | None) -> str:
    """A count with thousands separators; from ten million on, compact."""
    if number is None:
        return UNKNOWN
    if abs(number) < COMPACT_FROM:
        return f"{number:,}"
    if abs(number) < 1_000_000_000:
        return f"{number / 1_000_000:.1f}M"
    return f"{number / 1_000_000_000:.2f}B"


def share(part: int, whole: int) -> str:
    """`part` of `whole` in percent. All but never quite: 99.96% is not written as 100%."""
    if whole == 0:
        return UNKNOWN
    percent = 100 * part / whole
    if 99.9 < percent < 100:
        return "99.9%" if percent < 99.95 else ">99.9%"
    if 0 < percent < 0.1:
        return "<0.1%"
    return f"{percent:.0f}%" if percent in (0, 100) else f"{percent:.1f}%".replace("-", MINUS)


def duration(milliseconds: float | None) -> str:
    """A duration in the unit that a person would say."""
    if milliseconds is None:
        return UNKNOWN
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms" if milliseconds >= 10 or milliseconds % 1 == 0 else f"{milliseconds:.1f} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds // 60_000:.0f} min {milliseconds % 60_000 // 1000:02.0f} s"


def moment(at: datetime | None, zone: ZoneInfo) -> str:
    """Day and time to the second in the viewer's zone."""
    return UNKNOWN if at is None else f"{at.astimezone(zone):%d %b %H:%M:%S}"


def minute(at: datetime | None, zone: ZoneInfo) -> str:
    """Day, year and time to the minute in the viewer's zone."""
    return UNKNOWN if at is None else f"{at.astimezone(zone):%d %b %Y %H:%M}"


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago, coarsely."""
    if at is None:
        return "never"
    seconds = max(0, int((now - at).total_seconds()))
    for size_s, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size_s:
            return f"{seconds // size_s} {unit} ago"
    return "just now"


def change(current: int | float | None, previous: int | float | None) -> str:
    """The change against the previous period in percent; "—" when there is nothing to compare with."""
    if current is None or previous is None or previous == 0:
        return UNKNOWN
    percent = 100 * (current - previous) / abs(previous)
    if abs(percent) < 0.05:
        return "±0%"
    sign = "+" if percent > 0 else MINUS
    if percent >= 1000:
        return f"{current / previous:,.0f}×"
    return f"{sign}{abs(percent):.0f}%" if abs(percent) >= 10 else f"{sign}{abs(percent):.1f}%"


def points(current: float | None, previous: float | None) -> str:
    """The change of a share in percentage points."""
    if current is None or previous is None:
        return UNKNOWN
    moved = 100 * (current - previous)
    if abs(moved) < 0.05:
        return "±0 pt"
    return f"{'+' if moved > 0 else MINUS}{abs(moved):.1f} pt"


def signal_words(value: str | None) -> str:
    """A name of a closed set as words: `code_generation` reads `code generation`."""
    return value.replace("_", " ") if value else UNKNOWN
