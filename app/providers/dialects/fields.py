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
    amounts = {"cost": cost.billed_nano_usd, "saved": cost.saved_nano_usd}
    return {name: msgspec.Raw(usd(nano_usd)) for name, nano_usd in amounts.items() if nano_usd is not None}


def with_amounts(raw: bytes, usage: Usage, cost: Cost, *, encode_usage: Callable[[Usage], Fields]) -> bytes:
    """Write the amounts into the `usage` of an answer or an event, making one of our own if there was none.

    It is called when the request is settled and must not fail: what cannot be written into passes as it came.
    """
    try:
        fields = decode_fields(raw)
    except UNREADABLE:
        return raw
    given = bytes(fields.get("usage", NULL))
    if _can_be_added_to(given):
        fields["usage"] = msgspec.Raw(given[:-1] + _members(cost) + b"}")
    else:
        fields["usage"] = msgspec.Raw(encode((_counts_of(given) or encode_usage(usage)) | encode_amounts(cost)))
    return encode(fields)


def _is_one_of(value: msgspec.Raw, words: tuple[str, ...]) -> bool:
    try:
        return value == NULL or _decode_word(value) in words
    except UNREADABLE:
        return False


def _can_be_added_to(usage: bytes) -> bool:
    """Whether amounts may be put before the last brace: an object that has members, and surely none of their names."""
    return (
        usage.startswith(b"{")
        and b":" in usage
        and usage.isascii()
        and b"\\" not in usage
        and b'"cost"' not in usage
        and b'"saved"' not in usage
    )


def _members(cost: Cost) -> bytes:
    billed = b"" if cost.billed_nano_usd is None else b',"cost":' + usd(cost.billed_nano_usd)
    return billed if cost.saved_nano_usd is None else billed + b',"saved":' + usd(cost.saved_nano_usd)


def _counts_of(usage: bytes) -> Fields:
    """What a vendor counted, without its own amounts: they are what it charges, not what this caller is billed."""
    try:
        counts = decode_fields_or_null(usage) or {}
    except UNREADABLE:
        return {}
    return {name: count for name, count in counts.items() if name not in ("cost", "saved")}
