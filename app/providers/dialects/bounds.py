"""What texts, images and templates can cost at most, whoever counts them; each dialect's bound is made of it. Pure.

Invariant: never less than any provider's count, since a request may be answered in another dialect than its
own; only an image counts less where the provider's dialect says its own maximum. A tokenizer makes at most one
token of a byte.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
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
# OpenAI's low detail is 2,833 tokens on gpt-4o-mini; but vendors that speak its dialect resell Claude.
IMAGE_TOKENS_MAX_BY_DETAIL: Final = {"low": CLAUDE_IMAGE_TOKENS_MAX}

# What a letter grows by when its marks are taken off it, at most; the test tries every character of Unicode.
PARTED_BYTES_MAX: Final = 9
WEIGHED_CHARS_MAX: Final = 65_536
_ASCII: Final = bytes(range(128))  # one byte each, whatever is done to them
# Letters and signs of many scripts that NFKC makes no longer, and that are no marks; the test tries each of them.
STEADY: Final = re.compile(
    "[\x80-\xa7\xa9-\xae\xb0-\xb3\xb5-\xb7\xb9-\xbb\xbf-\u013e\u014a-\u01c3"  # Latin
    "\u0386-\u0482\u048a-\u0586\u05d0-\u05ea\u061b-\u064a\u0660-\u066f\u0679-\u06d5"  # Greek to Arabic
    "\u0904-\u093b\u093d-\u094c\u0950\u0960-\u097f\u0e01-\u0e32\u0e3f-\u0e47"  # Devanagari, Thai
    "\u1e00-\u1eff\u2000-\u2032\u2039-\u2044\u20a0-\u20bf\u2190-\u222b\u2500-\u27bf"  # Vietnamese, signs
    "\u3000-\u3029\u3041-\u3096\u30a1-\u30fe\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff5e"  # East Asia
    "\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f900-\U0001f9ff]*"  # emoji
)

# What classification reads of an instruction: its head and its tail.
INSTRUCTION_HEAD_CHARS: Final = 6_000
INSTRUCTION_TAIL_CHARS: Final = 2_000
SYSTEM_CHARS_MAX: Final = 4_000
EARLIER_MAX: Final = 3

BYTES_PER_TOKEN_ESTIMATE: Final = 4
IMAGE_TOKENS_ESTIMATE: Final = 1_000
BYTES_PER_MESSAGE: Final = 12


def text_tokens_max(raw: bytes) -> int:
    """The larger of the JSON's own bytes (never fewer than its text's) and of what its text can grow to by NFKC.

    Some tokenizers normalise before they count: U+FDFA, 3 bytes, becomes 33. Escapes are undone first;
    not by decoding the JSON, which would hide repeated keys that another parser may read.
    """
    # Most bodies hold no backslash, or none in a long payload: one byte is found faster than two.
    has_escapes = b"\\" in raw and b"\\u" in raw
    if not has_escapes and raw.isascii():
        return len(raw)
    text = raw.decode(errors="replace")
    if has_escapes:
        text = text.encode("raw_unicode_escape").decode("raw_unicode_escape", errors="replace")
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", errors="replace")  # joins escaped pairs
    return max(len(raw), nfkc_bytes_max(text))


def nfkc_bytes_max(text: str) -> int:
    """The most bytes that NFKC makes of a text, told by its characters.

    It is not normalised itself: putting a long run of combining marks in order takes quadratic time.
    """
    encoded = text.encode()
    others = encoded.translate(None, delete=_ASCII)
    chars = others.decode()
    if STEADY.fullmatch(chars):
        return len(encoded)
    size, marks, parted = len(encoded) - len(others), 0, 0
    for char, count in Counter(chars).items():
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


def earlier_of(instructions: Sequence[str]) -> tuple[str, ...]:
    """Give the instructions before the last, the newest first, as far as classification reads them."""
    return tuple(map(instruction_of, instructions[-2 : -2 - EARLIER_MAX : -1]))


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
