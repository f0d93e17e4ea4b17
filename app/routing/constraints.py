"""What a candidate must satisfy, and the bound and output limit it gets. Called by `decide` per candidate.

A candidate that fits has a bound in billed nano-USD that holds for the limit that will be sent, and lies
within the headroom and the cost maximum.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from app.routing.candidate import Candidate, Capability
from app.routing.decision import Exclusion, RequestFacts
from app.routing.dollars import usd
from billing import Price, Usage, billed_nano_usd

DEFAULT_OUTPUT_TOKENS: Final = 8_192  # reserved and sent when the caller said no limit
DEFAULT_OUTPUT_TOKENS_UNKNOWN: Final = 4_096  # the same where the model's own limit is unknown: nearly all take it
MINIMUM_OUTPUT_TOKENS: Final = 64  # a limit cut below this would cut answers, not spend
PARTS_PER_MILLION: Final = 1_000_000


class Fit(msgspec.Struct, frozen=True):
    """A candidate that may be tried."""

    bound_nano_usd: int
    output_tokens_limit: int | None  # None: send what the caller sent
    is_output_shrunk: bool = False


class Fall(msgspec.Struct, frozen=True):
    """Why a candidate may not be tried."""

    exclusion: Exclusion
    detail: str
    bound_nano_usd: int | None = None  # the least that a cap would have to leave


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What a request needs and what it may cost; made once a decision."""

    facts: RequestFacts
    needs: frozenset[Capability]
    plan_allows: Callable[[str], bool]
    plan_id: str
    headroom_nano_usd: int | None
    cost_nano_usd_max: int | None
    typical_usage: Usage


def demand_of(
    facts: RequestFacts,
    *,
    plan_allows: Callable[[str], bool],
    plan_id: str,
    headroom_nano_usd: int | None,
    cost_nano_usd_max: int | None,
    output_tokens_typical: int,
) -> Demand:
    """Gather a demand. The caller's cost maximum and the policy's both hold: the smaller counts."""
    needs = {
        Capability.TOOLS: facts.has_tools,
        Capability.IMAGES: facts.has_images,
        Capability.JSON_SCHEMA: facts.wants_json_schema,
    }
    maxima = [amount for amount in (facts.cost_nano_usd_max, cost_nano_usd_max) if amount is not None]
    wanted = facts.output_tokens_wanted
    typical = output_tokens_typical if wanted is None else min(wanted, output_tokens_typical)
    return Demand(
        facts=facts,
        needs=frozenset(capability for capability, is_needed in needs.items() if is_needed),
        plan_allows=plan_allows,
        plan_id=plan_id,
        headroom_nano_usd=headroom_nano_usd,
        cost_nano_usd_max=min(maxima, default=None),
        typical_usage=Usage(input_tokens=facts.input_tokens_estimate, output_tokens=typical * facts.choices),
    )


def estimate_nano_usd(candidate: Candidate, demand: Demand) -> int | None:
    """Estimate what a candidate would bill for this request with a typical answer; None without a price."""
    if candidate.price is None:
        return None
    return billed_nano_usd(candidate.price.cost_nano_usd(demand.typical_usage), candidate.rate_ppm)


def examine(candidate: Candidate, name: str, demand: Demand) -> Fit | Fall:
    """Hold a candidate against a demand; the first constraint that fails names the fall."""
    if not demand.plan_allows(name):
        return Fall(Exclusion.NOT_IN_PLAN, f"the plan '{demand.plan_id}' does not include it")
    price = candidate.price
    if price is None:
        return Fall(Exclusion.UNKNOWN_PRICE, "its price is unknown, and an unknown price is not zero")
    if demand.needs and candidate.capabilities is not None and not demand.needs <= candidate.capabilities:
        lacking = ", ".join(sorted(demand.needs - candidate.capabilities))
        return Fall(Exclusion.NOT_CAPABLE, f"the request needs {lacking}, which it lacks")
    if candidate.features is not None and not demand.facts.features <= candidate.features:
        lacking = ", ".join(sorted(demand.facts.features - candidate.features))
        return Fall(Exclusion.NOT_CAPABLE, f"its provider's dialect cannot express {lacking}")
    limit = _output_limit(price, demand.facts)
    if isinstance(limit, Fall):
        return limit
    return _afford(candidate, price, limit, demand)


def _output_limit(price: Price, facts: RequestFacts) -> int | Fall:
    """Find the output tokens of one choice, as far as the model and its context go.

    The context is held against the estimate of the input, since the bound counts bytes and would
    refuse what fits.
    """
    wanted, most = facts.output_tokens_wanted, price.output_tokens_max
    if wanted is not None:
        limit = wanted if most is None else min(wanted, most)
    else:
        limit = DEFAULT_OUTPUT_TOKENS_UNKNOWN if most is None else min(DEFAULT_OUTPUT_TOKENS, most)
    if price.context_tokens is None:
        return limit
    room = price.context_tokens - facts.input_tokens_estimate
    if room < (limit if wanted is not None else min(limit, MINIMUM_OUTPUT_TOKENS)):
        detail = (
            f"about {facts.input_tokens_estimate} input tokens and {limit} output tokens "
            f"do not fit its context of {price.context_tokens}"
        )
        return Fall(Exclusion.CONTEXT_TOO_SMALL, detail)
    return min(limit, room)


def _afford(candidate: Candidate, price: Price, limit: int, demand: Demand) -> Fit | Fall:
    """Hold the bound against the cost maximum, then the headroom; cut an unsaid limit until it fits."""
    facts = demand.facts
    bound = _bound(candidate, facts, limit)
    sent = None if limit == facts.output_tokens_wanted else limit
    if demand.headroom_nano_usd is None and demand.cost_nano_usd_max is None:
        return Fit(bound, sent)
    if facts.is_unbounded and not _is_free(candidate, price):
        return Fall(Exclusion.UNBOUNDED, "the request holds content whose cost has no bound, and its cost is capped")
    is_shrunk = False
    for cap, exclusion, what in (
        (demand.cost_nano_usd_max, Exclusion.OVER_MAX_COST, "the most that it may cost"),
        (demand.headroom_nano_usd, Exclusion.OVER_BUDGET, "the room left in the budget"),
    ):
        if cap is None or bound <= max(cap, 0):
            continue
        is_said = facts.output_tokens_wanted is not None
        least = _bound(candidate, facts, limit if is_said else min(limit, MINIMUM_OUTPUT_TOKENS))
        if least > max(cap, 0):
            detail = f"it can cost {usd(least)}, and {what} is {usd(max(cap, 0))}"
            return Fall(exclusion, detail, least)
        limit = _tokens_within(candidate, price, cap, facts)
        bound, sent, is_shrunk = _bound(candidate, facts, limit), limit, True
    return Fit(bound, sent, is_shrunk)


def _bound(candidate: Candidate, facts: RequestFacts, output_tokens: int) -> int:
    return candidate.bound_nano_usd(input_tokens=facts.input_tokens_bound, output_tokens=output_tokens * facts.choices)


def _tokens_within(candidate: Candidate, price: Price, cap_nano_usd: int, facts: RequestFacts) -> int:
    """How many output tokens of one choice fit under a billed amount that the whole limit exceeds."""
    # ceil(cost x rate) <= cap exactly when cost <= floor(cap / rate).
    cost_nano_usd = cap_nano_usd * PARTS_PER_MILLION // candidate.rate_ppm
    within = price.output_tokens_within(cost_nano_usd, input_tokens=facts.input_tokens_bound)
    assert within is not None  # were output free, no limit on it could bring the bound under the cap
    return within // facts.choices


def _is_free(candidate: Candidate, price: Price) -> bool:
    """Tell whether no amount of tokens costs the tenant anything."""
    million = PARTS_PER_MILLION
    return candidate.rate_ppm == 0 or price.bound_nano_usd(input_tokens=million, output_tokens=million) == 0
