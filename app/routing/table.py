"""A policy over what a tenant has: which rule takes a request, and the lineup that it chooses from.

Made once with a tenant's view and dropped with it. Invariant: it answers as if every lineup were made anew for
each request; it only remembers them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.routing.answer_table import candidate_of
from app.routing.candidate import Candidate
from app.routing.conditions import Situation
from app.routing.decision import Signals
from app.routing.errors import ModelNotAllowed, ModelNotFound
from app.routing.lineup import Lineup, is_platforms, line_up
from app.routing.policy import CompiledChoice, Guard, Pattern, Policy, nearest_names
from app.routing.policy_document import Strategy
from app.routing.terms import PER_MILLION

AUTO: Final = "auto"
AUTO_PREFIX: Final = "auto/"
NAMED_MODEL_RULE: Final = "named model"
DEFAULT_RULE: Final = "default"
NOT_HELD: Final[tuple[int, ...]] = ()
COMBINATIONS_MAX: Final = 64  # of guards that hold together, with what was made ready for each


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rule decides, on what ground, and what it chooses from."""

    rule: str
    ground: str
    lineup: Lineup
    guards: tuple[str, ...] = ()  # by name


class RouteTable:
    """One policy, one plan, one set of candidates."""

    def __init__(
        self, policy: Policy, candidates: tuple[Candidate, ...], *, plan_allows: Callable[[str], bool], plan_id: str
    ) -> None:
        self.policy = policy
        self.plan_id = plan_id
        self._candidates = (*candidates, *map(candidate_of, policy.answers.values())) if policy.answers else candidates
        self._plan_allows = plan_allows
        # By the guards that hold, then by a rule's place in the policy (the default stands behind them) or by a name.
        self._remembered: dict[tuple[int, ...], _Remembered] = {}

    def choose(self, signals: Signals) -> Chosen:
        """Find what decides a request. Raises ModelNotFound and ModelNotAllowed."""
        model = signals.facts.request_model
        policy = self.policy
        situation = Situation(signals, self.plan_id)
        held = NOT_HELD
        if policy.guards:
            guarded = Situation(signals, self.plan_id, reads_all=True)
            held = tuple([place for place, guard in enumerate(policy.guards) if guard.holds(guarded)])
        remembered = self._held(held)
        if names_model(model):
            return remembered.of_models.get(model) or self._name(model, remembered)
        rules = policy.rules
        place = next((place for place, rule in enumerate(rules) if rule.holds(situation)), len(rules))
        return remembered.of_rules.get(place) or self._rule(place, remembered)

    def _held(self, held: tuple[int, ...]) -> "_Remembered":
        """Give what is remembered of requests that exactly these guards hold, by place."""
        remembered = self._remembered.get(held)
        if remembered is None:
            if len(self._remembered) >= COMBINATIONS_MAX:
                self._remembered.clear()
            remembered = self._remembered[held] = _Remembered(tuple(self.policy.guards[place] for place in held))
        return remembered

    def _rule(self, place: int, remembered: "_Remembered") -> Chosen:
        rules = self.policy.rules
        if place < len(rules):
            rule, choice = rules[place].name, rules[place].choice
            ground = f"rule '{rule}'"
        else:
            rule, choice, ground = DEFAULT_RULE, self.policy.default, "no rule holds, so the default"
        chosen = remembered.of_rules[place] = self._chosen(rule, ground, choice, remembered.guards)
        return chosen

    def _name(self, model: str, remembered: "_Remembered") -> Chosen:
        """Find the candidate that a caller names, by an alias or itself. What exists is remembered."""
        name = self._resolve(self.policy.aliases.get(model, model))
        if not self._allows(name):
            raise ModelNotAllowed(name, self.plan_id)
        ground = f"alias '{model}'" if model in self.policy.aliases else f"the caller names '{model}'"
        chosen = remembered.of_models[model] = self._chosen(
            NAMED_MODEL_RULE, ground, _choice_of_one(name), remembered.guards
        )
        return chosen

    def _chosen(self, rule: str, ground: str, choice: CompiledChoice, guards: tuple[Guard, ...]) -> Chosen:
        lineup = line_up(
            choice,
            self._candidates,
            plan_allows=self._plan_allows,
            plan_id=self.plan_id,
            guards=guards,
            answers=self.policy.answers,
        )
        names = tuple(guard.name for guard in guards)
        held = f", held by {' and '.join(repr(name) for name in names)}" if names else ""
        return Chosen(rule, ground + held, lineup, names)

    def _resolve(self, model: str) -> str:
        """Find the `provider/model` that a caller means; a bare name prefers what the plan and the tenant have."""
        if any(candidate.name == model for candidate in self._candidates):
            return model
        bare = [candidate for candidate in self._candidates if candidate.model == model]
        if not bare:
            known = {name for candidate in self._candidates for name in (candidate.name, candidate.model)}
            raise ModelNotFound(model, nearest_names(model, sorted(known)))
        return min(bare, key=self._preference).name

    def _allows(self, name: str) -> bool:
        return name in self.policy.answers or self._plan_allows(name)

    def _preference(self, candidate: Candidate) -> tuple[bool, bool, bool, int, str]:
        is_unpriced = candidate.price is None
        cost = 0 if is_unpriced else candidate.bound_nano_usd(input_tokens=PER_MILLION, output_tokens=PER_MILLION)
        return not self._allows(candidate.name), is_unpriced, is_platforms(candidate), cost, candidate.name


class _Remembered:
    """The choices that requests have met so far, made ready."""

    __slots__ = ("guards", "of_models", "of_rules")

    def __init__(self, guards: tuple[Guard, ...]) -> None:
        self.guards = guards
        self.of_rules: dict[int, Chosen] = {}
        self.of_models: dict[str, Chosen] = {}


def _choice_of_one(name: str) -> CompiledChoice:
    return CompiledChoice(
        patterns=(Pattern(name, False, name.__eq__),),
        strategy=Strategy.ORDERED,
    )


def names_model(asked: str) -> bool:
    """Tell whether a caller asks for one model, and not for a policy's choice."""
    return asked != AUTO and not asked.startswith(AUTO_PREFIX)
