"""The decision that a record keeps as JSON, read back for its page.

Called by the request page. Invariant: a decision is shown as it was stored or not at all; one written
by another release, with fields missing or new, still shows what both know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from dashboard.rows import AttemptFacts


class StoredEvidence(msgspec.Struct, frozen=True):
    """One signal with its confidence and who decided it."""

    value: str
    confidence: float | None = None
    decided_by: str | None = None
    because: str | None = None


class StoredCandidate(msgspec.Struct, frozen=True):
    """One candidate as the decision saw it."""

    name: str
    rank: int | None = None
    excluded: str | None = None
    detail: str = ""
    score: float | None = None
    bound_nano_usd: int | None = None
    output_tokens_limit: int | None = None
    estimate_nano_usd: int | None = None
    credential_owner: str | None = None
    is_simulated: bool = False


class StoredExclusion(msgspec.Struct, frozen=True, array_like=True):
    """Why candidates fell, and the rows of those that fell for it."""

    excluded: str | None = None
    detail: str = ""
    rows: tuple[int, ...] = ()
    bound_nano_usd: int | None = None


NOT_FALLEN: Final = StoredExclusion()
NOT_AVAILABLE: Final = "not_available"  # a name that no credential reaches


class StoredColumns(msgspec.Struct, frozen=True):
    """The candidates as a record keeps them, in columns. One value stands for all rows of a column."""

    name: tuple[str, ...]
    order: tuple[int, ...] = ()  # rows by rank
    excluded: tuple[StoredExclusion, ...] = ()
    score: tuple[float | None, ...] | float | None = None
    credential_owner: tuple[str, ...] | str | None = None
    is_simulated: tuple[bool, ...] | bool = False
    estimate_nano_usd: tuple[int, ...] = ()
    reserve: tuple[tuple[int, int | None], ...] = ()  # bound and output limit, by rank

    def rows(self) -> tuple[StoredCandidate, ...]:
        """A candidate for each row."""
        count, priced = len(self.name), len(self.estimate_nano_usd)
        ranks = {row: rank for rank, row in enumerate(self.order, start=1)}
        reserves = dict(zip(self.order, self.reserve, strict=False))
        fallen = {row: exclusion for exclusion in self.excluded for row in exclusion.rows}
        columns = zip(
            self.name,
            _spread(_spread(self.score, priced), count),
            _spread(self.estimate_nano_usd, count),
            _spread(self.credential_owner, count),
            _spread(self.is_simulated, count),
            strict=True,
        )
        rows: list[StoredCandidate] = []
        for row, (name, score, estimate, owner, is_simulated) in enumerate(columns):
            bound, limit = reserves.get(row, (None, None))
            fall = fallen.get(row, NOT_FALLEN)
            rows.append(
                StoredCandidate(
                    name=name,
                    rank=ranks.get(row),
                    excluded=fall.excluded,
                    detail=fall.detail,
                    score=score,
                    bound_nano_usd=bound if fall is NOT_FALLEN else fall.bound_nano_usd,
                    output_tokens_limit=limit,
                    estimate_nano_usd=estimate,
                    credential_owner=None if fall.excluded == NOT_AVAILABLE else owner,
                    is_simulated=bool(is_simulated),
                )
            )
        return tuple(rows)


class StoredRequest(msgspec.Struct, frozen=True):
    """What the decision knew of the request: sizes and needs, no text."""

    input_tokens_bound: int | None = None
    input_tokens_estimate: int | None = None
    output_tokens_wanted: int | None = None
    turns: int | None = None
    has_tools: bool = False
    has_images: bool = False
    wants_json_schema: bool = False
    is_unbounded: bool = False
    cost_nano_usd_max: int | None = None
    no_fallback: bool = False


class StoredComplexity(msgspec.Struct, frozen=True):
    """How much the request asked of a model, and the named parts, each from 0 to 1."""

    value: float = 0.0
    length: float = 0.0
    constraints: float = 0.0
    reasoning: float = 0.0
    code: float = 0.0
    steps: float = 0.0
    depth: float = 0.0
    turns: float = 0.0

    @property
    def parts(self) -> str:
        """The parts that are not zero, the largest first."""
        named = [(getattr(self, name), name) for name in self.__struct_fields__ if name != "value"]
        return ", ".join(f"{name} {value:.2f}" for value, name in sorted(named, reverse=True) if value)


class StoredDecision(msgspec.Struct, frozen=True):
    """A route decision as it was recorded."""

    policy_name: str | None = None
    policy_version: int | None = None
    rule: str | None = None
    reason: str | None = None
    refusal: str | None = None
    task: StoredEvidence | None = None
    domain: StoredEvidence | None = None
    sensitivity: tuple[StoredEvidence, ...] | None = ()  # None: not looked at, since no route hung on it
    complexity: StoredComplexity | None = None
    rag: StoredEvidence | None = None
    guards: tuple[str, ...] = ()
    request: StoredRequest | None = None
    candidates: tuple[StoredCandidate, ...] | StoredColumns = ()
    baseline_model: str | None = None


@dataclass(frozen=True, slots=True)
class CandidateView:
    """A candidate with what became of it."""

    candidate: StoredCandidate
    fate: str
    tone: Literal["good", "bad", "flat"]
    because: str


# By whether it is the first: what a plan has in store for a candidate.
_PLANS: Final[Mapping[bool, tuple[str, Literal["good", "flat"], str]]] = {
    True: ("first", "good", "It would be tried first."),
    False: ("fallback", "flat", "It would be tried if those before it fail."),
}
NEEDS: Final = {"has_tools": "tools", "has_images": "images", "wants_json_schema": "JSON schema"}


def read_decision(stored: object) -> StoredDecision | None:
    """The decision of a record; None when there was none, or when its form is not known here."""
    if stored is None:
        return None
    try:
        return msgspec.convert(stored, StoredDecision)
    except msgspec.ValidationError:
        return None


def needs_of(request: StoredRequest) -> tuple[str, ...]:
    """What the request needed of a model beyond text."""
    return tuple(words for field, words in NEEDS.items() if getattr(request, field))


def candidate_views(decision: StoredDecision, attempts: Sequence[AttemptFacts]) -> tuple[CandidateView, ...]:
    """The candidates in the order they were to be tried, then those that fell."""
    candidates = decision.candidates
    rows = candidates.rows() if isinstance(candidates, StoredColumns) else candidates
    ordered = sorted(rows, key=lambda one: (one.rank is None, one.rank or 0, one.name))
    return tuple(_view(candidate, attempts) for candidate in ordered)


def planned_views(decision: StoredDecision) -> tuple[CandidateView, ...]:
    """The candidates of a decision that was not carried out: the order they would be tried in, then those that fell."""
    return tuple(
        view if view.fate == "excluded" else CandidateView(view.candidate, *_PLANS[view.candidate.rank == 1])
        for view in candidate_views(decision, ())
    )


def _view(candidate: StoredCandidate, attempts: Sequence[AttemptFacts]) -> CandidateView:
    tried = [attempt for attempt in attempts if f"{attempt.provider_name}/{attempt.model}" == candidate.name]
    if candidate.rank is None:
        return CandidateView(candidate, "excluded", "flat", candidate.detail or _words(candidate.excluded))
    if not tried:
        return CandidateView(candidate, "not needed", "flat", "An earlier candidate ended the request.")
    last = tried[-1]
    if last.outcome == "ok":
        place = "First choice" if candidate.rank == 1 else f"Choice {candidate.rank}, after the earlier ones failed"
        return CandidateView(candidate, "served", "good", f"{place}; attempt {last.attempt_number} answered.")
    cause = last.error_type or last.words.label
    return CandidateView(candidate, last.words.label, "bad", f"Attempt {last.attempt_number} ended: {cause}.")


def _words(name: str | None) -> str:
    return (name or "unknown").replace("_", " ")


def _spread(column: object, rows: int) -> tuple[Any, ...]:
    """Write out a column, which may be one value for all rows or end before the last of them."""
    values = column if isinstance(column, tuple) else (column,) * rows
    return (*values, *(None,) * (rows - len(values)))
