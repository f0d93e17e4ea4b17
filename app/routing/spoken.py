"""Rules out of plain words: "route all customer support to Mistral 7B and financial questions to Claude Sonnet".

Called by the command line and the management API. It looks words up and calls no model. The result is a draft to be
reviewed, never applied by itself. Invariant: a clause of which a word was not understood makes no rule, because
without that word the rule would take more than was said; it is told instead.
"""

import difflib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from app.routing import spoken_words
from app.routing.policy_document import Strategy
from app.routing.policy_reader import read_policy
from app.routing.policy_yaml import yaml_of
from app.routing.spoken_models import Mention, find_mention, words_of
from app.routing.spoken_words import EVERYTHING_ELSE, FILLERS, VERBS

TEXT_CHARACTERS_MAX: Final = 4_000
PHRASE_WORDS_MAX: Final = 4
NAME_CHARACTERS_MAX: Final = 120
_SENTENCE_ENDS: Final = ".;!?\n"
_JOINTS: Final = frozenset({"and", "then", "also", "but", "while"})
_NEVER_REACHED: Final = re.compile(r"rules\[(\d+)\]: never reached")
_TOWARDS: Final = frozenset({"to", "on", "with", "within"})
_HOLDING: Final = frozenset({"keep", "hold"})  # such a clause makes a guard
_ALL: Final = frozenset({"everything", "all", "anything", "rest", "else", "other", "requests", "traffic"})
_FALLBACKS: Final = (("falling", "back", "to"), ("with", "fallback", "to"), ("fall", "back", "to"), ("then",), ("or",))

Phrases = Mapping[tuple[str, ...], tuple[str, object]]  # field and value, by words


class SpokenRule(msgspec.Struct, frozen=True, kw_only=True):
    """One clause as it was understood; `is_default`: it is for everything else, `is_guard`: for nothing but these."""

    said: str
    when: dict[str, object]
    candidates: tuple[str, ...]
    strategy: Strategy
    is_default: bool = False
    is_guard: bool = False


class PolicyDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A policy with what was said worked in, for review."""

    document: msgspec.Raw
    diff: str  # of both in YAML, as `diff -u` writes it
    understood: tuple[SpokenRule, ...]
    not_understood: tuple[str, ...]


def write_policy(text: str, document: bytes, known_models: Collection[str]) -> PolicyDraft:
    """Work plain words into a policy's document, which must hold."""
    tasks = json.loads(document).get("keywords", {})
    rules, problems = read_clauses(text, known_models, tasks)
    written = _without_idle(_worked_in(json.loads(document), rules))
    before, after = yaml_of(document).splitlines(), yaml_of(written).splitlines()
    diff = "\n".join(difflib.unified_diff(before, after, "in force", "draft", lineterm=""))
    return PolicyDraft(
        document=msgspec.Raw(written), diff=diff, understood=tuple(rules), not_understood=tuple(problems)
    )


def read_clauses(
    text: str, known_models: Collection[str], own_tasks: Iterable[str] = ()
) -> tuple[list[SpokenRule], list[str]]:
    """Read clauses such as `… to MODEL` and `use MODEL for …`; also give what was not understood."""
    reader = _ClauseReader(known_models, _phrases(own_tasks))
    for sentence in _sentences(text[:TEXT_CHARACTERS_MAX]):
        words, start = words_of(sentence), 0
        while start < len(words):
            start = reader.read(words, start)
    if len(text) > TEXT_CHARACTERS_MAX:
        reader.problems.append(f"what stands behind the first {TEXT_CHARACTERS_MAX:,} characters was not read")
    return reader.rules, reader.problems


class _ClauseReader:
    """Reads one clause after the other and keeps what it understood and what not."""

    def __init__(self, known_models: Collection[str], phrases: Phrases) -> None:
        self.rules: list[SpokenRule] = []
        self.problems: list[str] = []
        self._known = known_models
        self._phrases = phrases

    def read(self, words: Sequence[str], start: int) -> int:
        """Read the clause that begins at a word, and give where the next begins."""
        while start < len(words) and words[start] in _JOINTS:
            start += 1
        if start == len(words):
            return start
        found = self._use_for(words, start) or self._to(words, start)
        if found is None:
            self.problems.append(f"'{' '.join(words[start:])}': no model is named that exists here")
            return len(words)
        subject, target, end = found
        said = " ".join(words[start:end])
        opening = words[start : start + 3]
        if "never" in opening or "not" in opening:
            self.problems.append(f"'{said}': say which models may, as in 'only use MODEL for …'")
        else:
            self._add(said, subject, target, is_guard="only" in opening or opening[0] in _HOLDING)
        return end

    def _use_for(self, words: Sequence[str], start: int) -> tuple[Sequence[str], Mention, int] | None:
        """Read `use MODEL for SUBJECT`."""
        verb = next((at for at in range(start, min(start + 3, len(words))) if words[at] == "use"), None)
        target = None if verb is None else self._mention(words, verb + 1)
        if target is None or words[target.end : target.end + 1] != ["for"]:
            return None
        end = _end_of_subject(words, target.end + 1)
        return words[target.end + 1 : end], target, end

    def _to(self, words: Sequence[str], start: int) -> tuple[Sequence[str], Mention, int] | None:
        """Read `SUBJECT to MODEL`."""
        for at in range(start + 1, len(words)):
            if words[at] in _TOWARDS and (target := self._mention(words, at + 1)) is not None:
                return words[start:at], target, target.end
        return None

    def _mention(self, words: Sequence[str], start: int) -> Mention | None:
        """Find models with what is named behind them: "…, then MODEL", "or MODEL", "falling back to MODEL"."""
        mention = find_mention(words, start, self._known)
        while mention is not None:
            end = mention.end
            joint = next((joint for joint in _FALLBACKS if tuple(words[end : end + len(joint)]) == joint), None)
            more = None if joint is None else find_mention(words, end + len(joint), self._known)
            if more is None:
                return mention
            added = tuple(name for name in more.candidates if name not in mention.candidates)
            mention = Mention((*mention.candidates, *added), mention.strategy, more.end)
        return None

    def _add(self, said: str, subject: Sequence[str], target: Mention, *, is_guard: bool) -> None:
        content = [word for word in subject if word not in VERBS and word != "only"]
        found, unknown = ([], []) if " ".join(content) in EVERYTHING_ELSE else _meanings(content, self._phrases)
        if unknown:
            listed = ", ".join(f"'{word}'" for word in unknown)
            what = f"{listed} is no task, domain, language or sensitivity; for a tag say 'tagged …'"
            self.problems.append(f"'{said}': {what}")
            return
        if not found and not _ALL & {*content}:
            self.problems.append(f"'{said}': it is not said which requests are meant")
            return
        self.rules.append(
            SpokenRule(
                said=said,
                when=_condition(found),
                candidates=target.candidates,
                strategy=target.strategy or Strategy.ORDERED,
                is_default=not found and not is_guard,
                is_guard=is_guard,
            )
        )


def _end_of_subject(words: Sequence[str], start: int) -> int:
    """Find where the subject of `use MODEL for …` ends: at the next verb behind a joint."""
    for place in range(start, len(words) - 1):
        if words[place] in _JOINTS and words[place + 1] in VERBS:
            return place
    return len(words)


def _meanings(words: Sequence[str], phrases: Phrases) -> tuple[list[tuple[str, object]], list[str]]:
    """Look phrases up, the longest first; give what they compare, and the words that mean nothing here."""
    found: list[tuple[str, object]] = []
    unknown: list[str] = []
    place = 0
    while place < len(words):
        if words[place] in {"tagged", "tag"} and place + 1 < len(words):
            found.append(("tags", words[place + 1]))
            place += 2
            continue
        for length in range(min(PHRASE_WORDS_MAX, len(words) - place), 0, -1):
            meaning = phrases.get(tuple(map(_singular, words[place : place + length])))
            if meaning is not None:
                found.append(meaning)
                place += length
                break
        else:
            if words[place] not in FILLERS:
                unknown.append(words[place])
            place += 1
    return found, unknown


def _condition(found: Sequence[tuple[str, object]]) -> dict[str, object]:
    """Join meanings: of one field any may hold, of several fields all must."""
    by_field: dict[str, list[object]] = {}
    for field, value in found:
        values = by_field.setdefault(field, [])
        if value not in values:
            values.append(value)
    return {field: values[0] if len(values) == 1 else {"in": values} for field, values in by_field.items()}


def _phrases(own_tasks: Iterable[str]) -> Phrases:
    phrases: dict[tuple[str, ...], tuple[str, object]] = {
        ("long",): ("input_tokens", {">": spoken_words.LONG_INPUT_TOKENS}),
        ("short",): ("input_tokens", {"<": spoken_words.SHORT_INPUT_TOKENS}),
        ("image",): ("has_images", True),
        ("picture",): ("has_images", True),
        ("tool",): ("has_tools", True),
    }
    rows: tuple[tuple[str, Mapping[str, str]], ...] = (
        ("task", {str(task): words for task, words in spoken_words.TASK_WORDS.items()}),
        ("domain", {str(domain): words for domain, words in spoken_words.DOMAIN_WORDS.items()}),
        ("language", spoken_words.LANGUAGE_WORDS),
        ("sensitivity", {str(flag): words for flag, words in spoken_words.SENSITIVITY_WORDS.items()}),
        ("task", {task: task for task in own_tasks}),
    )
    for field, meanings in rows:
        for value, words in meanings.items():
            for phrase in (*words.split(","), value):
                phrases[tuple(map(_singular, words_of(phrase)))] = (field, value)
    return phrases


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def _sentences(text: str) -> list[str]:
    sentences = [""]
    for place, character in enumerate(text):
        is_point = character == "." and text[place + 1 : place + 2].isalnum()
        if character in _SENTENCE_ENDS and not is_point:
            sentences.append("")
        else:
            sentences[-1] += character
    return [sentence for sentence in sentences if sentence.strip()]


def _worked_in(policy: dict[str, object], rules: Sequence[SpokenRule]) -> dict[str, object]:
    """Put new rules before those that stand, so that they decide; a rule or guard of the same name is replaced."""
    rules = list({rule.said[:NAME_CHARACTERS_MAX]: rule for rule in rules}.values())
    added = [_rule(rule) for rule in rules if not rule.is_default and not rule.is_guard]
    guards = [_guard(rule) for rule in rules if rule.is_guard]
    names = {rule["name"] for rule in (*added, *guards)}
    conditions = [rule["when"] for rule in added]
    kept = [
        rule
        for rule in _listed(policy.get("rules"))
        if rule.get("name") not in names and rule.get("when") not in conditions
    ]
    policy["rules"] = [*added, *kept]
    if guards:
        policy["guards"] = [*(guard for guard in _listed(policy.get("guards")) if guard["name"] not in names), *guards]
    for rule in rules:
        if rule.is_default:
            policy["default"] = {"candidates": list(rule.candidates), "strategy": rule.strategy}
    return policy


def _without_idle(policy: dict[str, object]) -> bytes:
    """Leave out rules to which the new ones before them leave nothing."""
    while True:
        written = json.dumps(policy, ensure_ascii=False, indent=2).encode()
        _, problems = read_policy(written)
        idle = [int(found[1]) for found in map(_NEVER_REACHED.match, problems) if found]
        if not idle:
            return written
        policy["rules"] = [rule for place, rule in enumerate(_listed(policy["rules"])) if place not in idle]


def _listed(written: object) -> list[dict[str, object]]:
    return [each for each in written if isinstance(each, dict)] if isinstance(written, list) else []


def _rule(rule: SpokenRule) -> dict[str, object]:
    then = {"candidates": list(rule.candidates), "strategy": rule.strategy}
    return {"name": rule.said[:NAME_CHARACTERS_MAX], "when": rule.when, "then": then}


def _guard(rule: SpokenRule) -> dict[str, object]:
    return {"name": rule.said[:NAME_CHARACTERS_MAX], "when": rule.when, "candidates": list(rule.candidates)}
