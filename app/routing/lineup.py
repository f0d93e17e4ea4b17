"""The candidates that one choice names, made ready: whatever of a decision does not depend on the request.

Made by `table` when a choice is first met, read by `ranking` for each request. Invariants: the same candidates
in any sequence give the same lineup; columns are aligned, a row for each candidate that can be taken at all.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, assert_never

import msgspec

from app.routing.answer_table import AnswerTable
from app.routing.candidate import Candidate, Capability, Feature
from app.routing.constraints import bar, lack
from app.routing.decision import CandidateColumns, Exclusion, Fall, rows_by_fall
from app.routing.policy import CompiledChoice, Guard
from app.routing.policy_document import Strategy
from app.routing.terms import PER_MILLION, Terms, terms_of
from billing import billed_nano_usd

BARRED_LISTED_MAX: Final = 50  # in the record, of what no request can take: a plan may bar hundreds
INPUT_TOKENS_BEYOND_ALL: Final = 2**62
CAPABLE_REMEMBERED_MAX: Final = 64  # callers combine features as they like

NO_ANSWERS: Final[Mapping[str, AnswerTable]] = {}
NO_FALLS: Final[Mapping[int, Fall]] = {}


@dataclass(frozen=True, slots=True)
class Barred:
    """A candidate that the choice names and no request can take, or an exact name that nothing reaches."""

    name: str
    place: int
    candidate: Candidate | None
    fall: Fall


@dataclass(frozen=True, slots=True)
class Capable:
    """The rows that can do what a request needs, and why the others fall."""

    rows: tuple[int, ...]
    falls: Mapping[int, Fall]
    by_context: tuple[int, ...]  # the rows whose context is known, the narrowest first
    contexts: tuple[int, ...]  # theirs, in tokens

    def narrower_than(self, tokens: int) -> Sequence[int]:
        """Give the rows whose context is known to hold fewer tokens."""
        return self.by_context[: bisect_left(self.contexts, tokens)]


@dataclass(frozen=True, slots=True)
class Rated:
    """The rows by their quality for one task."""

    qualities: tuple[float | None, ...]
    scores: msgspec.Raw  # the same as JSON
    falls: Mapping[int, Fall]  # of those below what the rule asks for
    groups: tuple[tuple[int, ...], ...]  # rows that only their cost orders, the first group first


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineup:
    """A choice's candidates in columns. Rows stand in the choice's order, ties by owner, name and credential."""

    choice: CompiledChoice
    candidates: tuple[Candidate, ...]
    places: tuple[int, ...]  # of the pattern that names each
    terms: tuple[Terms, ...]
    barred: tuple[Barred, ...]
    by_tie: tuple[int, ...]  # the rows by owner (the tenant's own first), name and credential
    estimates: tuple[tuple[int, int, int], ...]  # of the terms
    long_context_rows: tuple[int, ...]  # whose estimate depends on the input's length
    long_context_above: int  # the least length from which it does
    is_mixed: bool  # some are behind the tenant's own credential and some behind the platform's
    is_rated: bool  # quality, and so the task, makes a difference
    is_live: bool  # what was measured lately, drawn or found in a table makes a difference
    tables: tuple[tuple[int, AnswerTable], ...]  # by row
    choice_json: msgspec.Raw  # what a record keeps of the choice
    columns: CandidateColumns
    image_tokens_max: int  # the most of any row that says so itself
    _dearest: tuple[int, int, int]
    _capable: dict[tuple[frozenset[Capability], frozenset[Feature]], Capable]
    _rated: dict[str, Rated]

    def capable(self, needs: frozenset[Capability], features: frozenset[Feature]) -> Capable:
        """Part the rows by what they can do."""
        found = self._capable.get((needs, features))
        if found is None:
            found = _part(self.candidates, needs, features)
            if len(self._capable) < CAPABLE_REMEMBERED_MAX:
                self._capable[needs, features] = found
        return found

    def rated(self, task: str) -> Rated:
        """Give the rows by their quality for a task; the tasks of a policy are few."""
        known = task if self.is_rated else ""
        found = self._rated.get(known)
        if found is None:
            found = self._rated[known] = _rate(self, task)
        return found

    def bound_nano_usd_most(self, *, input_tokens: int, output_tokens: int) -> int:
        """Give an amount that no row's bound for that many tokens exceeds."""
        per_input, per_output, flat = self._dearest
        # Each bound is rounded up twice.
        return (input_tokens * per_input + output_tokens * per_output) // PER_MILLION + flat + 2


def line_up(
    choice: CompiledChoice,
    candidates: Iterable[Candidate],
    *,
    plan_allows: Callable[[str], bool],
    plan_id: str,
    guards: Sequence[Guard] = (),
    answers: Mapping[str, AnswerTable] = NO_ANSWERS,
) -> Lineup:
    """Make the lineup of a choice, for requests that these guards hold. `answers` are tables by candidate."""
    named = [
        (candidate.name, place, candidate)
        for candidate in candidates
        if (place := _place_of(candidate.name, choice)) is not None
    ]
    reached = {name for name, _, _ in named}
    falls = [
        bar(candidate, plan_allows=plan_allows, plan_id=plan_id, require=choice.require, guards=guards)
        for _, _, candidate in named
    ]
    barred = sorted(
        (Barred(*each, fall) for each, fall in zip(named, falls, strict=True) if fall is not None), key=_policy_order
    )
    missing = [
        Barred(pattern.text, place, None, Fall(Exclusion.NOT_AVAILABLE, "no credential reaches it"))
        for place, pattern in enumerate(choice.patterns)
        if not pattern.is_glob and pattern.text not in reached
    ]
    rows = sorted(
        (each for each, fall in zip(named, falls, strict=True) if fall is None),
        key=lambda row: (row[1], _stands_behind(choice, row[1], row[2]), _tie(row[2])),
    )
    ready = tuple(candidate for _, _, candidate in rows)
    terms = tuple(map(terms_of, ready))
    tables = tuple((row, answers[candidate.name]) for row, candidate in enumerate(ready) if candidate.stays_here)
    return Lineup(
        choice=choice,
        candidates=ready,
        places=tuple(place for _, place, _ in rows),
        terms=terms,
        barred=(*barred, *missing),
        by_tie=tuple(sorted(range(len(ready)), key=lambda row: _tie(ready[row]))),
        estimates=tuple(each.estimate for each in terms),
        long_context_rows=tuple(row for row, each in enumerate(terms) if each.long_estimates),
        long_context_above=min(
            (above for each in terms for above, _, _ in each.long_estimates), default=INPUT_TOKENS_BEYOND_ALL
        ),
        is_mixed=len({candidate.credential_owner for candidate in ready if not candidate.stays_here}) > 1,
        is_rated=choice.quality_at_least is not None or any(candidate.quality for candidate in ready),
        is_live=bool(tables) or choice.reads_latency or choice.draws or choice.strategy is Strategy.BALANCED,
        tables=tables,
        choice_json=_choice_json(choice),
        columns=_columns(choice, rows, barred, missing),
        image_tokens_max=max((each.image_tokens_max or 0 for each in terms), default=0),
        _dearest=_dearest(terms),
        _capable={},
        _rated={},
    )


def is_platforms(candidate: Candidate) -> bool:
    """Tell whether the platform's credential pays."""
    return candidate.credential_owner == "platform"


def _place_of(name: str, choice: CompiledChoice) -> int | None:
    return next((place for place, pattern in enumerate(choice.patterns) if pattern.matches(name)), None)


def _tie(candidate: Candidate) -> tuple[bool, str, int]:
    return is_platforms(candidate), candidate.name, candidate.credential_id.int


def _policy_order(one: Barred) -> tuple[int, str, int]:
    return one.place, one.name, 0 if one.candidate is None else one.candidate.credential_id.int


def _part(candidates: Sequence[Candidate], needs: frozenset[Capability], features: frozenset[Feature]) -> Capable:
    falls = {row: fall for row, candidate in enumerate(candidates) if (fall := lack(candidate, needs, features))}
    known = sorted(
        (candidate.price.context_tokens, row)
        for row, candidate in enumerate(candidates)
        if row not in falls and candidate.price is not None and candidate.price.context_tokens is not None
    )
    return Capable(
        rows=tuple(row for row in range(len(candidates)) if row not in falls),
        falls=falls,
        by_context=tuple(row for _, row in known),
        contexts=tuple(tokens for tokens, _ in known),
    )


def _rate(lineup: Lineup, task: str) -> Rated:
    choice = lineup.choice
    qualities = tuple(candidate.quality.get(task, candidate.quality.get("")) for candidate in lineup.candidates)
    falls: dict[int, Fall] = {}
    if (least := choice.quality_at_least) is not None:
        for row, quality in enumerate(qualities):
            if quality is None or quality < least:
                shown = "unknown" if quality is None else f"{quality:.2f}"
                detail = f"its quality for {task} is {shown}; the rule asks for {least:.2f}"
                falls[row] = Fall(Exclusion.BELOW_QUALITY, detail)
    match choice.strategy:
        case Strategy.ORDERED | Strategy.WEIGHTED:
            groups = _grouped(range(len(qualities)), lambda row: (lineup.places[row], _yields(lineup, row)))
        case Strategy.CHEAPEST | Strategy.FASTEST | Strategy.BALANCED:
            groups = (lineup.by_tie,)
        case Strategy.BEST:
            worth = [(quality is None, -(quality or 0.0)) for quality in qualities]
            groups = _grouped(sorted(lineup.by_tie, key=worth.__getitem__), worth.__getitem__)
        case _:
            assert_never(choice.strategy)
    return Rated(qualities=qualities, scores=_column(qualities), falls=falls, groups=groups)


def _yields(lineup: Lineup, row: int) -> bool:
    """Tell whether a row stands behind the tenant's own of the same name, whatever they cost."""
    return _stands_behind(lineup.choice, lineup.places[row], lineup.candidates[row])


def _stands_behind(choice: CompiledChoice, place: int, candidate: Candidate) -> bool:
    return not choice.patterns[place].is_glob and is_platforms(candidate)


def _grouped(rows: Iterable[int], key: Callable[[int], object]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(group) for _, group in groupby(rows, key))


def _dearest(terms: Sequence[Terms]) -> tuple[int, int, int]:
    """Give the highest billed price per million input and output tokens and for a request, each of any row."""
    prices = [
        (
            billed_nano_usd(per_input, each.rate_ppm),
            billed_nano_usd(per_output, each.rate_ppm),
            billed_nano_usd(each.per_request_nano_usd + 1, each.rate_ppm),
        )
        for each in terms
        for per_input, per_output in each.dearest_of_any_length()
    ]
    per_input, per_output, flat = map(max, zip((0, 0, 0), *prices, strict=True))
    return per_input, per_output, flat


def _choice_json(choice: CompiledChoice) -> msgspec.Raw:
    """Write what ranked the candidates. The keys are those of a policy, but for costs and for weights, by place."""
    told: dict[str, object] = {
        "strategy": choice.strategy,
        "weights": [
            (pattern.text, weight)
            for pattern, weight in zip(choice.patterns, choice.weights, strict=bool(choice.weights))
        ],
        "quality_at_least": choice.quality_at_least,
        "cost_nano_usd_max": choice.cost_nano_usd_max,
        "latency_ms_max": choice.latency_ms_max,
        "quality_per_usd": choice.quality_per_usd,
        "quality_per_second": choice.quality_per_second,
        "may_change_owner": choice.may_change_owner,
    }
    return msgspec.Raw(msgspec.json.encode({key: value for key, value in told.items() if value}))


def _columns(
    choice: CompiledChoice,
    named: Sequence[tuple[str, int, Candidate]],
    barred: Sequence[Barred],
    missing: Sequence[Barred],
) -> CandidateColumns:
    """Write the columns that are the same for every request. Those of credentials end before the missing names."""
    candidates = [candidate for _, _, candidate in named]
    listed = barred[:BARRED_LISTED_MAX]
    rows = (*candidates, *(one.candidate for one in listed if one.candidate is not None))
    fallen = (*listed, *missing)
    return CandidateColumns(
        names=msgspec.Raw(msgspec.json.encode([*(each.name for each in candidates), *(one.name for one in fallen)])),
        credential_owners=_column([row.credential_owner for row in rows]),
        are_simulated=_column([row.is_simulated for row in rows]),
        groups=msgspec.Raw(msgspec.json.encode(_group_sizes(choice, named))),
        barred=rows_by_fall({len(candidates) + place: one.fall for place, one in enumerate(fallen)}),
        unlisted_count=len(barred) - len(listed),
    )


def _group_sizes(choice: CompiledChoice, named: Sequence[tuple[str, int, Candidate]]) -> list[tuple[int, int]]:
    """Give the place and the size of each group of rows that a list sets in order."""
    groups = groupby(named, lambda row: (row[1], _stands_behind(choice, row[1], row[2])))
    return [(place, len(list(group))) for (place, _), group in groups]


def _column(values: Sequence[object]) -> msgspec.Raw:
    """Write a column as JSON; where all rows have one value, as that value."""
    is_uniform = bool(values) and all(value == values[0] for value in values)
    return msgspec.Raw(msgspec.json.encode(values[0] if is_uniform else values))
