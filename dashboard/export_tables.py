"""Which tables can be exported, column by column: requests as they were recorded, and usage as pages show it. Pure.

Read by the export routes. Invariant: a column means what its name means in the API, amounts are whole nano-USD, and
what a tenant may not see of the platform's costs is in none.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Final

from billing import UsageDimension, percentile_ms
from dashboard.filters import group_label
from dashboard.parquet import Column, ColumnType, Value
from dashboard.ranges import TimeRange
from dashboard.rows import ExportedRequest
from dashboard.usage import UsageRow, UsageSums

_BOOLEAN, _INTEGER, _REAL, _TEXT, _MOMENT = (
    ColumnType.BOOLEAN, ColumnType.INTEGER, ColumnType.REAL, ColumnType.TEXT, ColumnType.MOMENT,
)  # fmt: skip
_TYPES: Final[Mapping[str, ColumnType]] = {
    "started_at": _MOMENT, "is_streamed": _BOOLEAN, "is_simulated": _BOOLEAN, "is_usage_estimated": _BOOLEAN,
    "overhead_ms": _REAL, "policy_version": _INTEGER, "http_status": _INTEGER, "attempt_count": _INTEGER,
    "input_tokens": _INTEGER, "output_tokens": _INTEGER, "cache_read_input_tokens": _INTEGER,
    "cache_creation_input_tokens": _INTEGER, "reasoning_output_tokens": _INTEGER, "billed_nano_usd": _INTEGER,
    "baseline_nano_usd": _INTEGER, "latency_ms": _INTEGER, "first_token_ms": _INTEGER,
}  # fmt: skip
_NAMES: Final = tuple(field.name for field in fields(ExportedRequest))
REQUEST_COLUMNS: Final = tuple(Column(name, _TYPES.get(name, _TEXT)) for name in _NAMES)

_MEASURED: Final[Sequence[tuple[str, Callable[[UsageSums], int | None]]]] = (
    *(
        (name, lambda sums, name=name: getattr(sums, name))
        for name in (
            "request_count", "answered_count", "cut_count", "refused_count", "failed_count", "attempt_count",
            "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
            "reasoning_output_tokens", "billed_nano_usd", "own_credential_cost_nano_usd",
        )
    ),
    ("saved_nano_usd", lambda sums: sums.saved_nano_usd),
    ("latency_ms_p50", lambda sums: percentile_ms(sums.latency_histogram, 50)),
    ("latency_ms_p95", lambda sums: percentile_ms(sums.latency_histogram, 95)),
    ("first_token_ms_p95", lambda sums: percentile_ms(sums.first_token_histogram, 95)),
)  # fmt: skip


def request_values(request: ExportedRequest) -> tuple[Value, ...]:
    """A request's cells; lists and objects are JSON."""
    return tuple(_value(getattr(request, name)) for name in _NAMES)


def usage_columns(by: UsageDimension) -> tuple[Column, ...]:
    """The columns of usage by a group: when a bar starts, the group and how it is called, then its measures."""
    names = ("starts_at", by.value, f"{by.value}_name")
    types = (_MOMENT, _TEXT, _TEXT)
    measured = (Column(name, _INTEGER) for name, _ in _MEASURED)
    return (*(Column(name, kind) for name, kind in zip(names, types, strict=True)), *measured)


def usage_values(
    within: TimeRange, rows: Sequence[UsageRow], by: UsageDimension, names: Mapping[str, str]
) -> tuple[tuple[Value, ...], ...]:
    """The cells of usage, by time and then by group."""
    starts = within.buckets()
    return tuple(
        (
            starts[row.slot],
            row.group,
            group_label(by, row.group, names),
            *(read(row.sums) for _, read in _MEASURED),
        )
        for row in sorted(rows, key=lambda row: (row.slot, row.group))
    )


def _value(value: object) -> Value:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False) if value else None
    if value is None or isinstance(value, bool | int | float | str) or hasattr(value, "isoformat"):
        return value  # type: ignore[return-value]  # a moment is what has an ISO form
    return str(value)
