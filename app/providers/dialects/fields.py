"""JSON objects whose fields stay bytes: how every dialect reads what it passes on, and writes amounts into it. Pure.

Decoders are made once, here and in each dialect: to make one takes longer than to read a small answer. Invariant:
a field that is not understood keeps its bytes.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from app.providers.dialects.values import Cost, usd
from app.providers.errors import BodyInvalid
from billing import Usage

Fields = dict[str, msgspec.Raw]
# By field: the words that it may hold, and what to do instead of another.
WordRows = Mapping[str, tuple[tuple[str, ...], str]]

NULL: Final = msgspec.Raw(b"null")
_COST: Final = "cost"
# A count of tokens beyond this is a mistake or a lie; it also keeps every product inside 64 bits.
TOKENS_MAX: Final = 100_000_000
# All that a decoder raises for bytes that are not what it expects.
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

encode: Final = msgspec.json.Encoder().encode
decode_fields: Final = msgspec.json.Decoder(Fields).decode
decode_fields_or_null: Final[Callable[[bytes | msgspec.Raw], Fields | None]] = msgspec.json.Decoder(
    Fields | None
).decode
_decode_word: Final = msgspec.json.Decoder(str).decode


def not_json(raw: bytes, error: Exception) -> BodyInvalid:
    """Say why a caller's body is no JSON that can be read."""
    if isinstance(error, RecursionError):
        return BodyInvalid(None, "The body is nested too deeply.")
    reason = "it is empty" if not raw else str(error) if isinstance(error, msgspec.DecodeError) else "not UTF-8"
    return BodyInvalid(None, f"The body is not valid JSON: {reason}.")


def refused_field(fields: Fields, rows: WordRows) -> tuple[str, str] | None:
    """Find the first field that holds no word of its row, and what to do instead; null is as good as absent."""
    if rows.keys().isdisjoint(fields):
        return None
    for name, (words, remedy) in rows.items():
        if not _is_one_of(fields.get(name, NULL), words):
            return name, remedy
    return None


def encode_amounts(cost: Cost) -> Fields:
    """Write the amounts that are known as fields of a `usage` object."""
    amounts: Fields = {}
    if cost.billed_nano_usd is not None:
        amounts["cost"] = msgspec.Raw(usd(cost.billed_nano_usd))
    if cost.saved_nano_usd is not None:
        amounts["saved"] = msgspec.Raw(usd(cost.saved_nano_usd))
    return amounts


def with_amounts(raw: bytes, usage: Usage, cost: Cost, *, encode_usage: Callable[[Usage], Fields]) -> bytes:
    """Write the amounts into the `usage` of an answer or an event, making one of our own if there was none.

    It is called when the request is settled and must not fail: what cannot be written into passes as it came.
    """
    try:
        fields = decode_fields(raw)
    except UNREADABLE:
        return raw
    counts = _counts_of(fields.get("usage", NULL))
    return encode({**fields, "usage": (counts or encode_usage(usage)) | encode_amounts(cost)})


def without_amounts(raw: bytes) -> bytes:
    """An event whose `usage` tells no amounts but ours. Raises one of UNREADABLE."""
    fields = decode_fields(raw)
    return encode({**fields, "usage": _counts_of(fields.get("usage", NULL))})


def _is_one_of(value: msgspec.Raw, words: tuple[str, ...]) -> bool:
    try:
        return value == NULL or _decode_word(value) in words
    except UNREADABLE:
        return False


def _counts_of(usage: msgspec.Raw) -> Fields:
    try:
        counts = decode_fields_or_null(usage) or {}
    except UNREADABLE:
        return {}
    # A vendor's own amounts (`cost`, `cost_details`, `cost_in_usd_ticks`) are what it charges, not what this
    # caller is billed.
    return {name: count for name, count in counts.items() if _COST not in name and name != "saved"}
