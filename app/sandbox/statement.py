"""The sandbox's usage report, as a provider would send it: what `signalbox reconcile` reads. Pure.

Served under `/sandbox/statement`. Invariant: a line for each call that is charged, with exactly its charge.
"""

import csv
from collections.abc import Iterable
from io import StringIO
from typing import Final

from app.sandbox.calls import CallEntry
from billing import STATEMENT_COLUMNS

_NANO: Final = 9


def statement_csv(entries: Iterable[CallEntry]) -> str:
    """Write the charged calls as CSV."""
    written = StringIO()
    rows = csv.DictWriter(written, STATEMENT_COLUMNS, restval="", lineterminator="\n")
    rows.writeheader()
    for entry in entries:
        if entry.cost_nano_usd:
            rows.writerow(
                {
                    "provider_name": entry.provider_name,
                    "started_at": entry.started_at.isoformat(),
                    "model": entry.model,
                    "cost_usd": dollars(entry.cost_nano_usd),
                    "attempt_id": entry.attempt_id or "",
                    "response_id": entry.call_id,
                    "input_tokens": entry.input_tokens,
                    "output_tokens": entry.output_tokens,
                    "cache_read_input_tokens": entry.cached_tokens,
                    "reasoning_output_tokens": entry.reasoning_tokens,
                }
            )
    return written.getvalue()


def dollars(amount_nano_usd: int) -> str:
    """Every digit of an amount, without a sign or separators."""
    whole = f"{amount_nano_usd:0{_NANO + 1}d}"
    return f"{whole[:-_NANO]}.{whole[-_NANO:]}"
