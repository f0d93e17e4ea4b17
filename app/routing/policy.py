"""A compiled routing policy. `decide` runs it; surfaces that save a policy compile and check it first.

An invalid document never becomes a `Policy`: `PolicyInvalid` tells every problem with its path.
"""

import difflib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

import msgspec

from app.routing.answer_table import ANSWERS_PROVIDER, AnswerTable, compile_table
from app.routing.assurance import NOTHING_REQUIRED, Requirements
from app.routing.conditions import Test, compile_condition
from app.routing.errors import PolicyInvalid
from app.routing.glob import compile_glob, is_glob
from app.routing.keywords import Keyword, keywords_of
from app.routing.policy_document import Choice, GuardDocument, PolicyDocument, Strategy
from app.routing.policy_reader import read_policy

NEAREST_COUNT: Final = 3
NEAREST_SIMILARITY: Final = 0.5
DEFAULT_POLICY_FILE: Final = Path(__file__).with_name("default_policy.json")


class Pattern(msgspec.Struct, frozen=True):
    """One entry of a choice's candidates."""

    text: str
    is_glob: bool
    matches: Callable[[str], bool]


class CompiledChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A choice ready to be matched against candidates."""

    patterns: tuple[Pattern, ...]
    strategy: Strategy
    require: Requirements = NOTHING_REQUIRED
    weights: tuple[int, ...] = ()  # of `weighted`, by pattern; 0 stands behind
    quality_at_least: float | None = None
    cost_nano_usd_max: int | None = None
    latency_ms_max: int | None = None
    quality_per_usd: float = 0.0
    quality_per_second: float = 0.0
    may_change_owner: bool = False
    first_token_ms_max: int | None = None
    moves_on_refusal: bool = False

    @property
    def reads_latency(self) -> bool:
        """Whether what was measured lately makes a difference."""
        return self.strategy is Strategy.FASTEST or self.quality_per_second > 0 or self.latency_ms_max is not None

    @property
    def draws(self) -> bool:
        """Whether the session or the request makes a difference."""
        return self.strategy in {Strategy.WEIGHTED, Strategy.FASTEST}


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """A compiled guard. It narrows what any rule and any named model may take."""

    name: str
    holds: Test
    patterns: tuple[Pattern, ...]
    require: Requirements

    def approves(self, name: str) -> bool:
        """Tell whether a candidate stands on the approved list, if there is one."""
        return not self.patterns or any(pattern.matches(name) for pattern in self.patterns)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A compiled rule."""

    name: str
    holds: Test
    choice: CompiledChoice


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The first rule that holds decides, and `default` when none does."""

    name: str
    version: int
    keywords: tuple[Keyword, ...]
    aliases: Mapping[str, str]
    rules: tuple[Rule, ...]
    default: CompiledChoice
    guards: tuple[Guard, ...] = ()
    answers: Mapping[str, AnswerTable] = {}  # by the name of their candidate

    @property
    def reads_all(self) -> bool:
        """Whether conditions are asked of named models too, so that every signal must be told."""
        return bool(self.guards or self.answers)


def compile_policy(document: bytes, *, name: str | None = None, version: int = 0) -> Policy:
    """Compile a document; `name` and `version` are those it is stored under. Raises PolicyInvalid."""
    written, problems = read_policy(document)
    if written is None:
        raise PolicyInvalid(problems)
    rules = (
        Rule(name=rule.name, holds=compile_condition(rule.when), choice=compile_choice(rule.then))
        for rule in written.rules
    )
    return Policy(
        name=written.name if name is None else name,
        version=version,
        keywords=keywords_of(written.keywords),
        aliases=written.aliases,
        rules=tuple(rules),
        guards=tuple(map(_compile_guard, written.guards)),
        answers={_name_of_table(name): compile_table(name, entries) for name, entries in written.answers.items()},
        default=compile_choice(written.default),
    )


def compile_choice(choice: Choice) -> CompiledChoice:
    """Compile the globs of a choice."""
    return CompiledChoice(
        patterns=_patterns(choice.candidates),
        strategy=choice.strategy,
        require=choice.require,
        weights=tuple(choice.weights.get(text, 0) for text in choice.candidates) if choice.weights else (),
        quality_at_least=choice.quality_at_least,
        cost_nano_usd_max=choice.cost_nano_usd_max,
        latency_ms_max=choice.latency_ms_max,
        quality_per_usd=choice.quality_per_usd,
        quality_per_second=choice.quality_per_second,
        may_change_owner=choice.may_change_owner,
        first_token_ms_max=choice.first_token_ms_max,
        moves_on_refusal=choice.moves_on_refusal,
    )


def _compile_guard(guard: GuardDocument) -> Guard:
    return Guard(
        name=guard.name,
        holds=compile_condition(guard.when),
        patterns=_patterns(guard.candidates),
        require=guard.require,
    )


def _name_of_table(name: str) -> str:
    return f"{ANSWERS_PROVIDER}/{name}"


def _patterns(names: tuple[str, ...]) -> tuple[Pattern, ...]:
    return tuple(Pattern(text, is_glob(text), compile_glob(text)) for text in names)


def check_policy(document: bytes, known_models: Collection[str]) -> tuple[str, ...]:
    """Give every problem of a document, and every model it names that is not among `known_models`.

    A glob may wait for models to come, as long as something of its choice exists.
    """
    written, problems = read_policy(document)
    if written is None:
        return problems
    return tuple(_unknown_models(written, {*known_models, *map(_name_of_table, written.answers)}))


def load_default_policy() -> bytes:
    """Read the platform's own policy document, which serves a tenant that has none."""
    return DEFAULT_POLICY_FILE.read_bytes()


def nearest_names(name: str, known: Collection[str]) -> tuple[str, ...]:
    """Give the known names that look most like one."""
    return tuple(difflib.get_close_matches(name, list(known), n=NEAREST_COUNT, cutoff=NEAREST_SIMILARITY))


def _unknown_models(policy: PolicyDocument, known: Collection[str]) -> list[str]:
    problems: list[str] = []
    for alias, model in policy.aliases.items():
        if model not in known:
            problems.append(f"aliases.{alias}: {_unknown(model, known)}")
    lists = [(f"guards[{place}]", guard.candidates) for place, guard in enumerate(policy.guards) if guard.candidates]
    lists += [(f"rules[{place}].then", rule.then.candidates) for place, rule in enumerate(policy.rules)]
    for path, names in (*lists, ("default", policy.default.candidates)):
        problems += [
            f"{path}.candidates[{place}]: {_unknown(name, known)}"
            for place, name in enumerate(names)
            if not is_glob(name) and name not in known
        ]
        if all(map(is_glob, names)) and not any(compile_glob(name)(model) for name in names for model in known):
            problems.append(f"{path}.candidates: {', '.join(names)} match no model that exists")
    return problems


def _unknown(model: str, known: Collection[str]) -> str:
    nearest = nearest_names(model, known)
    return f"'{model}' does not exist" + (f"; nearest: {', '.join(nearest)}" if nearest else "")
