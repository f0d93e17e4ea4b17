"""Reads a list of candidates: names or globs of `provider/model`. Called for choices and for guards."""

from typing import Final

from app.routing.written_parts import WrittenParts

CANDIDATES_MAX: Final = 100  # a list


def read_candidates(parts: WrittenParts, path: str, written: object) -> tuple[str, ...]:
    """Read a list of candidates."""
    entries = parts.items(path, written, CANDIDATES_MAX, "candidates")
    names = tuple(_model(parts, place, name) for place, name in entries)
    parts.no_repeats(path, names)
    return names


def _model(parts: WrittenParts, path: str, written: object) -> str:
    name = parts.text(path, written)
    if name and "/" not in name and "*" not in name:
        parts.problem(path, f"'{name}' is not a model; write 'provider/model', or a glob such as 'openai/*'")
    return name
