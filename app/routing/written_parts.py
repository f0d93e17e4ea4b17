"""What a written document is read with: objects, lists, texts, numbers, and every problem with its path.

Used by the readers of policies, choices and conditions. Invariant: a method returns a value of its type even where
it noted a problem, so that all problems are found at once; with a problem the document is not used.
"""

import difflib
from collections.abc import Collection, Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

TEXT_CHARACTERS_MAX: Final = 200

Word = TypeVar("Word", bound=StrEnum)


class WrittenParts:
    """Reads parts of one document and keeps its problems."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def problem(self, path: str, what: str) -> None:
        """Note a problem; a document's own has no path."""
        self.problems.append(f"{path}: {what}" if path else what)

    def record(self, path: str, written: object, keys: tuple[str, ...], required: tuple[str, ...]) -> dict[str, object]:
        """Read an object that has no other keys than these."""
        found = self.mapping(path, written)
        prefix = f"{path}." if path else ""
        for key in found:
            if key not in keys:
                self.problem(f"{prefix}{key}", f"no such key{nearest(key, keys)}")
        if isinstance(written, dict):
            for key in required:
                if key not in found:
                    self.problem(f"{prefix}{key}", "is missing")
        return found

    def mapping(self, path: str, written: object) -> dict[str, object]:
        """Read an object."""
        if isinstance(written, dict):
            return written
        self.problem(path or "the policy", f"must be an object, not {kind_of(written)}")
        return {}

    def items(
        self, path: str, written: object, count_max: int, what: str, *, may_be_empty: bool = False
    ) -> list[tuple[str, object]]:
        """Read a list; its items come with their paths."""
        if not isinstance(written, list):
            self.problem(path, f"must be a list of {what}, not {kind_of(written)}")
            return []
        if not written and not may_be_empty:
            self.problem(path, f"is empty; name at least one of its {what}")
        if len(written) > count_max:
            self.problem(path, f"has {len(written)} {what}; at most {count_max} are allowed")
        return [(f"{path}[{place}]", item) for place, item in enumerate(written[:count_max])]

    def text(
        self, path: str, written: object, *, may_be_empty: bool = False, length_max: int = TEXT_CHARACTERS_MAX
    ) -> str:
        """Read a text."""
        if not isinstance(written, str):
            self.problem(path, f"must be a text, not {kind_of(written)}")
            return ""
        if not written.strip() and not may_be_empty:
            self.problem(path, "is empty")
        if len(written) > length_max:
            self.problem(path, f"has {len(written)} characters; at most {length_max} are allowed")
        return written

    def number(self, path: str, written: object, least: float, most: float) -> Decimal | int | None:
        """Read a number, exact; null is None."""
        if written is None:
            return None
        if isinstance(written, bool) or not isinstance(written, int | Decimal):
            self.problem(path, f"must be a number, not {kind_of(written)}")
            return None
        if not least <= written <= most:
            self.problem(path, f"must lie between {least} and {most}, not {written}")
            return None
        return written

    def boolean(self, path: str, written: object) -> bool:
        """Read true or false."""
        if not isinstance(written, bool):
            self.problem(path, f"must be true or false, not {kind_of(written)}")
        return written is True

    def one_of(self, path: str, written: object, known: type[Word]) -> Word | None:
        """Read one word of a closed set; None where it is none of them."""
        if isinstance(written, str) and written in set(known):
            return known(written)
        shown = f"'{written}'" if isinstance(written, str) else kind_of(written)
        self.problem(path, f"must be one of {', '.join(known)}, not {shown}")
        return None

    def no_repeats(self, path: str, values: Collection[object]) -> None:
        """Note each value that stands twice."""
        seen: set[object] = set()
        for value in values:
            if value in seen:
                self.problem(path, f"'{value}' stands twice")
            seen.add(value)


def nearest(name: str, known: Iterable[str]) -> str:
    """Say what a misspelt name may have meant, or what there is."""
    close = difflib.get_close_matches(name[:TEXT_CHARACTERS_MAX], list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known are {', '.join(sorted(known))}"


def kind_of(written: object) -> str:
    """Name what was written."""
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
