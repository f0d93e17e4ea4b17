"""A decision as its record keeps it: the verdicts in columns, a quarter of the bytes of the JSON that is shown.

`decision_record` is called once per request, `explain_record` when somebody reads one. Invariant: what the
record keeps explains every candidate; it leaves out the bounds of later ranks, which few
requests get to, and counts what the plan bars beyond `BARRED_LISTED_MAX`.

    candidates: {
      name: […], credential_owner: […], is_simulated: […], score: […]   a row each; one value stands for all rows
      group: [[place, rows], …]                                         of the rows that a list sets in order
      estimate_nano_usd: […]                                            of the rows that some request can take
      latency_ms: […]                                                   the same, where it was looked at
      order: [row, …]                                                   by rank, from 1
      reserve: [[bound_nano_usd, output_tokens_limit], …]               of the first ranks
      excluded: [[exclusion, detail, [row, …], bound_nano_usd], …]
      unlisted: n                                                       more that the plan or the price book bars
    }
"""

from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from app.routing.decision import Exclusion, RouteDecision, Verdict, rows_by_fall
from app.routing.ordering import utilities_of
from app.routing.policy_document import Strategy
from app.routing.words import decision_view

RESERVES_KEPT: Final = 1  # each costs as much as all else here, and an attempt's own record has what it reserved

Value = TypeVar("Value")


class _Excluded(msgspec.Struct, frozen=True, array_like=True):
    exclusion: Exclusion
    detail: str
    rows: Sequence[int]
    bound_nano_usd: int | None = None


class _Written(msgspec.Struct, frozen=True, kw_only=True):
    """The columns as they are written: those that are the same for every request are JSON already."""

    name: msgspec.Raw
    credential_owner: msgspec.Raw
    is_simulated: msgspec.Raw
    score: msgspec.Raw
    group: msgspec.Raw
    estimate_nano_usd: Sequence[int]
    latency_ms: Sequence[int | None]
    order: Sequence[int]
    reserve: Sequence[tuple[int, int | None]]
    excluded: Sequence[_Excluded]
    unlisted: int


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    """The columns as they are read."""

    name: list[str]
    credential_owner: str | list[str | None] | None
    is_simulated: bool | list[bool]
    score: float | list[float | None] | None
    estimate_nano_usd: list[int]
    order: list[int]
    reserve: list[tuple[int, int | None]]
    excluded: list[_Excluded]
    latency_ms: list[int | None] = []
    group: list[tuple[int, int]] = []


class _Worth(msgspec.Struct, frozen=True, kw_only=True):
    """What a choice says that utilities are computed from."""

    strategy: Strategy = Strategy.ORDERED
    quality_per_usd: float = 0.0
    quality_per_second: float = 0.0


def decision_record(decision: RouteDecision) -> bytes:
    """Encode a decision for its record."""
    columns = decision.columns
    excluded = (*rows_by_fall(columns.falls).items(), *columns.barred.items())
    written = _Written(
        name=columns.names,
        credential_owner=columns.credential_owners,
        is_simulated=columns.are_simulated,
        score=columns.scores,
        group=columns.groups,
        estimate_nano_usd=columns.estimates_nano_usd,
        latency_ms=columns.latencies_ms,
        order=columns.order,
        reserve=[(one.bound_nano_usd, one.output_tokens_limit) for one in decision.ranked[:RESERVES_KEPT]],
        excluded=[_Excluded(fall.exclusion, fall.detail, rows, fall.bound_nano_usd) for fall, rows in excluded],
        unlisted=columns.unlisted_count,
    )
    return _ENCODER.encode(decision_view(decision, written))


def explain_record(stored: bytes) -> bytes:
    """Write a stored decision as `POST /v1/route` writes one: an object for each candidate, the ranked first."""
    fields = msgspec.json.decode(stored, type=dict[str, msgspec.Raw] | None)
    if fields is None or not bytes(fields.get("candidates", b"")).startswith(b"{"):
        return stored
    columns = msgspec.json.decode(fields["candidates"], type=_Read)
    worth = msgspec.json.decode(fields.get("choice", b"{}"), type=_Worth)
    return msgspec.json.encode(fields | {"candidates": msgspec.Raw(msgspec.json.encode(_verdicts(columns, worth)))})


_ENCODER: Final = msgspec.json.Encoder()


def _verdicts(columns: _Read, worth: _Worth) -> list[Verdict]:
    count = len(columns.name)
    ranks = {row: rank for rank, row in enumerate(columns.order, start=1)}
    reserves = dict(zip(columns.order, columns.reserve, strict=False))
    excluded = {row: each for each in columns.excluded for row in each.rows}
    scores = _spread(columns.score, len(columns.estimate_nano_usd))
    places = [place for place, rows in columns.group for _ in range(rows)]
    utilities = _utilities(columns, scores, worth)
    owners = _spread(columns.credential_owner, count)
    are_simulated = _spread(columns.is_simulated, count)
    verdicts: list[Verdict] = []
    for row in (*columns.order, *sorted(excluded)):
        bound, limit = reserves.get(row, (None, None))
        fall = excluded.get(row)
        is_missing = fall is not None and fall.exclusion is Exclusion.NOT_AVAILABLE
        verdicts.append(
            Verdict(
                name=columns.name[row],
                rank=ranks.get(row),
                place=_at(places, row),
                excluded=fall.exclusion if fall else None,
                detail=fall.detail if fall else "",
                score=_at(scores, row),
                bound_nano_usd=fall.bound_nano_usd if fall else bound,
                output_tokens_limit=limit,
                estimate_nano_usd=_at(columns.estimate_nano_usd, row),
                latency_ms=_at(columns.latency_ms, row),
                utility=_at(utilities, row),
                credential_owner=None if is_missing else owners[row],
                is_simulated=not is_missing and are_simulated[row],
            )
        )
    return verdicts


def _utilities(columns: _Read, scores: Sequence[float | None], worth: _Worth) -> Sequence[float | None]:
    if worth.strategy is not Strategy.BALANCED:
        return ()
    return utilities_of(
        scores,
        columns.estimate_nano_usd,
        columns.latency_ms,
        quality_per_usd=worth.quality_per_usd,
        quality_per_second=worth.quality_per_second,
    )


def _spread(column: Value | list[Value], count: int) -> list[Value]:
    """Write out a column that one value stands for."""
    return column if isinstance(column, list) else [column] * count


def _at(column: Sequence[Value], row: int) -> Value | None:
    """Read a column that ends before the rows that no request can take."""
    return column[row] if row < len(column) else None
