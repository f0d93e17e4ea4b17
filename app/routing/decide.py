"""The route of a request: signals, policy and constraints in, one explained decision out. Pure.

The live path, the dry run, the console and a replay call the same `decide`. The same input gives the
same decision, and a decision never ranks a candidate that the plan, the policy or a cap excludes.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from app.routing.candidate import Candidate
from app.routing.conditions import Situation
from app.routing.constraints import Fall, Fit, demand_of
from app.routing.decision import Exclusion, Ranked, RouteDecision, Signals, Verdict
from app.routing.errors import ModelNotAllowed, ModelNotFound, NoCandidateLeft, OverBudget
from app.routing.policy import CompiledChoice, Pattern, Policy, nearest_names
from app.routing.policy_document import Strategy
from app.routing.ranking import Considered, consider, dearest, in_policy_order, keep_owner, rank
from app.routing.taxonomy import TYPICAL_OUTPUT_TOKENS, TYPICAL_OUTPUT_TOKENS_ELSE
from app.routing.words import reason_of, refusal_of

AUTO: Final = "auto"
NAMED_MODEL_RULE: Final = "named model"
DEFAULT_RULE: Final = "default"


class _Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Which rule decides, on what ground, and what it chooses from."""

    rule: str
    ground: str
    choice: CompiledChoice


def decide(
    signals: Signals,
    policy: Policy,
    *,
    candidates: Sequence[Candidate],
    plan_allows: Callable[[str], bool],
    plan_id: str,
    headroom_nano_usd: int | None,
    unspent_nano_usd: int | None,
) -> RouteDecision:
    """Decide the route of a request. A headroom of None means that no budget covers it.

    Raises ModelNotFound, ModelNotAllowed, and with the refused decision inside NoCandidateLeft or,
    where more budget would leave a candidate, OverBudget.
    """
    chosen = _choose(signals, policy, candidates, plan_allows, plan_id)
    choice, task = chosen.choice, signals.task.value
    demand = demand_of(
        signals.facts,
        plan_allows=plan_allows,
        plan_id=plan_id,
        headroom_nano_usd=headroom_nano_usd,
        cost_nano_usd_max=choice.cost_nano_usd_max,
        output_tokens_typical=TYPICAL_OUTPUT_TOKENS.get(task, TYPICAL_OUTPUT_TOKENS_ELSE),
    )
    considered, missing = consider(candidates, choice, demand, task)
    fitting = rank(considered, choice.strategy)
    ranked, left_out = keep_owner(fitting, choice)
    fallen = in_policy_order([*left_out, *(one for one in considered if isinstance(one.outcome, Fall))])
    decision = RouteDecision(
        policy_name=policy.name,
        policy_version=policy.version,
        rule=chosen.rule,
        reason=reason_of(signals, chosen.ground, choice.strategy, tuple(one.name for one in ranked)),
        signals=signals,
        verdicts=(
            *(_verdict(one, place) for place, one in enumerate(ranked, start=1)),
            *(_verdict(one, None) for one in fallen),
            *map(_missing, missing),
        ),
        ranked=tuple(_ranked(one.candidate, one.outcome) for one in ranked if isinstance(one.outcome, Fit)),
        baseline=dearest(fitting),
        first_token_ms_max=choice.first_token_ms_max,
        moves_on_refusal=choice.moves_on_refusal,
    )
    if ranked:
        return decision
    raise _refused(decision, fallen, unspent_nano_usd)


def _choose(
    signals: Signals,
    policy: Policy,
    candidates: Sequence[Candidate],
    plan_allows: Callable[[str], bool],
    plan_id: str,
) -> _Chosen:
    model = signals.facts.request_model
    if model != AUTO and not model.startswith(f"{AUTO}/"):
        name = _resolve(policy.aliases.get(model, model), candidates, plan_allows)
        if not plan_allows(name):
            raise ModelNotAllowed(name, plan_id)
        ground = f"alias '{model}'" if model in policy.aliases else f"the caller names '{model}'"
        return _Chosen(rule=NAMED_MODEL_RULE, ground=ground, choice=_choice_of_one(name))
    situation = Situation(signals, plan_id)
    for rule in policy.rules:
        if rule.holds(situation):
            return _Chosen(rule=rule.name, ground=f"rule '{rule.name}'", choice=rule.choice)
    return _Chosen(rule=DEFAULT_RULE, ground="no rule holds, so the default", choice=policy.default)


def _resolve(model: str, candidates: Sequence[Candidate], plan_allows: Callable[[str], bool]) -> str:
    """Find the `provider/model` that a caller means; a bare name prefers what the plan and the tenant have."""
    if any(candidate.name == model for candidate in candidates):
        return model
    bare = [candidate for candidate in candidates if candidate.model == model]
    if not bare:
        known = {candidate.name for candidate in candidates} | {candidate.model for candidate in candidates}
        raise ModelNotFound(model, nearest_names(model, sorted(known)))

    def preference(candidate: Candidate) -> tuple[bool, bool, bool, int, str]:
        is_unpriced = candidate.price is None
        cost = 0 if is_unpriced else candidate.bound_nano_usd(input_tokens=1_000_000, output_tokens=1_000_000)
        is_platforms = candidate.credential_owner == "platform"
        return not plan_allows(candidate.name), is_unpriced, is_platforms, cost, candidate.name

    return min(bare, key=preference).name


def _choice_of_one(name: str) -> CompiledChoice:
    return CompiledChoice(
        patterns=(Pattern(name, False, name.__eq__),),
        strategy=Strategy.ORDERED,
        quality_at_least=None,
        cost_nano_usd_max=None,
        may_change_owner=False,
    )


def _verdict(one: Considered, rank: int | None) -> Verdict:
    fit = one.outcome if isinstance(one.outcome, Fit) else None
    fall = one.outcome if isinstance(one.outcome, Fall) else None
    return Verdict(
        name=one.name,
        rank=rank,
        excluded=fall.exclusion if fall else None,
        detail=fall.detail if fall else "",
        score=one.quality,
        bound_nano_usd=one.outcome.bound_nano_usd,
        output_tokens_limit=fit.output_tokens_limit if fit else None,
        estimate_nano_usd=one.estimate_nano_usd,
        credential_owner=one.candidate.credential_owner,
        is_simulated=one.candidate.is_simulated,
    )


def _missing(name: str) -> Verdict:
    return Verdict(
        name=name,
        rank=None,
        excluded=Exclusion.NOT_AVAILABLE,
        detail="no credential reaches it",
    )


def _ranked(candidate: Candidate, fit: Fit) -> Ranked:
    return Ranked(
        candidate=candidate,
        bound_nano_usd=fit.bound_nano_usd,
        output_tokens_limit=fit.output_tokens_limit,
        is_output_shrunk=fit.is_output_shrunk,
    )


def _refused(decision: RouteDecision, fallen: Iterable[Considered], unspent_nano_usd: int | None) -> NoCandidateLeft:
    """Make the error of a decision without candidates: over budget where its room alone bars one."""
    message = refusal_of(decision)
    refused = msgspec.structs.replace(decision, refusal=message)
    short = [one.outcome.bound_nano_usd or 0 for one in fallen if _fell_for(one) is Exclusion.OVER_BUDGET]
    if not short:
        return NoCandidateLeft(message, refused)
    is_contended = unspent_nano_usd is not None and min(short) <= unspent_nano_usd
    return OverBudget(message, refused, is_contended=is_contended)


def _fell_for(one: Considered) -> Exclusion | None:
    return one.outcome.exclusion if isinstance(one.outcome, Fall) else None
