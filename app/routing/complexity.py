"""How much a request asks of a model: named parts from 0 to 1, and one value of them.

Called by `classify` once a request with what was read of the instruction already. A part says one thing that a person
would say of a prompt, so that a route can be explained by it. Invariant: a prompt with more of a part is never rated
simpler, and work is bounded by what `reading` keeps.
"""

import math
from collections.abc import Mapping
from typing import Final

from app.routing.decision import Complexity, Evidence, RequestFacts
from app.routing.reading import Reading
from app.routing.signal_words import words_of
from app.routing.taxonomy import Domain, Task
from app.routing.word_index import WordIndex

LENGTH_CHARACTERS_FULL: Final = 6_000  # of an instruction that is as long as it counts
CONSTRAINTS_FULL: Final = 6
REASONS_FULL: Final = 3
STEPS_FULL: Final = 5
TURNS_FULL: Final = 12
CODE_SYMBOLS_FULL: Final = 4
PART_DIGITS: Final = 2

# How much of what is left to 1 a full part takes.
WEIGHTS: Final[Mapping[str, float]] = {
    "length": 0.35,
    "constraints": 0.4,
    "reasoning": 0.5,
    "code": 0.35,
    "steps": 0.35,
    "depth": 0.35,
    "turns": 0.2,
}
_REASONING_OF_TASK: Final[Mapping[str, float]] = {
    Task.MATH_REASONING: 0.6,
    Task.DATA_ANALYSIS: 0.4,
    Task.PLANNING: 0.4,
    Task.CODE_DEBUGGING: 0.3,
    Task.CODE_GENERATION: 0.2,
}
_CODE_OF_TASK: Final[Mapping[str, float]] = {
    Task.CODE_DEBUGGING: 0.5,
    Task.CODE_GENERATION: 0.4,
    Task.DATA_ANALYSIS: 0.3,
}
_DEPTH_OF_DOMAIN: Final[Mapping[str, float]] = {
    Domain.LEGAL: 0.8,
    Domain.MEDICAL: 0.8,
    Domain.MATH: 0.7,
    Domain.SCIENCE: 0.7,
    Domain.FINANCE: 0.6,
    Domain.DATA: 0.5,
    Domain.SOFTWARE: 0.5,
    Domain.EDUCATION: 0.2,
    Domain.HR: 0.3,
}


def complexity_of(reading: Reading, facts: RequestFacts, *, task: Evidence, domain: Evidence) -> Complexity:
    """Rate a request whose instruction has been read."""
    _, of_words, _ = _INDEX.found_in(ask="", words=reading.words, distinct=reading.distinct)
    constraints, reasons, steps = (len(of_words.get(row, ())) for row in (_CONSTRAINT_ROW, _REASON_ROW, _STEP_ROW))
    lines = _listed_lines(reading.raw) if "\n" in reading.raw else 0
    parts = {
        "length": math.log1p(reading.length / 100) / _LENGTH_FULL,
        "constraints": (constraints + (lines if constraints else 0) + facts.wants_json_schema) / CONSTRAINTS_FULL,
        "reasoning": reasons / REASONS_FULL + _REASONING_OF_TASK.get(task.value, 0.0) * task.confidence,
        "code": _code(reading) / CODE_SYMBOLS_FULL + _CODE_OF_TASK.get(task.value, 0.0) * task.confidence,
        "steps": (steps + lines + facts.has_tools) / STEPS_FULL,
        "depth": _DEPTH_OF_DOMAIN.get(domain.value, 0.0) * domain.confidence,
        "turns": (facts.turns - 1) / TURNS_FULL,
    }
    left = 1.0
    for name, part in parts.items():
        parts[name] = min(1.0, round(part, PART_DIGITS))
        left *= 1 - WEIGHTS[name] * parts[name]
    return Complexity(value=round(1 - left, PART_DIGITS), **parts)


def _code(reading: Reading) -> int:
    """Count what tells code of some size: its signs, a fence, and lines that end as statements do."""
    raw = reading.raw
    if not reading.has_symbols:
        return 0
    return ("```" in raw) + (raw.count(";\n") + raw.count("{\n") + raw.count(":\n    ") > 1) + ("import " in raw)


def _listed_lines(raw: str) -> int:
    """Count the lines of a list."""
    return sum([line[:2] in _BULLETS or (line[:1].isdecimal() and line[1:3] in _NUMBERED) for line in raw.split("\n")])


_BULLETS: Final = frozenset({"- ", "* ", "• "})
_NUMBERED: Final = frozenset({". ", ") ", "、"})
_LENGTH_FULL: Final = math.log1p(LENGTH_CHARACTERS_FULL / 100)
_CONSTRAINT_ROW, _REASON_ROW, _STEP_ROW = range(3)
_INDEX: Final = WordIndex(
    of_ask=(),
    of_words=tuple((row, words_of(group)) for row, group in enumerate(("constraint", "reason", "step"))),
    of_domains=(),
)
