"""Reads what the request headers of DESIGN say of a call: tags, metadata, policy, limits.

Every value is bounded; what does not hold is refused with the header's name, never ignored.
"""

from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from app.gateway.call import Hints
from app.gateway.errors import HeaderInvalid
from app.http.asgi import RequestHeaders, header

METADATA_PAIRS_MAX: Final = 20
METADATA_KEY_CHARS_MAX: Final = 64
METADATA_VALUE_CHARS_MAX: Final = 256
TAGS_MAX: Final = 20
TAG_CHARS_MAX: Final = 64
REQUEST_ID_CHARS_MAX: Final = 128
IDEMPOTENCY_KEY_CHARS_MAX: Final = 255
SESSION_CHARS_MAX: Final = 256
COST_USD_MAX: Final = Decimal(1_000_000)
NANO_PER_USD: Final = 1_000_000_000

_NO_HINTS: Final = Hints()
# Most requests have none of them, which one look at the names tells.
_OURS: Final = frozenset(
    b"x-signalbox-" + name for name in (b"tags", b"metadata", b"policy", b"session", b"max-cost", b"no-fallback")
)


def read_hints(headers: RequestHeaders) -> Hints:
    """The hints of a request. Raises HeaderInvalid."""
    if b"x-request-id" in headers and client_request_id(headers) is None:
        raise HeaderInvalid("x-request-id", f"printable ASCII of at most {REQUEST_ID_CHARS_MAX} characters")
    if b"idempotency-key" in headers and idempotency_key(headers) is None:
        raise HeaderInvalid("idempotency-key", f"1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters of printable ASCII")
    if _OURS.isdisjoint(headers):
        return _NO_HINTS
    return Hints(
        tags=_tags(header(headers, b"x-signalbox-tags")),
        metadata=_metadata(header(headers, b"x-signalbox-metadata")),
        policy_name=header(headers, b"x-signalbox-policy"),
        session=_session(header(headers, b"x-signalbox-session")),
        cost_nano_usd_max=_cost(header(headers, b"x-signalbox-max-cost")),
        no_fallback=_flag(header(headers, b"x-signalbox-no-fallback")),
    )


def client_request_id(headers: RequestHeaders) -> str | None:
    """The client's own id for the request. None also when it does not hold, which `read_hints` refuses."""
    value = header(headers, b"x-request-id")
    if value is None or len(value) > REQUEST_ID_CHARS_MAX or not value.isascii() or not value.isprintable():
        return None
    return value


def idempotency_key(headers: RequestHeaders) -> bytes | None:
    """The key under which a request is done once. None also when it does not hold, which `read_hints` refuses."""
    value = headers.get(b"idempotency-key")
    if not value or len(value) > IDEMPOTENCY_KEY_CHARS_MAX or not value.isascii() or not value.decode().isprintable():
        return None
    return value


def _tags(value: str | None) -> tuple[str, ...]:
    tags = tuple(tag for part in (value or "").split(",") if (tag := part.strip()))
    if len(tags) > TAGS_MAX or any(len(tag) > TAG_CHARS_MAX for tag in tags):
        raise HeaderInvalid("x-signalbox-tags", f"at most {TAGS_MAX} tags of at most {TAG_CHARS_MAX} characters")
    return tags


def _metadata(value: str | None) -> dict[str, str]:
    if value is None:
        return {}
    expected = (
        f"a JSON object of at most {METADATA_PAIRS_MAX} strings, keys of at most {METADATA_KEY_CHARS_MAX} "
        f"and values of at most {METADATA_VALUE_CHARS_MAX} characters"
    )
    try:
        pairs = msgspec.json.decode(value.encode("latin-1"), type=dict[str, str])
    except msgspec.MsgspecError:
        raise HeaderInvalid("x-signalbox-metadata", expected) from None
    is_long = any(len(k) > METADATA_KEY_CHARS_MAX or len(v) > METADATA_VALUE_CHARS_MAX for k, v in pairs.items())
    if len(pairs) > METADATA_PAIRS_MAX or is_long:
        raise HeaderInvalid("x-signalbox-metadata", expected)
    return pairs


def _session(value: str | None) -> str | None:
    session = (value or "").strip()
    if len(session) > SESSION_CHARS_MAX:
        raise HeaderInvalid("x-signalbox-session", f"at most {SESSION_CHARS_MAX} characters")
    return session or None


def _cost(value: str | None) -> int | None:
    if value is None:
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if amount.is_nan() or not 0 <= amount <= COST_USD_MAX:
        raise HeaderInvalid("x-signalbox-max-cost", "an amount in USD such as 0.01")
    return int(amount * NANO_PER_USD)


def _flag(value: str | None) -> bool:
    match (value or "").strip().lower():
        case "" | "0" | "false":
            return False
        case "1" | "true":
            return True
        case _:
            raise HeaderInvalid("x-signalbox-no-fallback", "'true' or 'false'")
