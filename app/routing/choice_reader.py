"""Reads a rule's `then`: what to choose from, by which strategy, within which limits. Called by `policy_reader`.

Invariant: a key that a strategy does not read is a problem, so that nothing is written in vain.
"""

from collections.abc import Mapping
from typing import Final

from app.routing.assurance import NOTHING_REQUIRED
from app.routing.candidate_reader import read_candidates
from app.routing.guard_reader import read_requirements
from app.routing.policy_document import Choice, Strategy
from app.routing.written_parts import WrittenParts

COST_USD_MAX: Final = 1_000_000
WAIT_MS_MAX: Final = 600_000
WEIGHT_MAX: Final = 1_000_000
WORTH_MAX: Final = 1_000_000_000

NANO_USD_PER_USD: Final = 1_000_000_000

_KEYS: Final = (
    "candidates", "strategy", "weights", "quality_at_least", "cost_usd_max", "latency_ms_max", "quality_per_usd",
    "quality_per_second", "may_change_owner", "first_token_ms_max", "moves_on_refusal",
    "require",
)  # fmt: skip
_OF_STRATEGY: Final[Mapping[str, Strategy]] = {
    "weights": Strategy.WEIGHTED,
    "quality_per_usd": Strategy.BALANCED,
    "quality_per_second": Strategy.BALANCED,
}


def read_choice(parts: WrittenParts, path: str, written: object) -> Choice:
    """Read a choice."""
    keys = parts.record(path, written, _KEYS, required=("candidates", "strategy"))
    strategy = parts.one_of(f"{path}.strategy", keys.get("strategy", Strategy.ORDERED), Strategy) or Strategy.ORDERED
    names = read_candidates(parts, f"{path}.candidates", keys["candidates"]) if "candidates" in keys else ()
    for key, owner in _OF_STRATEGY.items():
        if key in keys and strategy is not owner:
            parts.problem(f"{path}.{key}", f"goes with the strategy '{owner}', not '{strategy}'")
    if strategy is Strategy.BALANCED and not {"quality_per_usd", "quality_per_second"} & keys.keys():
        parts.problem(path, "'balanced' weighs quality against something: write quality_per_usd or quality_per_second")
    quality = parts.number(f"{path}.quality_at_least", keys.get("quality_at_least"), 0, 1)
    cost_usd = parts.number(f"{path}.cost_usd_max", keys.get("cost_usd_max"), 0, COST_USD_MAX)
    per_usd = parts.number(f"{path}.quality_per_usd", keys.get("quality_per_usd"), 0, WORTH_MAX)
    per_second = parts.number(f"{path}.quality_per_second", keys.get("quality_per_second"), 0, WORTH_MAX)
    return Choice(
        candidates=names,
        strategy=strategy,
        require=read_requirements(parts, f"{path}.require", keys["require"]) if "require" in keys else NOTHING_REQUIRED,
        weights=_weights(parts, f"{path}.weights", keys.get("weights"), strategy, names),
        quality_at_least=None if quality is None else float(quality),
        cost_nano_usd_max=None if cost_usd is None else int(cost_usd * NANO_USD_PER_USD),
        latency_ms_max=_wait(parts, f"{path}.latency_ms_max", keys.get("latency_ms_max")),
        quality_per_usd=float(per_usd or 0),
        quality_per_second=float(per_second or 0),
        may_change_owner=parts.boolean(f"{path}.may_change_owner", keys.get("may_change_owner", False)),
        first_token_ms_max=_wait(parts, f"{path}.first_token_ms_max", keys.get("first_token_ms_max")),
        moves_on_refusal=parts.boolean(f"{path}.moves_on_refusal", keys.get("moves_on_refusal", False)),
    )


def _weights(
    parts: WrittenParts, path: str, written: object, strategy: Strategy, names: tuple[str, ...]
) -> dict[str, int]:
    if written is None:
        if strategy is Strategy.WEIGHTED:
            parts.problem(path, 'is missing; write for example {"openai/gpt-5": 80, "mistral/*": 20}')
        return {}
    weights: dict[str, int] = {}
    for name, value in parts.mapping(path, written).items():
        at = f"{path}.{name}"
        if name not in names:
            parts.problem(at, "is not among the candidates; write it there as it stands here")
        weight = parts.number(at, value, 1, WEIGHT_MAX)
        if weight is None or weight != int(weight):
            parts.problem(at, f"must be a whole number from 1 to {WEIGHT_MAX:,}")
            continue
        weights[name] = int(weight)
    if not weights:
        parts.problem(path, "is empty; give at least one candidate its weight")
    return weights


def _wait(parts: WrittenParts, path: str, written: object) -> int | None:
    wait_ms = parts.number(path, written, 1, WAIT_MS_MAX)
    return None if wait_ms is None else int(wait_ms)
