"""Which candidates a choice names, what holds of each, and the order to try them in. Called by `decide`.

Every order is total, so that the same candidates in any sequence give the same ranking.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from app.routing.candidate import Candidate
from app.routing.constraints import Demand, Fall, Fit, estimate_nano_usd, examine
from app.routing.decision import Exclusion
from app.routing.policy import CompiledChoice
from app.routing.policy_document import Strategy


class Considered(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate that a choice names, held against the demand."""

    candidate: Candidate
    name: str
    place: int  # of the pattern that names it
    is_named_exactly: bool
    quality: float | None
    estimate_nano_usd: int | None
    outcome: Fit | Fall


def consider(
    candidates: Sequence[Candidate], choice: CompiledChoice, demand: Demand, task: str
) -> tuple[list[Considered], list[str]]:
    """Examine the candidates that a choice names; also give the exact names that no credential reaches."""
    considered: list[Considered] = []
    reached: set[str] = set()
    for candidate in candidates:
        name = candidate.name
        for place, pattern in enumerate(choice.patterns):
            if pattern.matches(name):
                reached.add(name)
                considered.append(_considered(candidate, name, place, choice, demand, task))
                break
    missing = [pattern.text for pattern in choice.patterns if not pattern.is_glob and pattern.text not in reached]
    return considered, missing


def rank(considered: Iterable[Considered], strategy: Strategy) -> list[Considered]:
    """Order those that fit. Ties go to the cheaper, then to the tenant's own credential."""
    return sorted((one for one in considered if isinstance(one.outcome, Fit)), key=_ORDERS[strategy])


def keep_owner(ranked: Sequence[Considered], choice: CompiledChoice) -> tuple[list[Considered], list[Considered]]:
    """Part a ranking in those whose credential has the first one's owner, and the others, fallen.

    A fallback must not change who pays the provider unless the policy says that it may.
    """
    if not ranked or choice.may_change_owner:
        return list(ranked), []
    owner = ranked[0].candidate.credential_owner
    fall = Fall(Exclusion.OTHER_OWNER, f"the first choice is behind the {owner}'s credential, and fallback keeps to it")
    kept = [one for one in ranked if one.candidate.credential_owner == owner]
    others = [one for one in ranked if one.candidate.credential_owner != owner]
    return kept, [msgspec.structs.replace(one, outcome=fall) for one in others]


def in_policy_order(considered: Iterable[Considered]) -> list[Considered]:
    """Order candidates as the choice names them, whatever sequence they came in."""
    return sorted(considered, key=lambda one: (one.place, one.name, one.candidate.credential_id.int))


def dearest(ranked: Sequence[Considered]) -> Candidate | None:
    """Find the candidate with the highest estimate: what savings are measured against."""
    return max(ranked, key=_by_cost).candidate if ranked else None


def _considered(
    candidate: Candidate, name: str, place: int, choice: CompiledChoice, demand: Demand, task: str
) -> Considered:
    quality = candidate.quality.get(task, candidate.quality.get(""))
    outcome = examine(candidate, name, demand)
    wanted = choice.quality_at_least
    if wanted is not None and isinstance(outcome, Fit) and (quality is None or quality < wanted):
        shown = "unknown" if quality is None else f"{quality:.2f}"
        outcome = Fall(Exclusion.BELOW_QUALITY, f"its quality for {task} is {shown}; the rule asks for {wanted:.2f}")
    return Considered(
        candidate=candidate,
        name=name,
        place=place,
        is_named_exactly=not choice.patterns[place].is_glob,
        quality=quality,
        estimate_nano_usd=estimate_nano_usd(candidate, demand),
        outcome=outcome,
    )


def _by_cost(one: Considered) -> tuple[int, bool, str, int]:
    assert one.estimate_nano_usd is not None  # what fits has a price
    return one.estimate_nano_usd, _is_platforms(one), one.name, one.candidate.credential_id.int


def _by_place(one: Considered) -> tuple[Any, ...]:
    return one.place, one.is_named_exactly and _is_platforms(one), *_by_cost(one)


def _by_quality(one: Considered) -> tuple[Any, ...]:
    return one.quality is None, -(one.quality or 0.0), *_by_cost(one)


def _is_platforms(one: Considered) -> bool:
    return one.candidate.credential_owner == "platform"


_ORDERS: Final[dict[Strategy, Callable[[Considered], tuple[Any, ...]]]] = {
    Strategy.ORDERED: _by_place,
    Strategy.CHEAPEST: _by_cost,
    Strategy.BEST: _by_quality,
}
