"""Reads a policy's answer tables. Called by `policy_reader`."""

from typing import Final

from app.routing.condition_reader import ConditionReader
from app.routing.conditions import ALWAYS
from app.routing.policy_document import AnswerDocument
from app.routing.written_parts import WrittenParts

TABLES_MAX: Final = 50
ENTRIES_MAX: Final = 200  # a table
SAY_CHARACTERS_MAX: Final = 8_000

_KEYS: Final = ("name", "when", "say")


def read_answers(
    parts: WrittenParts, conditions: ConditionReader, written: object
) -> dict[str, tuple[AnswerDocument, ...]]:
    """Read tables by name."""
    tables = parts.mapping("answers", written)
    if len(tables) > TABLES_MAX:
        parts.problem("answers", f"{len(tables)} tables; a policy may have {TABLES_MAX}")
    return {name: _table(parts, conditions, name, entries) for name, entries in tables.items()}


def _table(parts: WrittenParts, conditions: ConditionReader, name: str, written: object) -> tuple[AnswerDocument, ...]:
    path = f"answers.{name}"
    parts.text(path, name)
    if "/" in name or "*" in name:
        parts.problem(path, f"'{name}' cannot be named as 'answers/…'; leave out '/' and '*'")
    entries = tuple(
        _entry(parts, conditions, at, item) for at, item in parts.items(path, written, ENTRIES_MAX, "entries")
    )
    parts.no_repeats(path, [entry.name for entry in entries])
    return entries


def _entry(parts: WrittenParts, conditions: ConditionReader, path: str, written: object) -> AnswerDocument:
    keys = parts.record(path, written, _KEYS, required=("name", "say"))
    return AnswerDocument(
        name=parts.text(f"{path}.name", keys["name"]) if "name" in keys else "",
        when=conditions.read(f"{path}.when", keys["when"]) if "when" in keys else ALWAYS,
        say=parts.text(f"{path}.say", keys["say"], length_max=SAY_CHARACTERS_MAX) if "say" in keys else "",
    )
