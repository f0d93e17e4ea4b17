"""What texts, images and templates can cost at most, whoever counts them; each dialect's bound is made of it. Pure.

Invariant: never less than any provider's count, since a request may be answered in another dialect than its
own. A tokenizer makes at most one token of a byte.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

# A chat template's own tokens, beyond the JSON syntax that is counted already.
TEMPLATE_TOKENS: Final = 64
# What is put in front of a request with tools or a schema: 804 tokens at most, on Claude Opus 4.7 (Anthropic, "Tool
# use with Claude", 2026-09).
TOOLS_TEMPLATE_TOKENS: Final = 1_024

# The dearest image in tokens: gpt-4o-mini, 2,833 + 5,667 for each of 8 tiles at most (OpenAI's vision guide).
IMAGE_TOKENS_MAX: Final = 48_169
# Claude since 4.7: 92 x 52 patches of 28 x 28 pixels; it knows no detail (Anthropic's vision guide, 2026-09).
CLAUDE_IMAGE_TOKENS_MAX: Final = 4_784
# OpenAI's low detail is 2,833 tokens on gpt-4o-mini.
IMAGE_TOKENS_MAX_BY_DETAIL: Final = {"low": CLAUDE_IMAGE_TOKENS_MAX}

# What a letter grows by when its marks are taken off it, at most; the test tries every character of Unicode.
PARTED_BYTES_MAX: Final = 9
WEIGHED_CHARS_MAX: Final = 65_536

# What classification reads of an instruction: its head and its tail.
INSTRUCTION_HEAD_CHARS: Final = 6_000
INSTRUCTION_TAIL_CHARS: Final = 2_000
SYSTEM_CHARS_MAX: Final = 4_000

BYTES_PER_TOKEN_ESTIMATE: Final = 4
IMAGE_TOKENS_ESTIMATE: Final = 1_000
BYTES_PER_MESSAGE: Final = 12


def text_tokens_max(raw: bytes) -> int:
    """The larger of the JSON's own bytes (never fewer than its text's) and of what its text can grow to by NFKC.

    Some tokenizers normalise before they count: U+FDFA, 3 bytes, becomes 33. Escapes are undone first;
    not by decoding the JSON, which would hide repeated keys that another parser may read.
    """
    if raw.isascii() and b"\\u" not in raw:
        return len(raw)
    text = raw.decode(errors="replace").encode("raw_unicode_escape").decode("raw_unicode_escape", errors="replace")
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", errors="replace")  # joins escaped pairs
    return max(len(raw), nfkc_bytes_max(text))


def nfkc_bytes_max(text: str) -> int:
    """The most bytes that NFKC makes of a text, told by its characters.

    It is not normalised itself: putting a long run of combining marks in order takes quadratic time.
    """
    size = marks = parted = 0
    for char, count in Counter(text).items():
        weight = _weight_of(char)
        size += weight.nfkc_bytes * count
        marks += count if weight.is_mark else 0
        parted += count if weight.may_part else 0
    # A mark that comes between a composed letter and one of its own keeps them apart.
    return size + PARTED_BYTES_MAX * min(marks, parted)


def payload_bytes(payload: str) -> int:
    """How many bytes of the JSON a medium's payload takes for certain, to be counted by a table instead."""
    # Only an ASCII payload is taken out: the JSON's bytes hold it at least at its full length.
    return len(payload) if payload.isascii() else 0


def instruction_of(text: str) -> str:
    """Cut an instruction to what classification reads."""
    if len(text) <= INSTRUCTION_HEAD_CHARS + INSTRUCTION_TAIL_CHARS:
        return text
    return text[:INSTRUCTION_HEAD_CHARS] + "\n…\n" + text[-INSTRUCTION_TAIL_CHARS:]


def system_of(texts: Iterable[str]) -> str:
    """Join the system's texts and cut them to what classification reads."""
    return "\n".join(texts)[:SYSTEM_CHARS_MAX]


class _Weight(NamedTuple):
    nfkc_bytes: int
    is_mark: bool
    may_part: bool


@lru_cache(maxsize=WEIGHED_CHARS_MAX)
def _weight_of(char: str) -> _Weight:
    composed, apart = unicodedata.normalize("NFKC", char), unicodedata.normalize("NFKD", char)
    size = len(composed.encode())
    return _Weight(size, unicodedata.combining(apart[0]) > 0, len(apart.encode()) > size)
