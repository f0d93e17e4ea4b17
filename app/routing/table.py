"""A policy over what a tenant has: which rule takes a request, and the lineup that it chooses from.

Made once with a tenant's view and dropped with it. Invariant: it answers as if every lineup were made anew for
each request; it only remembers them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.routing.candidate import Candidate
from app.routing.conditions import Situation
from app.routing.decision import Signals
from app.routing.errors import ModelNotAllowed, ModelNotFound
from app.routing.lineup import Lineup, is_platforms, line_up
from app.routing.policy import CompiledChoice, Pattern, Policy, nearest_names
from app.routing.policy_document import Strategy
from app.routing.terms import PER_MILLION

AUTO: Final = "auto"
AUTO_PREFIX: Final = "auto/"
NAMED_MODEL_RULE: Final = "named model"
DEFAULT_RULE: Final = "default"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rule decides, on what ground, and what it chooses from."""

    rule: str
    ground: str
    lineup: Lineup


class RouteTable:
    """One policy, one plan, one set of candidates."""

    def __init__(
        self, policy: Policy, candidates: tuple[Candidate, ...], *, plan_allows: Callable[[str], bool], plan_id: str
    ) -> None:
        self.policy = policy
        self.plan_id = plan_id
        self._candidates = candidates
        self._plan_allows = plan_allows
        self._of_rules: dict[int, Chosen] = {}  # by their place in the policy; the default stands behind them
        self._of_models: dict[str, Chosen] = {}

    def choose(self, signals: Signals) -> Chosen:
        """Find what decides a request. Raises ModelNotFound and ModelNotAllowed."""
        model = signals.facts.request_model
        if names_model(model):
            return self._of_models.get(model) or self._name(model)
        situation = Situation(signals, self.plan_id)
        rules = self.policy.rules
        place = next((place for place, rule in enumerate(rules) if rule.holds(situation)), len(rules))
        return self._of_rules.get(place) or self._rule(place)

    def _rule(self, place: int) -> Chosen:
        rules = self.policy.rules
        if place < len(rules):
            rule, choice = rules[place].name, rules[place].choice
            ground = f"rule '{rule}'"
        else:
            rule, choice, ground = DEFAULT_RULE, self.policy.default, "no rule holds, so the default"
        chosen = self._of_rules[place] = Chosen(rule, ground, self._line_up(choice))
        return chosen

    def _name(self, model: str) -> Chosen:
        """Find the candidate that a caller names, by an alias or itself. What exists is remembered."""
        name = self._resolve(self.policy.aliases.get(model, model))
        if not self._plan_allows(name):
            raise ModelNotAllowed(name, self.plan_id)
        ground = f"alias '{model}'" if model in self.policy.aliases else f"the caller names '{model}'"
        chosen = self._of_models[model] = Chosen(NAMED_MODEL_RULE, ground, self._line_up(_choice_of_one(name)))
        return chosen

    def _line_up(self, choice: CompiledChoice) -> Lineup:
        return line_up(choice, self._candidates, plan_allows=self._plan_allows, plan_id=self.plan_id)

    def _resolve(self, model: str) -> str:
        """Find the `provider/model` that a caller means; a bare name prefers what the plan and the tenant have."""
        if any(candidate.name == model for candidate in self._candidates):
            return model
        bare = [candidate for candidate in self._candidates if candidate.model == model]
        if not bare:
            known = {name for candidate in self._candidates for name in (candidate.name, candidate.model)}
            raise ModelNotFound(model, nearest_names(model, sorted(known)))
        return min(bare, key=self._preference).name

    def _preference(self, candidate: Candidate) -> tuple[bool, bool, bool, int, str]:
        is_unpriced = candidate.price is None
        cost = 0 if is_unpriced else candidate.bound_nano_usd(input_tokens=PER_MILLION, output_tokens=PER_MILLION)
        return not self._plan_allows(candidate.name), is_unpriced, is_platforms(candidate), cost, candidate.name


def _choice_of_one(name: str) -> CompiledChoice:
    return CompiledChoice(
        patterns=(Pattern(name, False, name.__eq__),),
        strategy=Strategy.ORDERED,
    )


def names_model(asked: str) -> bool:
    """Tell whether a caller asks for one model, and not for a policy's choice."""
    return asked != AUTO and not asked.startswith(AUTO_PREFIX)
