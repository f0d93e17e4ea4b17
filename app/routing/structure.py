"""Flags of a prompt's structure: length, lines, code, numbers, quotes, questions, and what the rules vote for.

Called by `features`. Structure is what the ways of asking have in common, so it transfers to prompts of kinds
that nobody has seen. Invariant: each flag has a name and a number, and work is linear in what `reading` keeps.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

import msgspec

from app.routing.concepts import CONCEPTS
from app.routing.keywords import FIRST_SPACELESS
from app.routing.reading import Reading
from app.routing.scoring import Heard
from app.routing.taxonomy import Domain, Task

PASSAGE_CHARACTERS: Final = 60  # after the first paragraph
KIND_MIDDLE_CHARACTERS: Final = 120
KIND_LONG_CHARACTERS: Final = 350
BOUNDS_OF_LENGTH: Final = (20, 40, 70, 120, 200, 350, 600, 1000, 2000, 4000)
BOUNDS_OF_LINES: Final = (0, 1, 3, 8, 20)
BOUNDS_OF_LINE_LENGTH: Final = (20, 60, 150, 400)
BOUNDS_OF_PASSAGE: Final = (0, 60, 200, 600)
BOUNDS_OF_NUMBERS: Final = (0, 1, 2, 4, 8, 16)
BOUNDS_OF_QUOTES: Final = (0, 2, 6)
BOUNDS_OF_COMMAS: Final = (0, 1, 3, 6)
BOUNDS_OF_CODE: Final = (0, 1, 2, 4, 7)
BOUNDS_OF_SYMBOLS: Final = (2, 6, 15, 40)
VOTE_PARTS: Final = 2  # a vote of weight 1 counts so much: weights are halves at the least
LEAD_MAX: Final = 8
DOMAIN_WORDS_MAX: Final = 4

SPACELESS: Final = re.compile(f"[{FIRST_SPACELESS}-\\u0eff\\u2e80-\U0010ffff]")
"""Scripts without spaces between words."""
_DIGITS: Final = re.compile(rb"\d+")
_QUESTION_MARKS: Final = ("?", "？", "؟")
_QUOTES: Final = ('"', "“", "”", "«", "»", "„", "「", "」", "『", "』")
_COMMAS: Final = (",", "，", "、", "،")
_CODE_MARKS: Final = (
    b"def ", b"return ", b"();", b") {", b"};", b"import ", b"public ", b"==", b"=>", b"const ", b"let ", b"func",
    b"class ", b"print(", b"if (", b"->", b"</", b"::",
)  # fmt: skip
_SYMBOLS: Final = b"{}();=<>[]"


class Pattern(msgspec.Struct, frozen=True):
    """A shape that a prompt may hold: one of `parts` stands, and the shape where there is one."""

    name: str
    parts: tuple[bytes, ...]
    shape: re.Pattern[bytes] | None = None


def _pattern(name: str, parts: str, shape: bytes) -> Pattern:
    return Pattern(name, tuple(part.encode() for part in parts), re.compile(shape, re.MULTILINE))


# Shapes begin with what is rare: those that begin with any word cost ten times as much.
_PATTERNS: Final = (
    _pattern("money", "$€£¥", rb"[$\xac\xa3\xa5]\s?\d"),
    _pattern("formula", "\\$", rb"\\[a-z(\[]|\$[^$\s][^$\n]{0,80}\$"),
    _pattern("equation", "=^", rb"[=^]\s?-?[\da-z(]"),
    _pattern("bullets", "\n", rb"\n[ \t]{0,8}(?:[-*]|\xe2\x80\xa2|\d{1,2}[.)])[ \t]"),
    _pattern("label", ":", rb"^[^\W\d]\w{1,15}:\s"),
    _pattern("csv", ",", rb"^(?:[^,\n]{1,40},){2,}[^,\n]{0,40}\n(?:[^,\n]{1,40},){2}"),
    _pattern("table", "|", rb"\|[^|\n]{1,60}\|"),
    _pattern("schema", "(", rb"\((?:\w{1,30}, ){2,}\w{1,30}\)"),
    _pattern("data_file", ".", rb"\.(?:csv|xlsx?|parquet|tsv|db)\b"),
    _pattern("code_file", ".", rb"\.(?:py|js|ts|jsx|tsx|java|cpp|go|rs|sh|rb|php|css)\b"),
    _pattern("choices", ")", rb"[ab]\)[^\n]{1,200}\s\(?[bc]\)"),
    _pattern("long_quote", '"“«「', rb'(?:"|\xe2\x80\x9c|\xc2\xab|\xe3\x80\x8c)[^"\n]{40}'),
    Pattern("query", (b"select ", b" group by ", b"join ", b"create table")),
    Pattern("trace", (b"traceback", b"error:", b"exception", b"panic", b" at line ", b"undefined")),
    Pattern("given", tuple(f"{word}:".encode() for word in (
        "input", "output", "answer", "question", "context", "text", "sentence", "passage", "article", "paragraph",
    ))),
)  # fmt: skip

_BUCKETS: Final = (
    ("length", BOUNDS_OF_LENGTH),
    ("lines", BOUNDS_OF_LINES),
    ("first_line", BOUNDS_OF_LINE_LENGTH),
    ("last_line", BOUNDS_OF_LINE_LENGTH),
    ("passage", BOUNDS_OF_PASSAGE),
    ("numbers", BOUNDS_OF_NUMBERS),
    ("quotes", BOUNDS_OF_QUOTES),
    ("commas", BOUNDS_OF_COMMAS),
    ("code", BOUNDS_OF_CODE),
    ("symbols", BOUNDS_OF_SYMBOLS),
)
_FLAGS: Final = (
    "bias", "asks", "ends_asking", "first_line_asks", "last_line_asks", "ends_with_colon", "ends_with_stop",
    "ends_with_word", "ends_with_quote", "first_line_ends_with_colon", "fence", "docstring", "first_person",
    "exclaims", "emoji", "ascii", "spaceless", "no_vote",
)  # fmt: skip
_TELLING_BY_KIND: Final = ("asks", "ends_asking", "last_line_asks")
_CONCEPT_PLACES: Final = ("any", "head", "tail", "first", "last", "colon")
_KINDS: Final = ("bare_short", "bare_middle", "bare_long", "passage_middle", "passage_long")


def _names() -> Iterator[str]:
    yield from _FLAGS
    yield from (pattern.name for pattern in _PATTERNS)
    yield from (f"{name}:{place}" for name, bounds in _BUCKETS for place in range(len(bounds) + 1))
    yield from (f"{prefix}:{task}" for prefix in ("vote", "lead") for task in Task)
    yield from (f"domain:{domain}" for domain in Domain)
    for kind in _KINDS:
        yield from (f"{kind}:{each}" for each in ("is", *_TELLING_BY_KIND))
        yield from (f"{kind}:vote:{task}" for task in Task)
    for place in _CONCEPT_PLACES:
        yield from (f"concept:{place}:{concept}" for concept in CONCEPTS)


STRUCTURE: Final[tuple[str, ...]] = tuple(_names())
"""The names of the flags of structure; a flag's number is its place."""
_NUMBER_OF: Final = {name: number for number, name in enumerate(STRUCTURE)}
CONCEPT_FLAGS: Final = {place: _NUMBER_OF[f"concept:{place}:{CONCEPTS[0]}"] for place in _CONCEPT_PLACES}
_BUCKET_START: Final = {name: _NUMBER_OF[f"{name}:0"] for name, _ in _BUCKETS}


def flags_of(reading: Reading, heard: Heard, kind: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Give the flags that stand, and those that count for more with how much."""
    raw = reading.raw
    encoded = raw.encode(errors="replace")
    marks = _marks(raw, reading, encoded)
    numbers = [_NUMBER_OF[name] for name in marks]
    numbers += [_NUMBER_OF[pattern.name] for pattern in _PATTERNS if _stands(pattern, encoded)]
    for (name, bounds), size in zip(_BUCKETS, _sizes(raw, reading, encoded), strict=True):
        numbers.append(_BUCKET_START[name] + bisect_left(bounds, size))
    numbers.append(_NUMBER_OF[f"{kind}:is"])
    numbers += [_NUMBER_OF[f"{kind}:{name}"] for name in _TELLING_BY_KIND if name in marks]
    return numbers, list(_votes(heard, kind))


def kind_of(reading: Reading) -> str:
    """Tell how a prompt is laid out: bare or before a passage, and how long."""
    length = reading.length
    if reading.passage_length > PASSAGE_CHARACTERS:
        return "passage_middle" if length < KIND_LONG_CHARACTERS else "passage_long"
    if length < KIND_MIDDLE_CHARACTERS:
        return "bare_short"
    return "bare_middle" if length < KIND_LONG_CHARACTERS else "bare_long"


def _stands(pattern: Pattern, encoded: bytes) -> bool:
    for part in pattern.parts:
        if part in encoded:
            return pattern.shape is None or pattern.shape.search(encoded) is not None
    return False


def _marks(raw: str, reading: Reading, encoded: bytes) -> list[str]:
    first, _, rest = raw.partition("\n")
    last = rest.rpartition("\n")[2]
    end = raw[-1:]
    marks = (
        ("bias", True),
        ("asks", _asks(raw)),
        ("ends_asking", end in _QUESTION_MARKS),
        ("first_line_asks", bool(rest) and _asks(first)),
        ("last_line_asks", bool(rest) and _asks(last)),
        ("ends_with_colon", end in {":", "："}),
        ("ends_with_stop", end in {".", "。", "।"}),
        ("ends_with_word", end.isalnum()),
        ("ends_with_quote", end in _QUOTES),
        ("first_line_ends_with_colon", bool(rest) and first.rstrip()[-1:] in {":", "："}),
        ("fence", b"```" in encoded),
        ("docstring", b'"""' in encoded or b"'''" in encoded),
        ("first_person", " i " in reading.words or " my " in reading.words),
        ("exclaims", "!" in raw),
        ("emoji", b"\xf0\x9f" in encoded),
        ("ascii", len(raw) == len(encoded)),
        ("spaceless", len(raw) != len(encoded) and SPACELESS.search(raw) is not None),
    )
    return [name for name, stands in marks if stands and (name != "ends_asking" or raw)]


def _sizes(raw: str, reading: Reading, encoded: bytes) -> tuple[int, ...]:
    """Measure what the buckets count, in their order."""
    lines = raw.count("\n")
    return (
        reading.length,
        lines,
        raw.find("\n") if lines else 0,
        len(raw) - raw.rfind("\n") - 1 if lines else 0,
        reading.passage_length,
        len(_DIGITS.findall(encoded)),
        sum([raw.count(mark) for mark in (_QUOTES if len(raw) != len(encoded) else _QUOTES[:1])]),
        sum([raw.count(mark) for mark in (_COMMAS if len(raw) != len(encoded) else _COMMAS[:1])]),
        sum([mark in encoded for mark in _CODE_MARKS]),
        len(encoded) - len(encoded.translate(None, _SYMBOLS)),
    )


def _votes(heard: Heard, kind: str) -> Iterator[tuple[int, int]]:
    weights: dict[str, float] = {}
    for vote in heard.votes:
        weights[vote.task] = weights.get(vote.task, 0.0) + vote.weight
    for task, weight in weights.items():
        yield _NUMBER_OF[f"vote:{task}"], round(weight * VOTE_PARTS)
        yield _NUMBER_OF[f"{kind}:vote:{task}"], round(weight * VOTE_PARTS)
    for domain, words in heard.domains.items():
        yield _NUMBER_OF[f"domain:{domain}"], min(DOMAIN_WORDS_MAX, len(words))
    if not weights:
        yield _NUMBER_OF["no_vote"], 1
        return
    first, *others = sorted(weights.items(), key=lambda row: -row[1])
    lead = first[1] - (others[0][1] if others else 0.0)
    yield _NUMBER_OF[f"lead:{first[0]}"], 1 + min(LEAD_MAX, round(lead * VOTE_PARTS))


def _asks(text: str) -> bool:
    return "?" in text or "？" in text or "؟" in text
