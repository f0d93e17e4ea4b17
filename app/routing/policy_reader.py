"""Reads a policy's JSON into its typed document, and tells every problem with its path. Called by `policy`.

A problem is one line: `rules[0].then.candidates[1]: what is wrong and what to write instead`.
"""

import difflib
import json
import math
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Final, NoReturn

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
    implies,
)
from app.routing.policy_document import Choice, PolicyDocument, RuleDocument, Strategy
from app.routing.taxonomy import Domain, Rag, Sensitivity, Task

DOCUMENT_BYTES_MAX: Final = 256 * 1024
CONDITION_NODES_MAX: Final = 1_000  # a policy
CONDITION_DEPTH_MAX: Final = 16
RULES_MAX: Final = 200
CANDIDATES_MAX: Final = 100  # a choice
ALIASES_MAX: Final = 200
KEYWORDS_MAX: Final = 500  # a policy
VALUES_MAX: Final = 200  # an `in`
TEXT_CHARACTERS_MAX: Final = 200
DESCRIPTION_CHARACTERS_MAX: Final = 2_000
PROBLEMS_MAX: Final = 100

NANO_USD_PER_USD: Final = 1_000_000_000
COST_USD_MAX: Final = 1_000_000

_POLICY_KEYS: Final = ("name", "description", "keywords", "aliases", "rules", "default")
_RULE_KEYS: Final = ("name", "when", "then")
_CHOICE_KEYS: Final = (
    "candidates", "strategy", "quality_at_least", "cost_usd_max", "may_change_owner", "first_token_ms_max",
    "moves_on_refusal",
)  # fmt: skip
FIRST_TOKEN_MS_MAX: Final = 600_000
_CLOSED: Final[Mapping[str, Collection[str]]] = {
    "domain": set(Domain),
    "sensitivity": set(Sensitivity),
    "rag": set(Rag),
}
_COMBINATIONS: Final = ("all", "any", "not")


class _Unreadable(Exception):
    """The document is not JSON; the message is the problem."""


def read_policy(document: bytes) -> tuple[PolicyDocument | None, tuple[str, ...]]:
    """Read a document. With problems there is no document, and without problems there is one."""
    try:
        written, repeated = _parse(document)
    except _Unreadable as problem:
        return None, (str(problem),)
    reader = _Reader()
    for key in repeated:
        reader.problem("", f"the key '{key}' stands twice in one object; keep one")
    policy = reader.policy(written)
    problems = tuple(reader.problems[:PROBLEMS_MAX])
    return (None if problems else policy), problems


def _parse(document: bytes) -> tuple[object, list[str]]:
    """Decode JSON strictly: no duplicate keys, no NaN, numbers exact."""
    if len(document) > DOCUMENT_BYTES_MAX:
        raise _Unreadable(f"the document has {len(document)} bytes; at most {DOCUMENT_BYTES_MAX} are read")
    repeated: list[str] = []

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        seen = dict(pairs)
        if len(seen) < len(pairs):
            keys = [key for key, _ in pairs]
            repeated.extend(key[:TEXT_CHARACTERS_MAX] for key in seen if keys.count(key) > 1)
        return seen

    def refuse(constant: str) -> NoReturn:
        raise _Unreadable(f"{constant} is not a number in JSON")

    try:
        return json.loads(document, object_pairs_hook=unique, parse_constant=refuse, parse_float=Decimal), repeated
    except RecursionError as error:
        raise _Unreadable("the document is nested too deep") from error
    except UnicodeDecodeError as error:
        raise _Unreadable(f"the document is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise _Unreadable(f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from error
    except ValueError as error:
        raise _Unreadable("the document holds a number with too many digits") from error


class _Reader:
    """Walks the decoded JSON; a method returns a value even where it noted a problem, so that all are found."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.nodes = 0
        self.tasks: set[str] = set(Task)

    def problem(self, path: str, what: str) -> None:
        self.problems.append(f"{path}: {what}" if path else what)

    # The document

    def policy(self, written: object) -> PolicyDocument:
        keys = self.record("", written, _POLICY_KEYS, required=("default",))
        keywords = self.keywords(keys.get("keywords", {}))
        self.tasks.update(keywords)
        rules = self.rules(keys.get("rules", []))
        return PolicyDocument(
            name=self.text("name", keys.get("name", ""), may_be_empty=True),
            description=self.text(
                "description", keys.get("description", ""), may_be_empty=True, length_max=DESCRIPTION_CHARACTERS_MAX
            ),
            keywords=keywords,
            aliases=self.aliases(keys.get("aliases", {})),
            rules=rules,
            default=self.choice("default", keys["default"]) if "default" in keys else Choice(candidates=()),
        )

    def keywords(self, written: object) -> dict[str, tuple[str, ...]]:
        keywords: dict[str, tuple[str, ...]] = {}
        for task, words in self.mapping("keywords", written).items():
            path = f"keywords.{task}"
            self.text(path, task)
            texts = tuple(self.text(at, word) for at, word in self.items(path, words, KEYWORDS_MAX, "words"))
            for at, word in enumerate(texts):
                if not word.strip("* "):
                    self.problem(f"{path}[{at}]", "a keyword needs at least one letter or digit")
            self.no_repeats(path, texts)
            keywords[task] = texts
        if (count := sum(map(len, keywords.values()))) > KEYWORDS_MAX:
            self.problem("keywords", f"{count} words; a policy may have {KEYWORDS_MAX}")
        return keywords

    def aliases(self, written: object) -> dict[str, str]:
        aliases = {
            name: self.text(f"aliases.{name}", model) for name, model in self.mapping("aliases", written).items()
        }
        if len(aliases) > ALIASES_MAX:
            self.problem("aliases", f"{len(aliases)} aliases; a policy may have {ALIASES_MAX}")
        for name, model in aliases.items():
            self.text(f"aliases.{name}", name)
            if name == "auto" or name.startswith("auto/"):
                self.problem(f"aliases.{name}", "'auto' means the policy itself; choose another name")
            if model and ("/" not in model or "*" in model):
                self.problem(f"aliases.{name}", f"an alias names one model as 'provider/model', not '{model}'")
        return aliases

    def rules(self, written: object) -> tuple[RuleDocument, ...]:
        entries = self.items("rules", written, RULES_MAX, "rules", may_be_empty=True)
        rules = [self.rule(path, item) for path, item in entries]
        if self.nodes > CONDITION_NODES_MAX:
            self.problem("rules", f"the conditions have {self.nodes} nodes; a policy may have {CONDITION_NODES_MAX}")
        self.distinct_names(rules)
        if not self.problems:  # a condition that was not understood proves nothing
            self.reachable(rules)
        return tuple(rules)

    def rule(self, path: str, written: object) -> RuleDocument:
        keys = self.record(path, written, _RULE_KEYS, required=("name", "then"))
        return RuleDocument(
            name=self.text(f"{path}.name", keys["name"]) if "name" in keys else "",
            when=self.condition(f"{path}.when", keys["when"], 1) if "when" in keys else ALWAYS,
            then=self.choice(f"{path}.then", keys["then"]) if "then" in keys else Choice(candidates=()),
        )

    def distinct_names(self, rules: list[RuleDocument]) -> None:
        seen: set[str] = set()
        for place, rule in enumerate(rules):
            if rule.name in seen:
                what = f"another rule is called '{rule.name}'; the name says which rule decided"
                self.problem(f"rules[{place}].name", what)
            seen.add(rule.name or f"rules[{place}]")

    def reachable(self, rules: list[RuleDocument]) -> None:
        """Note each rule that an earlier one leaves nothing to."""
        for place, rule in enumerate(rules):
            for before, earlier in enumerate(rules[:place]):
                if implies(rule.when, earlier.when):
                    what = f"never reached: rules[{before}] '{earlier.name}' takes every request first"
                    self.problem(f"rules[{place}]", what)
                    break

    def choice(self, path: str, written: object) -> Choice:
        keys = self.record(path, written, _CHOICE_KEYS, required=("candidates", "strategy"))
        strategy = self.one_of(f"{path}.strategy", keys.get("strategy", Strategy.ORDERED), Strategy)
        names: tuple[str, ...] = ()
        if "candidates" in keys:
            at = f"{path}.candidates"
            entries = self.items(at, keys["candidates"], CANDIDATES_MAX, "candidates")
            names = tuple(self.model(place, name) for place, name in entries)
            self.no_repeats(at, names)
        for key, owner in (("quality_at_least", Strategy.CHEAPEST), ("cost_usd_max", Strategy.BEST)):
            if key in keys and strategy != owner:
                self.problem(f"{path}.{key}", f"goes with the strategy '{owner}', not '{strategy}'")
        quality = self.number(f"{path}.quality_at_least", keys.get("quality_at_least"), 0, 1)
        cost_usd = self.number(f"{path}.cost_usd_max", keys.get("cost_usd_max"), 0, COST_USD_MAX)
        wait_ms = self.number(f"{path}.first_token_ms_max", keys.get("first_token_ms_max"), 1, FIRST_TOKEN_MS_MAX)
        return Choice(
            candidates=names,
            strategy=Strategy(strategy),
            quality_at_least=None if quality is None else float(quality),
            cost_nano_usd_max=None if cost_usd is None else int(cost_usd * NANO_USD_PER_USD),
            may_change_owner=self.boolean(f"{path}.may_change_owner", keys.get("may_change_owner", False)),
            first_token_ms_max=None if wait_ms is None else int(wait_ms),
            moves_on_refusal=self.boolean(f"{path}.moves_on_refusal", keys.get("moves_on_refusal", False)),
        )

    def model(self, path: str, written: object) -> str:
        name = self.text(path, written)
        if name and "/" not in name and "*" not in name:
            self.problem(path, f"'{name}' is not a model; write 'provider/model', or a glob such as 'openai/*'")
        return name

    # Conditions

    def condition(self, path: str, written: object, depth: int) -> Condition:
        if depth > CONDITION_DEPTH_MAX:
            self.problem(path, f"nested deeper than {CONDITION_DEPTH_MAX}")
            return ALWAYS
        self.nodes += 1
        parts: list[Condition] = []
        for key, value in self.mapping(path, written).items():
            at = f"{path}.{key}"
            match key:
                case "all" | "any":
                    inner = tuple(
                        self.condition(place, item, depth + 1)
                        for place, item in self.items(at, value, CONDITION_NODES_MAX, "conditions")
                    )
                    parts.append(All(inner) if key == "all" else Any(inner))
                case "not":
                    parts.append(Not(self.condition(at, value, depth + 1)))
                case _:
                    parts.extend(self.comparison(at, key, value))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def comparison(self, path: str, name: str, written: object) -> Iterable[Condition]:
        """Read `{"in": […]}`, `{">=": 1, "<": 9}`, or a plain value, which means `is`."""
        field = field_named(name)
        if field is None:
            self.problem(path, f"no such field{_nearest(name, (*FIELDS, METADATA_PREFIX + 'key', *_COMBINATIONS))}")
            return
        if not isinstance(written, dict):
            default = Operator.CONTAINS if field.kind in {FieldKind.TEXTS, FieldKind.PROSE} else Operator.IS
            written = {default.value: written}
        if not written:
            self.problem(path, 'says nothing; write for example {"is": …}')
        for sign, value in written.items():
            self.nodes += 1
            allowed = OPERATORS[field.kind]
            if sign not in allowed:
                listed = ", ".join(sorted(allowed))
                self.problem(f"{path}.{sign}", f"a {field.kind} field is compared with {listed}")
                continue
            values = self.values(f"{path}.{sign}", name, field.kind, Operator(sign), value)
            if values:
                yield Compare(field=name, operator=Operator(sign), values=values)

    def values(self, path: str, name: str, kind: FieldKind, sign: Operator, written: object) -> tuple[Scalar, ...]:
        if sign is not Operator.IN:
            value = self.scalar(path, name, kind, sign, written)
            return () if value is None else (value,)
        entries = self.items(path, written, VALUES_MAX, "values")
        values = [value for at, item in entries if (value := self.scalar(at, name, kind, sign, item)) is not None]
        self.no_repeats(path, values)
        return tuple(values)

    def scalar(self, path: str, name: str, kind: FieldKind, sign: Operator, written: object) -> Scalar | None:
        if kind is FieldKind.BOOLEAN:
            return self.boolean(path, written)
        if kind is FieldKind.NUMBER:
            number = self.number(path, written, -math.inf, math.inf)
            return None if number is None else float(number)
        text = self.text(path, written)
        known = {"task": self.tasks, **_CLOSED}.get(name)
        is_whole = sign in {Operator.IS, Operator.IN} or (kind is FieldKind.TEXTS and sign is Operator.CONTAINS)
        if text and known is not None and is_whole and text not in known:
            more = "; define it under keywords" if name == "task" else ""
            self.problem(path, f"no {name} is called '{text}'{_nearest(text, known)}{more}")
        return text or None

    # Parts

    def record(self, path: str, written: object, keys: tuple[str, ...], required: tuple[str, ...]) -> dict[str, object]:
        found = self.mapping(path, written)
        prefix = f"{path}." if path else ""
        for key in found:
            if key not in keys:
                self.problem(f"{prefix}{key}", f"no such key{_nearest(key, keys)}")
        if isinstance(written, dict):
            for key in required:
                if key not in found:
                    self.problem(f"{prefix}{key}", "is missing")
        return found

    def mapping(self, path: str, written: object) -> dict[str, object]:
        if isinstance(written, dict):
            return written
        self.problem(path or "the policy", f"must be an object, not {_kind(written)}")
        return {}

    def items(
        self, path: str, written: object, count_max: int, what: str, *, may_be_empty: bool = False
    ) -> list[tuple[str, object]]:
        if not isinstance(written, list):
            self.problem(path, f"must be a list of {what}, not {_kind(written)}")
            return []
        if not written and not may_be_empty:
            self.problem(path, f"is empty; name at least one of its {what}")
        if len(written) > count_max:
            self.problem(path, f"has {len(written)} {what}; at most {count_max} are allowed")
        return [(f"{path}[{place}]", item) for place, item in enumerate(written[:count_max])]

    def text(
        self, path: str, written: object, *, may_be_empty: bool = False, length_max: int = TEXT_CHARACTERS_MAX
    ) -> str:
        if not isinstance(written, str):
            self.problem(path, f"must be a text, not {_kind(written)}")
            return ""
        if not written.strip() and not may_be_empty:
            self.problem(path, "is empty")
        if len(written) > length_max:
            self.problem(path, f"has {len(written)} characters; at most {length_max} are allowed")
        return written

    def number(self, path: str, written: object, least: float, most: float) -> Decimal | int | None:
        if written is None:
            return None
        if isinstance(written, bool) or not isinstance(written, int | Decimal):
            self.problem(path, f"must be a number, not {_kind(written)}")
            return None
        if not least <= written <= most:
            self.problem(path, f"must lie between {least} and {most}, not {written}")
            return None
        return written

    def boolean(self, path: str, written: object) -> bool:
        if not isinstance(written, bool):
            self.problem(path, f"must be true or false, not {_kind(written)}")
        return written is True

    def one_of(self, path: str, written: object, known: type[Strategy]) -> Strategy:
        if isinstance(written, str) and written in set(known):
            return known(written)
        shown = f"'{written}'" if isinstance(written, str) else _kind(written)
        self.problem(path, f"must be one of {', '.join(known)}, not {shown}")
        return Strategy.ORDERED

    def no_repeats(self, path: str, values: Collection[object]) -> None:
        seen: set[object] = set()
        for value in values:
            if value in seen:
                self.problem(path, f"'{value}' stands twice")
            seen.add(value)


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name[:TEXT_CHARACTERS_MAX], list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known are {', '.join(sorted(known))}"


def _kind(written: object) -> str:
    match written:
        case None:
            return "null"
        case bool():
            return "true" if written else "false"
        case str():
            return "a text"
        case int() | Decimal():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"
