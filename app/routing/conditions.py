"""A rule's condition: a closed, typed tree over what is known of a request, compiled to closures once.

Policies hold them, `decide` calls them. There are no loops and no regular expressions: testing a
condition costs at most one pass over bounded text per node, and never raises.
"""

import operator
from collections.abc import Callable
from enum import StrEnum
from functools import cached_property
from typing import Final, TypeVar, assert_never

import msgspec

from app.routing.decision import Evidence, Signals
from app.routing.glob import compile_glob

TEXT_CHARACTERS_HEAD: Final = 6_000  # of an instruction or a system prompt, what a condition reads
TEXT_CHARACTERS_TAIL: Final = 2_000
METADATA_PREFIX: Final = "metadata."


class Operator(StrEnum):
    """How a field is compared. `contains` and `glob` ignore case; `is` and `in` do not."""

    IS = "is"
    IN = "in"
    CONTAINS = "contains"
    GLOB = "glob"
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="


class FieldKind(StrEnum):
    """What a field holds, and so which operators it takes."""

    TEXT = "text"
    PROSE = "long text"
    TEXTS = "list of texts"
    NUMBER = "number"
    BOOLEAN = "true or false"


OPERATORS: Final[dict[FieldKind, frozenset[Operator]]] = {
    FieldKind.TEXT: frozenset({Operator.IS, Operator.IN, Operator.CONTAINS, Operator.GLOB}),
    FieldKind.PROSE: frozenset({Operator.CONTAINS, Operator.GLOB}),
    FieldKind.TEXTS: frozenset({Operator.IN, Operator.CONTAINS, Operator.GLOB}),
    FieldKind.NUMBER: frozenset(
        {
            Operator.IS,
            Operator.IN,
            Operator.LESS,
            Operator.LESS_OR_EQUAL,
            Operator.GREATER,
            Operator.GREATER_OR_EQUAL,
        }
    ),
    FieldKind.BOOLEAN: frozenset({Operator.IS}),
}

Scalar = str | float | bool
Value = TypeVar("Value")


class Compare(msgspec.Struct, frozen=True, kw_only=True):
    """One field against one value, or against several with `in`."""

    field: str
    operator: Operator
    values: tuple[Scalar, ...]


class All(msgspec.Struct, frozen=True):
    """Every part holds; with no part it always holds."""

    parts: tuple["Condition", ...]


class Any(msgspec.Struct, frozen=True):
    """At least one part holds."""

    parts: tuple["Condition", ...]


class Not(msgspec.Struct, frozen=True):
    """The part does not hold."""

    part: "Condition"


Condition = All | Any | Not | Compare
ALWAYS: Final = All(())


class Situation:
    """What conditions look at: the signals and the plan. Text is lowered once, when asked for.

    A rule chooses, and reads a long text's ends; a guard holds back, and `reads_all` lets it miss nothing.
    """

    def __init__(self, signals: Signals, plan_id: str, *, reads_all: bool = False) -> None:
        self.signals = signals
        self.plan_id = plan_id
        self._read = str.lower if reads_all else _bounded

    @cached_property
    def instruction(self) -> str:
        """The last user message, as `contains` and `glob` read it."""
        return self._read(self.signals.facts.instruction)

    @cached_property
    def language(self) -> Evidence:
        """The language, told once however many conditions ask."""
        return self.signals.language

    @cached_property
    def sensitivity(self) -> tuple[str, ...]:
        """The names of the flags."""
        return tuple([flag.value for flag in _told(self.signals.sensitivity)])

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """The tags, as `contains` and `glob` read them."""
        return tuple([tag.lower() for tag in self.signals.facts.tags])

    @cached_property
    def system(self) -> str:
        """The system prompt, as `contains` and `glob` read it."""
        return self._read(self.signals.facts.system)


Test = Callable[[Situation], bool]


Read = Callable[[Situation], object]
ReadTexts = Callable[[Situation], tuple[str, ...]]


class Field(msgspec.Struct, frozen=True):
    """A row of the fields that conditions may name."""

    kind: FieldKind
    read: Read
    lowered: ReadTexts | None = None  # of a list of texts


def _told(signal: Value | None) -> Value:
    assert signal is not None, "conditions are asked only of a request whose signals are all told"
    return signal


FIELDS: Final[dict[str, Field]] = {
    "task": Field(FieldKind.TEXT, lambda s: s.signals.task.value),
    "task.confidence": Field(FieldKind.NUMBER, lambda s: s.signals.task.confidence),
    "domain": Field(FieldKind.TEXT, lambda s: s.signals.domain.value),
    "domain.confidence": Field(FieldKind.NUMBER, lambda s: s.signals.domain.confidence),
    "language": Field(FieldKind.TEXT, lambda s: s.language.value),
    "language.confidence": Field(FieldKind.NUMBER, lambda s: s.language.confidence),
    "sensitivity": Field(FieldKind.TEXTS, lambda s: s.sensitivity, lambda s: s.sensitivity),
    "complexity": Field(FieldKind.NUMBER, lambda s: _told(s.signals.complexity).value),
    "complexity.length": Field(FieldKind.NUMBER, lambda s: _told(s.signals.complexity).length),
    "complexity.constraints": Field(FieldKind.NUMBER, lambda s: _told(s.signals.complexity).constraints),
    "complexity.reasoning": Field(FieldKind.NUMBER, lambda s: _told(s.signals.complexity).reasoning),
    "complexity.code": Field(FieldKind.NUMBER, lambda s: _told(s.signals.complexity).code),
    "complexity.steps": Field(FieldKind.NUMBER, lambda s: _told(s.signals.complexity).steps),
    "complexity.depth": Field(FieldKind.NUMBER, lambda s: _told(s.signals.complexity).depth),
    "complexity.turns": Field(FieldKind.NUMBER, lambda s: _told(s.signals.complexity).turns),
    "rag": Field(FieldKind.TEXT, lambda s: _told(s.signals.rag).value),
    "plan": Field(FieldKind.TEXT, lambda s: s.plan_id),
    "request_model": Field(FieldKind.TEXT, lambda s: s.signals.facts.request_model),
    "instruction": Field(FieldKind.PROSE, lambda s: s.instruction),
    "system": Field(FieldKind.PROSE, lambda s: s.system),
    "tags": Field(FieldKind.TEXTS, lambda s: s.signals.facts.tags, lambda s: s.tags),
    "input_tokens": Field(FieldKind.NUMBER, lambda s: s.signals.facts.input_tokens_estimate),
    "output_tokens": Field(FieldKind.NUMBER, lambda s: s.signals.facts.output_tokens_wanted),
    "images": Field(FieldKind.NUMBER, lambda s: s.signals.facts.images),
    "has_session": Field(FieldKind.BOOLEAN, lambda s: s.signals.facts.session is not None),
    "turns": Field(FieldKind.NUMBER, lambda s: s.signals.facts.turns),
    "choices": Field(FieldKind.NUMBER, lambda s: s.signals.facts.choices),
    "has_tools": Field(FieldKind.BOOLEAN, lambda s: s.signals.facts.has_tools),
    "has_images": Field(FieldKind.BOOLEAN, lambda s: s.signals.facts.has_images),
    "wants_json_schema": Field(FieldKind.BOOLEAN, lambda s: s.signals.facts.wants_json_schema),
    "is_streamed": Field(FieldKind.BOOLEAN, lambda s: s.signals.facts.is_streamed),
}


def field_named(name: str) -> Field | None:
    """Find the row of a field; `metadata.<key>` is a text that may be missing, and then matches nothing."""
    if name.startswith(METADATA_PREFIX) and len(name) > len(METADATA_PREFIX):
        key = name[len(METADATA_PREFIX) :]
        return Field(FieldKind.TEXT, lambda s: s.signals.facts.metadata.get(key))
    return FIELDS.get(name)


def compile_condition(condition: Condition) -> Test:
    """Make the closure that tests a condition."""
    match condition:
        case All(parts):
            tests = tuple(map(compile_condition, parts))
            return tests[0] if len(tests) == 1 else lambda s: all(test(s) for test in tests)
        case Any(parts):
            tests = tuple(map(compile_condition, parts))
            return tests[0] if len(tests) == 1 else lambda s: any(test(s) for test in tests)
        case Not(part):
            test = compile_condition(part)
            return lambda s: not test(s)
        case Compare():
            return _compile_compare(condition)
    assert_never(condition)


def implies(stricter: Condition, wider: Condition) -> bool:
    """Tell whether `wider` surely holds whenever `stricter` does. False may also mean "not seen"."""
    facts = _conjuncts(stricter)
    return all(any(_covers(wanted, fact) for fact in facts) for wanted in _conjuncts(wider))


_ORDERS: Final[dict[Operator, Callable[[float, float], bool]]] = {
    Operator.LESS: operator.lt,
    Operator.LESS_OR_EQUAL: operator.le,
    Operator.GREATER: operator.gt,
    Operator.GREATER_OR_EQUAL: operator.ge,
}


def _compile_compare(compare: Compare) -> Test:
    field = field_named(compare.field)
    assert field is not None
    read, test = field.read, _value_test(compare)
    if field.kind is FieldKind.PROSE:
        return lambda s: test(read(s))
    if field.lowered is not None:
        return _compile_texts(compare, field.read, field.lowered, test)
    if compare.operator in {Operator.CONTAINS, Operator.GLOB}:
        return lambda s: (value := read(s)) is not None and test(str(value).lower())
    return lambda s: (value := read(s)) is not None and test(value)


def _compile_texts(compare: Compare, read: Read, lowered: ReadTexts, test: Callable[[object], bool]) -> Test:
    if compare.operator is Operator.IN:
        values = frozenset(compare.values)
        return lambda s: not values.isdisjoint(read(s))  # type: ignore[arg-type]  # such a field reads a tuple
    return lambda s: any(map(test, lowered(s)))


def _value_test(compare: Compare) -> Callable[[object], bool]:
    first = compare.values[0]
    match compare.operator:
        case Operator.IS:
            return lambda value: value == first
        case Operator.IN:
            values = frozenset(compare.values)
            return lambda value: value in values
        case Operator.CONTAINS:
            part = str(first).lower()
            return lambda value: part in value  # type: ignore[operator]  # lowered text
        case Operator.GLOB:
            return compile_glob(str(first).lower())  # type: ignore[return-value]  # of lowered text
        case _:
            holds, bound = _ORDERS[compare.operator], float(first)
            return lambda value: holds(value, bound)  # type: ignore[arg-type]  # a NUMBER field reads a number


def _conjuncts(condition: Condition) -> tuple[Condition, ...]:
    if isinstance(condition, All):
        return tuple(leaf for part in condition.parts for leaf in _conjuncts(part))
    return (condition,)


def _covers(wanted: Condition, fact: Condition) -> bool:
    """Tell whether one conjunct follows from another."""
    if wanted == fact:
        return True
    if not (isinstance(wanted, Compare) and isinstance(fact, Compare) and wanted.field == fact.field):
        return isinstance(wanted, Any) and any(_covers(part, fact) for part in wanted.parts)
    membership = {Operator.IS, Operator.IN}
    if wanted.operator in membership and fact.operator in membership:
        return set(fact.values) <= set(wanted.values)
    if wanted.operator in _ORDERS and wanted.operator is fact.operator:
        upward = wanted.operator in {Operator.GREATER, Operator.GREATER_OR_EQUAL}
        return fact.values[0] >= wanted.values[0] if upward else fact.values[0] <= wanted.values[0]  # type: ignore[operator]  # both are numbers
    return False


def _bounded(text: str) -> str:
    if len(text) > TEXT_CHARACTERS_HEAD + TEXT_CHARACTERS_TAIL:
        text = text[:TEXT_CHARACTERS_HEAD] + "\n" + text[-TEXT_CHARACTERS_TAIL:]
    return text.lower()
