"""What a candidate must satisfy, and the bound and output limit it gets. Called by `lineup` and `ranking`.

The constraints stand in three groups, by what they depend on: `bar` on the tenant alone, `lack` on what a
request needs, `examine` on its size and its room. The first one that fails names the fall.

A candidate that fits has a bound in billed nano-USD that holds for the limit that will be sent, and lies
within the headroom and the cost maximum.
"""

from collections.abc import Callable, Sequence
from itertools import compress, product
from typing import Final

import msgspec

from app.routing.assurance import Requirements
from app.routing.candidate import Candidate, Capability, Feature
from app.routing.decision import Exclusion, Fall, RequestFacts
from app.routing.dollars import usd
from app.routing.policy import Guard
from app.routing.taxonomy import TYPICAL_OUTPUT_TOKENS, TYPICAL_OUTPUT_TOKENS_ELSE
from app.routing.terms import Terms

DEFAULT_OUTPUT_TOKENS: Final = 8_192  # reserved and sent when the caller said no limit
DEFAULT_OUTPUT_TOKENS_UNKNOWN: Final = 4_096  # the same where the model's own limit is unknown: nearly all take it
MINIMUM_OUTPUT_TOKENS: Final = 64  # a limit cut below this would cut answers, not spend


class Fit(msgspec.Struct, frozen=True):
    """A candidate that may be tried."""

    bound_nano_usd: int
    output_tokens_limit: int | None  # None: send what the caller sent
    is_output_shrunk: bool = False


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What a request needs and what it may cost; made once a decision."""

    facts: RequestFacts
    task: str
    needs: frozenset[Capability]
    headroom_nano_usd: int | None
    cost_nano_usd_max: int | None
    output_tokens_typical: int  # of all choices together

    def cap_nano_usd(self) -> int | None:
        """The least of what may be spent; None when nothing caps it."""
        if self.headroom_nano_usd is None or self.cost_nano_usd_max is None:
            return self.headroom_nano_usd if self.cost_nano_usd_max is None else self.cost_nano_usd_max
        return min(self.headroom_nano_usd, self.cost_nano_usd_max)


_NEEDS: Final = {
    flags: frozenset(compress((Capability.TOOLS, Capability.IMAGES, Capability.JSON_SCHEMA), flags))
    for flags in product((False, True), repeat=3)
}


def demand_of(
    facts: RequestFacts, task: str, *, headroom_nano_usd: int | None, cost_nano_usd_max: int | None
) -> Demand:
    """Gather a demand. The caller's cost maximum and the policy's both hold: the smaller counts."""
    most, wanted = facts.cost_nano_usd_max, facts.output_tokens_wanted
    if most is None or (cost_nano_usd_max is not None and cost_nano_usd_max < most):
        most = cost_nano_usd_max
    typical = TYPICAL_OUTPUT_TOKENS.get(task, TYPICAL_OUTPUT_TOKENS_ELSE)
    return Demand(
        facts=facts,
        task=task,
        needs=_NEEDS[facts.has_tools, facts.has_images, facts.wants_json_schema],
        headroom_nano_usd=headroom_nano_usd,
        cost_nano_usd_max=most,
        output_tokens_typical=(typical if wanted is None else min(wanted, typical)) * facts.choices,
    )


def bar(
    candidate: Candidate,
    *,
    plan_allows: Callable[[str], bool],
    plan_id: str,
    require: Requirements,
    guards: Sequence[Guard],
) -> Fall | None:
    """Say why no request that these guards hold may take a candidate, or None."""
    if not (candidate.stays_here or plan_allows(candidate.name)):
        return Fall(Exclusion.NOT_IN_PLAN, f"the plan '{plan_id}' does not include it")
    if candidate.price is None:
        return Fall(Exclusion.UNKNOWN_PRICE, "its price is unknown, and an unknown price is not zero")
    if (unmet := _unmet(require, candidate)) is not None:
        return Fall(Exclusion.NOT_ASSURED, f"{unmet}, as the rule requires")
    for guard in guards:
        if not guard.approves(candidate.name):
            return Fall(Exclusion.NOT_APPROVED, f"the guard '{guard.name}' does not approve it")
        if (unmet := _unmet(guard.require, candidate)) is not None:
            return Fall(Exclusion.NOT_ASSURED, f"{unmet}, as the guard '{guard.name}' requires")
    return None


def _unmet(require: Requirements, candidate: Candidate) -> str | None:
    return None if candidate.stays_here else require.unmet(candidate.assurances)


def lack(candidate: Candidate, needs: frozenset[Capability], features: frozenset[Feature]) -> Fall | None:
    """Say what a candidate cannot do that a request needs, or None."""
    if candidate.capabilities is not None and not needs <= candidate.capabilities:
        lacking = ", ".join(sorted(needs - candidate.capabilities))
        return Fall(Exclusion.NOT_CAPABLE, f"the request needs {lacking}, which it lacks")
    if candidate.features is not None and not features <= candidate.features:
        lacking = ", ".join(sorted(features - candidate.features))
        return Fall(Exclusion.NOT_CAPABLE, f"its provider's dialect cannot express {lacking}")
    return None


def examine(terms: Terms, demand: Demand) -> Fit | Fall:
    """Hold a capable candidate's context and bound against a demand."""
    limit = _output_limit(terms, demand.facts)
    return limit if isinstance(limit, Fall) else _afford(terms, limit, demand)


def output_tokens_limits(facts: RequestFacts) -> tuple[int, int]:
    """Give the least limit that a context must leave room for, and the highest that any candidate gets."""
    wanted = facts.output_tokens_wanted
    return (MINIMUM_OUTPUT_TOKENS, DEFAULT_OUTPUT_TOKENS) if wanted is None else (wanted, wanted)


def _input_tokens_max(terms: Terms, facts: RequestFacts) -> int:
    """Give the most input tokens that a candidate's provider could count of a request.

    Images count by the candidate's own maximum where it has one. Content that we do not see fills its
    context at most; where that is unknown too, only what we see is counted, and `_unbounded` bars it under a cap.
    """
    tokens = facts.input_tokens_bound
    if facts.images:
        own = terms.image_tokens_max
        tokens += facts.image_tokens_bound if own is None else facts.images * own
    if facts.is_unbounded and terms.context_tokens is not None:
        tokens = max(tokens, terms.context_tokens)
    return tokens


def _output_limit(terms: Terms, facts: RequestFacts) -> int | Fall:
    """Find the output tokens of one choice, as far as the model and its context go.

    The context is held against the estimate of the input, since the bound counts bytes and would
    refuse what fits.
    """
    wanted, most = facts.output_tokens_wanted, terms.output_tokens_max
    if wanted is not None:
        limit = wanted if most is None else min(wanted, most)
    else:
        limit = DEFAULT_OUTPUT_TOKENS_UNKNOWN if most is None else min(DEFAULT_OUTPUT_TOKENS, most)
    if terms.context_tokens is None:
        return limit
    room = terms.context_tokens - facts.input_tokens_estimate
    if room < (limit if wanted is not None else min(limit, MINIMUM_OUTPUT_TOKENS)):
        detail = (
            f"about {facts.input_tokens_estimate} input tokens and {limit} output tokens "
            f"do not fit its context of {terms.context_tokens}"
        )
        return Fall(Exclusion.CONTEXT_TOO_SMALL, detail)
    return min(limit, room)


def _afford(terms: Terms, limit: int, demand: Demand) -> Fit | Fall:
    """Hold the bound against the cost maximum, then the headroom; cut an unsaid limit until it fits."""
    facts = demand.facts
    input_tokens, wanted = _input_tokens_max(terms, facts), facts.output_tokens_wanted
    bound = terms.bound_nano_usd(input_tokens, limit * facts.choices)
    sent = None if limit == wanted else limit
    if demand.headroom_nano_usd is None and demand.cost_nano_usd_max is None:
        return Fit(bound, sent)
    if (fall := _unbounded(terms, facts)) is not None:
        return fall
    is_shrunk = False
    for cap, exclusion, what in (
        (demand.cost_nano_usd_max, Exclusion.OVER_MAX_COST, "the most that it may cost"),
        (demand.headroom_nano_usd, Exclusion.OVER_BUDGET, "the room left in the budget"),
    ):
        if cap is None or bound <= max(cap, 0):
            continue
        least_limit = limit if wanted is not None else min(limit, MINIMUM_OUTPUT_TOKENS)
        least = terms.bound_nano_usd(input_tokens, least_limit * facts.choices)
        if least > max(cap, 0):
            detail = f"it can cost {usd(least)}, and {what} is {usd(max(cap, 0))}"
            return Fall(exclusion, detail, least)
        limit = terms.output_tokens_within(cap, input_tokens) // facts.choices
        bound, sent, is_shrunk = terms.bound_nano_usd(input_tokens, limit * facts.choices), limit, True
    return Fit(bound, sent, is_shrunk)


def _unbounded(terms: Terms, facts: RequestFacts) -> Fall | None:
    """Say why the cost of a request has no bound with a candidate, or None. What is free needs none."""
    if facts.is_output_unbounded and not terms.is_free():
        return Fall(Exclusion.UNBOUNDED, "the request can be billed beyond its output limit, and its cost is capped")
    if facts.is_unbounded and terms.context_tokens is None and not terms.is_free():
        detail = "the request holds content that may fill a context of unknown size, and its cost is capped"
        return Fall(Exclusion.UNBOUNDED, detail)
    return None
