"""A decision in words: the reason, the refusal, the response header, and the JSON that is stored and shown.

None of them holds text of the prompt.
"""

from typing import Final, Generic, TypeVar

import msgspec

from app.routing.candidate import Feature
from app.routing.decision import Complexity, Evidence, RouteDecision, Signals
from app.routing.policy_document import Strategy

HEADER_CHARACTERS_MAX: Final = 512
HEADER_VALUE_CHARACTERS_MAX: Final = 200
REFUSALS_SHOWN: Final = 10

_STRATEGY_WORDS: Final = {
    Strategy.ORDERED: "first in order",
    Strategy.WEIGHTED: "drawn by weight",
    Strategy.CHEAPEST: "cheapest",
    Strategy.BEST: "best",
    Strategy.FASTEST: "fastest lately",
    Strategy.BALANCED: "most utility",
}


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision tells of its request: sizes and flags, no text."""

    request_model: str
    input_tokens_bound: int
    image_tokens_bound: int
    input_tokens_estimate: int
    output_tokens_wanted: int | None
    choices: int
    turns: int
    has_tools: bool
    has_images: bool
    images: int
    wants_json_schema: bool
    features: tuple[Feature, ...]
    is_streamed: bool
    is_unbounded: bool
    is_output_unbounded: bool
    cost_nano_usd_max: int | None
    no_fallback: bool


Candidates = TypeVar("Candidates")


class DecisionView(msgspec.Struct, Generic[Candidates], frozen=True, kw_only=True):
    """The JSON of a decision; the record, `POST /v1/route` and the console show the same."""

    policy_name: str
    policy_version: int
    rule: str
    guards: tuple[str, ...]
    reason: str
    refusal: str | None
    task: Evidence
    domain: Evidence
    sensitivity: tuple[Evidence, ...] | None  # None, of these three: not looked at, since no route hung on it
    complexity: Complexity | None
    rag: Evidence | None
    request: RequestView
    candidates: Candidates
    plan_id: str
    headroom_nano_usd: int | None
    is_saving: bool
    baseline_model: str | None
    choice: msgspec.Raw
    draw: str | None
    first_token_ms_max: int | None
    moves_on_refusal: bool


def reason_of(signals: Signals, ground: str, strategy: Strategy, first: str | None, count: int) -> str:
    """Say how a route came about: the task and its ground, the rule, the strategy and its first pick of how many."""
    task = f"task {signals.task.value} by {signals.task.because} → {ground}"
    if first is None:
        return f"{task} → nothing left"
    return f"{task} → {first}" if count == 1 else f"{task} → {_STRATEGY_WORDS[strategy]} of {count}: {first}"


def refusal_of(decision: RouteDecision) -> str:
    """Say why nothing is left, candidate by candidate."""
    verdicts = decision.verdicts
    if not verdicts:
        return f"No credential reaches a model that rule '{decision.rule}' names. Add a credential or a candidate."
    reasons = [f"{verdict.name}: {verdict.detail}" for verdict in verdicts[:REFUSALS_SHOWN]]
    if len(verdicts) > REFUSALS_SHOWN:
        reasons.append(f"and {len(verdicts) - REFUSALS_SHOWN} more")
    return f"No candidate can take this request (rule '{decision.rule}'). {'; '.join(reasons)}."


def route_header(decision: RouteDecision) -> str:
    """Write `policy=default@3;rule=…;task=…;confidence=0.83;reason=…` in printable ASCII of bounded length."""
    task = decision.signals.task
    policy = _header_safe(f"{decision.policy_name}@{decision.policy_version}")
    return (
        f"policy={policy};rule={_header_safe(decision.rule)};task={_header_safe(task.value)};"
        f"confidence={task.confidence:.2f};reason={_header_safe(decision.reason)}"
    )[:HEADER_CHARACTERS_MAX]


def decision_json(decision: RouteDecision) -> bytes:
    """Encode a decision for those who read it now: an object for each candidate."""
    return msgspec.json.encode(decision_view(decision, tuple(decision.verdicts)))


def decision_view(decision: RouteDecision, candidates: Candidates) -> DecisionView[Candidates]:
    """Give what is told of a decision, with its candidates in one form or another."""
    signals, baseline = decision.signals, decision.baseline
    facts = signals.facts
    return DecisionView(
        policy_name=decision.policy_name,
        policy_version=decision.policy_version,
        rule=decision.rule,
        guards=decision.guards,
        reason=decision.reason,
        refusal=decision.refusal,
        task=signals.task,
        domain=signals.domain,
        sensitivity=signals.sensitivity,
        complexity=signals.complexity,
        rag=signals.rag,
        request=RequestView(
            request_model=facts.request_model,
            input_tokens_bound=facts.input_tokens_bound,
            image_tokens_bound=facts.image_tokens_bound,
            input_tokens_estimate=facts.input_tokens_estimate,
            output_tokens_wanted=facts.output_tokens_wanted,
            choices=facts.choices,
            turns=facts.turns,
            has_tools=facts.has_tools,
            has_images=facts.has_images,
            images=facts.images,
            wants_json_schema=facts.wants_json_schema,
            features=tuple(sorted(facts.features)) if facts.features else (),
            is_streamed=facts.is_streamed,
            is_unbounded=facts.is_unbounded,
            is_output_unbounded=facts.is_output_unbounded,
            cost_nano_usd_max=facts.cost_nano_usd_max,
            no_fallback=facts.no_fallback,
        ),
        candidates=candidates,
        plan_id=decision.plan_id,
        headroom_nano_usd=decision.headroom_nano_usd,
        is_saving=decision.is_saving,
        baseline_model=None if baseline is None else baseline.name,
        choice=decision.choice,
        draw=decision.draw,
        first_token_ms_max=decision.first_token_ms_max,
        moves_on_refusal=decision.moves_on_refusal,
    )


def _header_safe(value: str) -> str:
    """Keep what a header field may hold; `;` parts fields and so becomes a comma."""
    text = value.replace("→", "->").replace(";", ",")
    if not (text.isascii() and text.isprintable()):
        ascii_only = text.encode("ascii", "replace").decode("ascii")
        text = "".join(character if " " <= character <= "~" else " " for character in ascii_only)
    return text[:HEADER_VALUE_CHARACTERS_MAX].strip()
