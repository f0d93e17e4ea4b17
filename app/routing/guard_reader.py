"""Reads what a policy requires of candidates: a choice's `require`, and the guards. Called by `policy_reader`.

Invariant: a guard that would hold nothing back is a problem, not a guard.
"""

from enum import StrEnum
from typing import Final, TypeVar

from app.routing.assurance import NOTHING_REQUIRED, Region, Requirements
from app.routing.candidate_reader import read_candidates
from app.routing.condition_reader import ConditionReader
from app.routing.conditions import ALWAYS
from app.routing.policy_document import GuardDocument
from app.routing.taxonomy import Domain
from app.routing.written_parts import WrittenParts

GUARDS_MAX: Final = 32
# They read texts whole, and a text may have megabytes.
SEARCHES_MAX: Final = 20  # of all guards
WORDS_MAX: Final = 32

_REQUIRE_KEYS: Final = ("regions", "zero_retention", "baa", "certified_for")
_GUARD_KEYS: Final = ("name", "when", "candidates", "require")

Word = TypeVar("Word", bound=StrEnum)


def read_requirements(parts: WrittenParts, path: str, written: object) -> Requirements:
    """Read a `require`."""
    keys = parts.record(path, written, _REQUIRE_KEYS, required=())
    required = Requirements(
        regions=_words(parts, f"{path}.regions", keys.get("regions"), Region, "regions"),
        zero_retention=parts.boolean(f"{path}.zero_retention", keys.get("zero_retention", False)),
        baa=parts.boolean(f"{path}.baa", keys.get("baa", False)),
        certified_for=_words(parts, f"{path}.certified_for", keys.get("certified_for"), Domain, "domains"),
    )
    if isinstance(written, dict) and required == NOTHING_REQUIRED:
        parts.problem(path, "requires nothing; name regions, zero_retention, baa or certified_for")
    return required


def read_guards(parts: WrittenParts, conditions: ConditionReader, written: object) -> tuple[GuardDocument, ...]:
    """Read a policy's guards."""
    entries = parts.items("guards", written, GUARDS_MAX, "guards", may_be_empty=True)
    before = conditions.searches
    guards = tuple(_guard(parts, conditions, path, item) for path, item in entries)
    if (searches := conditions.searches - before) > SEARCHES_MAX:
        parts.problem("guards", f"look through texts {searches} times; guards may do so {SEARCHES_MAX} times together")
    parts.no_repeats("guards", [guard.name for guard in guards])
    return guards


def _guard(parts: WrittenParts, conditions: ConditionReader, path: str, written: object) -> GuardDocument:
    keys = parts.record(path, written, _GUARD_KEYS, required=("name",))
    if isinstance(written, dict) and not {"candidates", "require"} & keys.keys():
        parts.problem(path, "holds nothing back; write the approved candidates, or what to require of them")
    return GuardDocument(
        name=parts.text(f"{path}.name", keys["name"]) if "name" in keys else "",
        when=conditions.read(f"{path}.when", keys["when"]) if "when" in keys else ALWAYS,
        candidates=read_candidates(parts, f"{path}.candidates", keys["candidates"]) if "candidates" in keys else (),
        require=read_requirements(parts, f"{path}.require", keys["require"]) if "require" in keys else NOTHING_REQUIRED,
    )


def _words(parts: WrittenParts, path: str, written: object, known: type[Word], what: str) -> frozenset[Word]:
    if written is None:
        return frozenset()
    words = [parts.one_of(at, word, known) for at, word in parts.items(path, written, WORDS_MAX, what)]
    return frozenset(word for word in words if word is not None)
