"""Sparklines: the path of a small line, drawn on the server so that a tile needs no script.

Called by tiles. Invariant: a gap in the values is a gap in the line, and the path holds numbers only.
"""

from collections.abc import Sequence
from typing import Final

WIDTH: Final = 120
HEIGHT: Final = 28
INSET: Final = 2  # keeps the stroke inside the picture


def sparkline(values: Sequence[float | None]) -> str:
    """The `d` of an SVG path over WIDTH × HEIGHT; empty when fewer than two values are known."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(0, *known), max(known)
    step = WIDTH / (len(values) - 1)
    parts = []
    is_down = False
    for place, value in enumerate(values):
        if value is None:
            is_down = False
            continue
        height = (value - low) / (high - low) if high > low else 0
        y = HEIGHT - INSET - height * (HEIGHT - 2 * INSET)
        parts.append(f"{'L' if is_down else 'M'}{place * step:.1f} {y:.1f}")
        is_down = True
    return "".join(parts)
