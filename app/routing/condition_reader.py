"""Reads a rule's `when` into a condition. Called by `policy_reader`, one reader for a whole policy.

Invariant: what it returns compiles, or a problem with its path was noted.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from app.routing.conditions import (
    ALWAYS,
    FIELDS,
    METADATA_PREFIX,
    OPERATORS,
    All,
    Any,
    Compare,
    Condition,
    FieldKind,
    Not,
    Operator,
    Scalar,
    field_named,
)
from app.routing.taxonomy import Domain, Rag, Sensitivity, Task
from app.routing.written_parts import WrittenParts, nearest

CONDITION_NODES_MAX: Final = 1_000  # a policy
CONDITION_DEPTH_MAX: Final = 16
VALUES_MAX: Final = 200  # an `in`
# Each reads a text from end to end; a policy of as many decides in less than a millisecond (see `make bench`).
SEARCHES_MAX: Final = 100  # a policy
SEARCHES: Final = frozenset({Operator.CONTAINS, Operator.GLOB})

_CLOSED: Final[Mapping[str, Collection[str]]] = {
    "domain": set(Domain),
    "sensitivity": set(Sensitivity),
    "rag": set(Rag),
}
_COMBINATIONS: Final = ("all", "any", "not")


class ConditionReader:
    """Reads conditions and counts their nodes. `tasks` may be compared with."""

    def __init__(self, parts: WrittenParts, tasks: Iterable[str]) -> None:
        self.nodes = 0
        self.searches = 0
        self._parts = parts
        self._known: Mapping[str, Collection[str]] = {**_CLOSED, "task": {*Task, *tasks}}

    def note_excess(self) -> None:
        """Note where a policy's conditions are too many together."""
        if self.nodes > CONDITION_NODES_MAX:
            what = f"the conditions have {self.nodes} nodes; a policy may have {CONDITION_NODES_MAX}"
            self._parts.problem("", what)
        if self.searches > SEARCHES_MAX:
            what = (
                f"'contains' and 'glob' look through long texts and tags {self.searches} times; a policy may do so "
                f"{SEARCHES_MAX} times. Keywords cost nothing more"
            )
            self._parts.problem("", what)

    def read(self, path: str, written: object, depth: int = 1) -> Condition:
        """Read one condition; an object of several parts holds when all of them do."""
        if depth > CONDITION_DEPTH_MAX:
            self._parts.problem(path, f"nested deeper than {CONDITION_DEPTH_MAX}")
            return ALWAYS
        self.nodes += 1
        parts: list[Condition] = []
        for key, value in self._parts.mapping(path, written).items():
            at = f"{path}.{key}"
            match key:
                case "all" | "any":
                    inner = tuple(
                        self.read(place, item, depth + 1)
                        for place, item in self._parts.items(at, value, CONDITION_NODES_MAX, "conditions")
                    )
                    parts.append(All(inner) if key == "all" else Any(inner))
                case "not":
                    parts.append(Not(self.read(at, value, depth + 1)))
                case _:
                    parts.extend(self._comparison(at, key, value))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _comparison(self, path: str, name: str, written: object) -> Iterable[Condition]:
        """Read `{"in": […]}`, `{">=": 1, "<": 9}`, or a plain value, which means `is`."""
        field = field_named(name)
        if field is None:
            self._parts.problem(
                path, f"no such field{nearest(name, (*FIELDS, METADATA_PREFIX + 'key', *_COMBINATIONS))}"
            )
            return
        if not isinstance(written, dict):
            default = Operator.CONTAINS if field.kind in {FieldKind.TEXTS, FieldKind.PROSE} else Operator.IS
            written = {default.value: written}
        if not written:
            self._parts.problem(path, 'says nothing; write for example {"is": …}')
        for sign, value in written.items():
            self.nodes += 1
            allowed = OPERATORS[field.kind]
            if sign not in allowed:
                listed = ", ".join(sorted(allowed))
                self._parts.problem(f"{path}.{sign}", f"a {field.kind} field is compared with {listed}")
                continue
            if Operator(sign) in SEARCHES and field.kind in {FieldKind.PROSE, FieldKind.TEXTS}:
                self.searches += max(1, str(value).count("*"))
            values = self._values(f"{path}.{sign}", name, field.kind, Operator(sign), value)
            if values:
                yield Compare(field=name, operator=Operator(sign), values=values)

    def _values(self, path: str, name: str, kind: FieldKind, sign: Operator, written: object) -> tuple[Scalar, ...]:
        if sign is not Operator.IN:
            value = self._scalar(path, name, kind, sign, written)
            return () if value is None else (value,)
        entries = self._parts.items(path, written, VALUES_MAX, "values")
        values = [value for at, item in entries if (value := self._scalar(at, name, kind, sign, item)) is not None]
        self._parts.no_repeats(path, values)
        return tuple(values)

    def _scalar(self, path: str, name: str, kind: FieldKind, sign: Operator, written: object) -> Scalar | None:
        if kind is FieldKind.BOOLEAN:
            return self._parts.boolean(path, written)
        if kind is FieldKind.NUMBER:
            number = self._parts.number(path, written, -math.inf, math.inf)
            return None if number is None else float(number)
        text = self._parts.text(path, written)
        known = self._known.get(name)
        is_whole = sign in {Operator.IS, Operator.IN} or (kind is FieldKind.TEXTS and sign is Operator.CONTAINS)
        if text and known is not None and is_whole and text not in known:
            more = "; define it under keywords" if name == "task" else ""
            self._parts.problem(path, f"no {name} is called '{text}'{nearest(text, known)}{more}")
        return text or None
