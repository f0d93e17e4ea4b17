"""A decision in words: the reason, the refusal, the response header, and the JSON that is stored and shown.

None of them holds text of the prompt.
"""

from typing import Final

import msgspec

from app.routing.decision import Evidence, RouteDecision, Signals, Verdict
from app.routing.policy_document import Strategy

HEADER_CHARACTERS_MAX: Final = 512
HEADER_VALUE_CHARACTERS_MAX: Final = 200
REFUSALS_SHOWN: Final = 10

_STRATEGY_WORDS: Final = {
    Strategy.ORDERED: "first in order",
    Strategy.CHEAPEST: "cheapest",
    Strategy.BEST: "best",
}


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision tells of its request: sizes and flags, no text."""

    request_model: str
    input_tokens_bound: int
    input_tokens_estimate: int
    output_tokens_wanted: int | None
    choices: int
    turns: int
    has_tools: bool
    has_images: bool
    wants_json_schema: bool
    is_streamed: bool
    is_unbounded: bool
    cost_nano_usd_max: int | None
    no_fallback: bool


class DecisionView(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON of a decision; the record, `POST /v1/route` and the console show the same."""

    policy_name: str
    policy_version: int
    rule: str
    reason: str
    refusal: str | None
    task: Evidence
    domain: Evidence
    request: RequestView
    candidates: tuple[Verdict, ...]
    baseline_model: str | None
    first_token_ms_max: int | None
    moves_on_refusal: bool


def reason_of(signals: Signals, ground: str, strategy: Strategy, names: tuple[str, ...]) -> str:
    """Say how a route came about: the task and its ground, the rule, the strategy and its first pick."""
    task = f"task {signals.task.value} by {signals.task.because}"
    if not names:
        return f"{task} → {ground} → nothing left"
    pick = names[0] if len(names) == 1 else f"{_STRATEGY_WORDS[strategy]} of {len(names)}: {names[0]}"
    return f"{task} → {ground} → {pick}"


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
    fields = (
        ("policy", f"{decision.policy_name}@{decision.policy_version}"),
        ("rule", decision.rule),
        ("task", task.value),
        ("confidence", f"{task.confidence:.2f}"),
        ("reason", decision.reason),
    )
    return ";".join(f"{name}={_header_safe(value)}" for name, value in fields)[:HEADER_CHARACTERS_MAX]


def decision_json(decision: RouteDecision) -> bytes:
    """Encode a decision for the record and the API."""
    facts = decision.signals.facts
    baseline = decision.baseline
    view = DecisionView(
        policy_name=decision.policy_name,
        policy_version=decision.policy_version,
        rule=decision.rule,
        reason=decision.reason,
        refusal=decision.refusal,
        task=decision.signals.task,
        domain=decision.signals.domain,
        request=RequestView(**{name: getattr(facts, name) for name in RequestView.__struct_fields__}),
        candidates=decision.verdicts,
        baseline_model=None if baseline is None else baseline.name,
        first_token_ms_max=decision.first_token_ms_max,
        moves_on_refusal=decision.moves_on_refusal,
    )
    return msgspec.json.encode(view)


def _header_safe(value: str) -> str:
    """Keep what a header field may hold; `;` parts fields and so becomes a comma."""
    ascii_only = value.replace("→", "->").replace(";", ",").encode("ascii", "replace").decode("ascii")
    printable = "".join(character if " " <= character <= "~" else " " for character in ascii_only)
    return printable[:HEADER_VALUE_CHARACTERS_MAX].strip()
