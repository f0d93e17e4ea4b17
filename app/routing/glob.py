"""Globs over model names, tags and text: `*` stands for any run of characters, nothing else is special.

Used by policies and conditions. A match is a chain of plain searches from left to right, so that no
pattern makes it backtrack.
"""

from collections.abc import Callable


def is_glob(pattern: str) -> bool:
    """Tell whether a pattern can match more than itself."""
    return "*" in pattern


def compile_glob(pattern: str) -> Callable[[str], bool]:
    """Make the test of a pattern; it reads each character of the text at most once per part."""
    if not is_glob(pattern):
        return pattern.__eq__
    first, *middle, last = pattern.split("*")
    middle = [part for part in middle if part]
    if not middle:
        if not first and not last:
            return _always
        shortest = len(first) + len(last)
        return lambda text: len(text) >= shortest and text.startswith(first) and text.endswith(last)
    return lambda text: _matches(text, first, middle, last)


def _matches(text: str, first: str, middle: list[str], last: str) -> bool:
    end = len(text) - len(last)
    if end < len(first) or not text.startswith(first) or not text.endswith(last):
        return False
    at = len(first)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _always(_text: str) -> bool:
    return True
