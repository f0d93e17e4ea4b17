"""The words by which signals are told, as rows of `signal_words.json`: a group, and its words by language.

Read by `sensitivity`, `complexity`, `rag` and `follow_up`. The rows were written by hand for breadth over languages,
`any` standing for words of several. Invariant: a group that code names is there, or the program does not start.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

WORDS_FILE: Final = Path(__file__).with_name("signal_words.json")


def words_of(group: str) -> tuple[str, ...]:
    """Give the words of a group in all languages."""
    return tuple(word for words in _ROWS[group].values() for word in words)


_ROWS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = msgspec.json.decode(
    WORDS_FILE.read_bytes(), type=dict[str, dict[str, list[str]]]
)
