"""What the dialects share of reading a provider's refusal: rows of words, and identifiers that may be shown. Pure.

Invariant: what a provider repeats of the caller's words never blames its credential.
"""

import re
from typing import Final

from app.providers.errors import BLAMING_STATUSES, KINDS_OF_ONE_REQUEST, FailureKind

# Read top-down, first match wins: (status or None for any, words in code, type or message, kind).
ErrorRows = tuple[tuple[int | None, tuple[str, ...], FailureKind], ...]

_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")


def kind_by_rows(rows: ErrorRows, status: int, names: str, prose: str) -> FailureKind | None:
    """The kind of the first row that matches; None when none does. `names` are the error's short words."""
    for row_status, needles, kind in rows:
        words = names if status in BLAMING_STATUSES and kind not in KINDS_OF_ONE_REQUEST else f"{names} {prose}"
        if any(needle in words for needle in needles) if needles else status == row_status:
            return kind
    return None


def identifier(text: str | None) -> str | None:
    """A short word that may be shown; None for anything else."""
    return text if text and _IDENTIFIER.fullmatch(text) else None
