"""Reads a policy's JSON into its typed document, and tells every problem with its path. Called by `policy`.

A problem is one line: `rules[0].then.candidates[1]: what is wrong and what to write instead`. Invariant: there is a
document or there are problems, never both.
"""

from typing import Final

from app.routing.answer_reader import read_answers
from app.routing.choice_reader import read_choice
from app.routing.condition_reader import ConditionReader
from app.routing.conditions import ALWAYS, implies
from app.routing.errors import PolicyInvalid
from app.routing.guard_reader import read_guards
from app.routing.policy_document import Choice, PolicyDocument, RuleDocument
from app.routing.policy_text import parse
from app.routing.written_parts import WrittenParts

RULES_MAX: Final = 200
ALIASES_MAX: Final = 200
KEYWORDS_MAX: Final = 500  # a policy
DESCRIPTION_CHARACTERS_MAX: Final = 2_000
PROBLEMS_MAX: Final = 100

_POLICY_KEYS: Final = ("name", "description", "keywords", "aliases", "answers", "guards", "rules", "default")
_RULE_KEYS: Final = ("name", "when", "then")
_NOTHING: Final = Choice(candidates=())


def read_policy(document: bytes) -> tuple[PolicyDocument | None, tuple[str, ...]]:
    """Read a document. With problems there is no document, and without problems there is one."""
    try:
        written, repeated = parse(document)
    except PolicyInvalid as error:
        return None, error.problems
    parts = WrittenParts()
    for key in repeated:
        parts.problem("", f"the key '{key}' stands twice in one object; keep one")
    policy = _policy(parts, written)
    problems = tuple(parts.problems[:PROBLEMS_MAX])
    return (None if problems else policy), problems


def _policy(parts: WrittenParts, written: object) -> PolicyDocument:
    keys = parts.record("", written, _POLICY_KEYS, required=("default",))
    keywords = _keywords(parts, keys.get("keywords", {}))
    conditions = ConditionReader(parts, keywords)
    policy = PolicyDocument(
        name=parts.text("name", keys.get("name", ""), may_be_empty=True),
        description=parts.text(
            "description", keys.get("description", ""), may_be_empty=True, length_max=DESCRIPTION_CHARACTERS_MAX
        ),
        keywords=keywords,
        aliases=_aliases(parts, keys.get("aliases", {})),
        answers=read_answers(parts, conditions, keys.get("answers", {})),
        guards=read_guards(parts, conditions, keys.get("guards", [])),
        rules=_rules(parts, conditions, keys.get("rules", [])),
        default=read_choice(parts, "default", keys["default"]) if "default" in keys else _NOTHING,
    )
    conditions.note_excess()
    return policy


def _keywords(parts: WrittenParts, written: object) -> dict[str, tuple[str, ...]]:
    """Read the tasks of a tenant's own; one without words is told by examples or by a tag."""
    keywords: dict[str, tuple[str, ...]] = {}
    for task, words in parts.mapping("keywords", written).items():
        path = f"keywords.{task}"
        parts.text(path, task)
        texts = tuple(
            parts.text(at, word) for at, word in parts.items(path, words, KEYWORDS_MAX, "words", may_be_empty=True)
        )
        for at, word in enumerate(texts):
            if not word.strip("* "):
                parts.problem(f"{path}[{at}]", "a keyword needs at least one letter or digit")
        parts.no_repeats(path, texts)
        keywords[task] = texts
    if (count := sum(map(len, keywords.values()))) > KEYWORDS_MAX:
        parts.problem("keywords", f"{count} words; a policy may have {KEYWORDS_MAX}")
    return keywords


def _aliases(parts: WrittenParts, written: object) -> dict[str, str]:
    aliases = {name: parts.text(f"aliases.{name}", model) for name, model in parts.mapping("aliases", written).items()}
    if len(aliases) > ALIASES_MAX:
        parts.problem("aliases", f"{len(aliases)} aliases; a policy may have {ALIASES_MAX}")
    for name, model in aliases.items():
        parts.text(f"aliases.{name}", name)
        if name == "auto" or name.startswith("auto/"):
            parts.problem(f"aliases.{name}", "'auto' means the policy itself; choose another name")
        if model and ("/" not in model or "*" in model):
            parts.problem(f"aliases.{name}", f"an alias names one model as 'provider/model', not '{model}'")
    return aliases


def _rules(parts: WrittenParts, conditions: ConditionReader, written: object) -> tuple[RuleDocument, ...]:
    entries = parts.items("rules", written, RULES_MAX, "rules", may_be_empty=True)
    rules = [_rule(parts, conditions, path, item) for path, item in entries]
    _note_repeated_names(parts, rules)
    if not parts.problems:  # a condition that was not understood proves nothing
        _note_unreachable(parts, rules)
    return tuple(rules)


def _rule(parts: WrittenParts, conditions: ConditionReader, path: str, written: object) -> RuleDocument:
    keys = parts.record(path, written, _RULE_KEYS, required=("name", "then"))
    return RuleDocument(
        name=parts.text(f"{path}.name", keys["name"]) if "name" in keys else "",
        when=conditions.read(f"{path}.when", keys["when"]) if "when" in keys else ALWAYS,
        then=read_choice(parts, f"{path}.then", keys["then"]) if "then" in keys else _NOTHING,
    )


def _note_repeated_names(parts: WrittenParts, rules: list[RuleDocument]) -> None:
    seen: set[str] = set()
    for place, rule in enumerate(rules):
        if rule.name in seen:
            what = f"another rule is called '{rule.name}'; the name says which rule decided"
            parts.problem(f"rules[{place}].name", what)
        seen.add(rule.name or f"rules[{place}]")


def _note_unreachable(parts: WrittenParts, rules: list[RuleDocument]) -> None:
    """Note each rule that an earlier one leaves nothing to."""
    for place, rule in enumerate(rules):
        for before, earlier in enumerate(rules[:place]):
            if implies(rule.when, earlier.when):
                what = f"never reached: rules[{before}] '{earlier.name}' takes every request first"
                parts.problem(f"rules[{place}]", what)
                break
