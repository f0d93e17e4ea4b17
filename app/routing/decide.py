"""The route of a request: signals, policy and constraints in, one explained decision out. Pure.

The live path, the dry run, the console and a replay call the same `decide`. The same input gives the
same decision, and a decision never ranks a candidate that the plan, the policy or a cap excludes.
"""

from typing import Final
from uuid import UUID

import msgspec

from app.routing.circumstances import NO_REQUEST, QUIET, Circumstances, LatencyOf, unmeasured
from app.routing.conditions import Situation
from app.routing.constraints import demand_of
from app.routing.decision import Exclusion, RouteDecision, Signals
from app.routing.errors import NoCandidateLeft, OverBudget
from app.routing.policy_document import Strategy
from app.routing.ranking import rank
from app.routing.table import Chosen, RouteTable, names_model
from app.routing.words import reason_of, refusal_of

SAVING_GROUND: Final = ", and a budget is so far used that it wants the cheapest"


def decide(
    signals: Signals,
    table: RouteTable,
    *,
    headroom_nano_usd: int | None,
    unspent_nano_usd: int | None,
    prefers_cheaper: bool = False,
    request_id: UUID = NO_REQUEST,
    latency_ms_of: LatencyOf = unmeasured,
) -> RouteDecision:
    """Decide the route of a request. A headroom of None means that no budget covers it.

    Where a budget is so far used that it asks for it, what the policy offers is tried by its cost alone. Who names a
    model gets that model.

    A strategy that draws does so by the request's session, else by its id.

    Raises ModelNotFound, ModelNotAllowed, and with the refused decision inside NoCandidateLeft or,
    where more budget would leave a candidate, OverBudget.
    """
    chosen = table.choose(signals)
    lineup, choice = chosen.lineup, chosen.lineup.choice
    demand = demand_of(
        signals.facts,
        signals.task.value,
        headroom_nano_usd=headroom_nano_usd,
        cost_nano_usd_max=choice.cost_nano_usd_max,
    )
    circumstances = _circumstances(chosen, signals, table, request_id, latency_ms_of)
    is_saving = prefers_cheaper and not names_model(signals.facts.request_model)
    ranking = rank(lineup, demand, circumstances, prefers_cheaper=is_saving)
    order = ranking.order
    decision = RouteDecision(
        policy_name=table.policy.name,
        policy_version=table.policy.version,
        rule=chosen.rule,
        reason=reason_of(
            signals,
            chosen.ground + SAVING_GROUND if is_saving else chosen.ground,
            Strategy.CHEAPEST if is_saving else choice.strategy,
            lineup.candidates[order[0]].name if order else None,
            len(order),
        ),
        signals=signals,
        guards=chosen.guards,
        verdicts=ranking.verdicts(),
        ranked=ranking.ranked(),
        columns=ranking.columns(),
        baseline=ranking.baseline,
        plan_id=table.plan_id,
        headroom_nano_usd=headroom_nano_usd,
        is_saving=is_saving,
        choice=lineup.choice_json,
        draw=ranking.live.draw,
        first_token_ms_max=choice.first_token_ms_max,
        moves_on_refusal=choice.moves_on_refusal,
    )
    if order:
        return decision
    raise _refused(decision, unspent_nano_usd)


def _circumstances(
    chosen: Chosen, signals: Signals, table: RouteTable, request_id: UUID, latency_ms_of: LatencyOf
) -> Circumstances:
    if not chosen.lineup.is_live:
        return QUIET
    return Circumstances(
        request_id=request_id,
        session=signals.facts.session,
        rule=f"{table.policy.name}/{chosen.rule}",
        latency_ms_of=latency_ms_of,
        situation=Situation(signals, table.plan_id) if chosen.lineup.tables else None,
    )


def _refused(decision: RouteDecision, unspent_nano_usd: int | None) -> NoCandidateLeft:
    """Make the error of a decision without candidates: over budget where its room alone bars one."""
    message = refusal_of(decision)
    refused = msgspec.structs.replace(decision, refusal=message)
    short = [
        fall.bound_nano_usd or 0 for fall in decision.columns.falls.values() if fall.exclusion is Exclusion.OVER_BUDGET
    ]
    if not short:
        return NoCandidateLeft(message, refused)
    is_contended = unspent_nano_usd is not None and min(short) <= unspent_nano_usd
    return OverBudget(message, refused, is_contended=is_contended)
