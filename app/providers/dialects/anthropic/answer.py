"""What Anthropic answers, whole: its facts, its errors, and our cost written into it. Pure.

Anthropic counts cached input beside the input, we within it; the two are changed into each other here alone.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from app.providers.dialects.completion import Finish
from app.providers.dialects.fields import NULL as NULL  # read from here by the rest of the dialect
from app.providers.dialects.fields import TOKENS_MAX, UNREADABLE, Fields, encode_amounts, with_amounts
from app.providers.dialects.refusals import ErrorRows, identifier, kind_by_rows
from app.providers.dialects.values import Answer, Cost
from app.providers.errors import AnswerMalformed, FailureKind, UpstreamRefused
from billing import Usage

STREAM_STATUS: Final = 200
# Anthropic's prose begins with the field at fault: "messages.0.content: Field required".
_PARAM: Final = re.compile(r"([a-z_]+(?:\.[a-z0-9_]+)*): ")

FINISHES: Final[Mapping[str, Finish]] = MappingProxyType(
    {
        "end_turn": Finish.STOP,
        "stop_sequence": Finish.STOP_SEQUENCE,
        "max_tokens": Finish.LENGTH,
        "tool_use": Finish.TOOL_CALLS,
        "refusal": Finish.REFUSED,
        "model_context_window_exceeded": Finish.CONTEXT_FULL,
        "pause_turn": Finish.PAUSED,
        "compaction": Finish.STOP,
    }
)

# Read top-down, first match wins: (status or None for any, words in type, code or message, kind). The types are those
# of the error page, 2026-11; some causes have no type of their own, and only the prose tells them. Where a status
# blames the request, its prose may repeat the caller's own words: it decides only what concerns this request alone.
_ERROR_ROWS: Final[ErrorRows] = (
    (None, ("prompt is too long", "exceed context limit", "context window"), FailureKind.CONTEXT_EXCEEDED),
    (None, ("request_too_large",), FailureKind.CONTEXT_EXCEEDED),
    (None, ("content filtering policy",), FailureKind.CONTENT_REFUSED),
    (None, ("billing_error", "spend_limit"), FailureKind.OUT_OF_CREDIT),
    (None, ("authentication_error", "permission_error"), FailureKind.AUTH),
    (None, ("rate_limit_error",), FailureKind.RATE_LIMITED),
    (None, ("overloaded_error",), FailureKind.OVERLOADED),
    (None, ("timeout_error",), FailureKind.TIMEOUT),
    (None, ("not_found_error",), FailureKind.MODEL_NOT_FOUND),
    (401, (), FailureKind.AUTH),
    (402, (), FailureKind.OUT_OF_CREDIT),
    (403, (), FailureKind.AUTH),
    (404, (), FailureKind.MODEL_NOT_FOUND),
    (408, (), FailureKind.TIMEOUT),
    (413, (), FailureKind.CONTEXT_EXCEEDED),
    (429, (), FailureKind.RATE_LIMITED),
    (503, (), FailureKind.OVERLOADED),
    (504, (), FailureKind.TIMEOUT),
    (529, (), FailureKind.OVERLOADED),
)


# Anthropic tells of its account in whole sentences; what repeats a caller's words has a field and a colon before it.
_ACCOUNT_PROSE: Final = re.compile(r"your credit balance is too low|you have reached your specified api usage limits")
_FIELD_END: Final = ": "


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class _CacheCreation(msgspec.Struct, omit_defaults=True):
    ephemeral_1h_input_tokens: int | None = None


class UsageShape(msgspec.Struct, omit_defaults=True):
    """Anthropic's `usage` object, of an answer or of a stream's event."""

    input_tokens: int | None = None  # without what was read from or written to the cache
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens_details: _OutputDetails | None = None


class _Whole(msgspec.Struct):
    content: list[msgspec.Raw] | None = None
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


class _Count(msgspec.Struct):
    input_tokens: int


class _Details(msgspec.Struct):
    error_code: str | None = None


class _Error(msgspec.Struct):
    type: str | None = None
    message: str | None = None
    details: _Details | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error


_decode_whole: Final = msgspec.json.Decoder(_Whole).decode
_decode_counts: Final = msgspec.json.Decoder(UsageShape | None).decode


def decode_answer(raw: bytes) -> Answer:
    """Read a whole answer. Raises AnswerMalformed, or UpstreamRefused for an error inside a 200."""
    try:
        whole = _decode_whole(raw)
    except UNREADABLE:
        raise AnswerMalformed("The provider's answer is not a message.") from None
    if whole.error != NULL:
        raise decode_error(STREAM_STATUS, raw)
    if whole.content is None:
        raise AnswerMalformed("The provider's answer holds no content.")
    return Answer(
        usage=decode_usage(whole.usage),
        finish_reason=finish_of(whole.stop_reason),
        response_id=whole.id,
        model=whole.model,
        output_bytes=sum(map(len, whole.content)),
    )


def decode_count(raw: bytes) -> int:
    """Read how many input tokens Anthropic counted. Raises AnswerMalformed."""
    try:
        count = msgspec.json.decode(raw, type=_Count).input_tokens
    except UNREADABLE:
        raise AnswerMalformed("The provider's answer is not a count of tokens.") from None
    if not 0 <= count <= TOKENS_MAX:
        raise AnswerMalformed("The provider's count of tokens makes no sense.")
    return count


def finish_of(stop_reason: str | None) -> str | None:
    """Name a stop reason in our words; one that we do not know keeps its own."""
    return None if stop_reason is None else FINISHES.get(stop_reason, identifier(stop_reason))


def decode_error(status: int, raw: bytes) -> UpstreamRefused:
    """Read Anthropic's error by its status, type and words; its prose is looked at and never kept."""
    error = _error_of(raw)
    code = (error.details and error.details.error_code) or None
    names = " ".join(word for word in (error.type, code) if word).lower()
    kind = _kind(status, names, (error.message or "").lower())
    param = _PARAM.match(error.message or "")
    return UpstreamRefused(kind, status, code=identifier(code or error.type), param=identifier(param and param[1]))


def decode_usage(raw: msgspec.Raw | bytes) -> Usage | None:
    """Read a `usage` object; None when it is absent or makes no sense. Cached input is put inside the input."""
    shape = decode_counts(raw)
    return usage_of(shape) if shape is not None else None


def decode_counts(raw: msgspec.Raw | bytes) -> UsageShape | None:
    """Read a `usage` object as it is, which in a stream may be a part of the whole."""
    try:
        counts: UsageShape | None = _decode_counts(raw)
    except UNREADABLE:
        return None
    return counts


def usage_of(shape: UsageShape) -> Usage | None:
    """Turn Anthropic's counts into ours; None when they make no sense."""
    if shape.input_tokens is None or shape.output_tokens is None:
        return None
    read, written = shape.cache_read_input_tokens or 0, shape.cache_creation_input_tokens or 0
    hour = (shape.cache_creation and shape.cache_creation.ephemeral_1h_input_tokens) or 0
    thinking = (shape.output_tokens_details and shape.output_tokens_details.thinking_tokens) or 0
    counts = (shape.input_tokens, shape.output_tokens, read, written)
    if min(counts) < 0 or max(counts) > TOKENS_MAX:
        return None
    return Usage(
        input_tokens=shape.input_tokens + read + written,
        output_tokens=shape.output_tokens,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        cache_creation_1h_input_tokens=min(max(hour, 0), written),
        reasoning_output_tokens=min(max(thinking, 0), shape.output_tokens),
    )


def with_cost(raw: bytes, usage: Usage, cost: Cost) -> bytes:
    """Write the amounts into the `usage` of an answer or an event, making one of our own if there was none."""
    return with_amounts(raw, usage, cost, encode_usage=encode_usage)


def encode_usage(usage: Usage) -> Fields:
    """Write our counts in Anthropic's names."""
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    counts = {
        "input_tokens": max(0, usage.input_tokens - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.output_tokens,
    }
    encoded = {name: msgspec.Raw(b"%d" % count) for name, count in counts.items()}
    if usage.reasoning_output_tokens:
        encoded["output_tokens_details"] = msgspec.Raw(b'{"thinking_tokens":%d}' % usage.reasoning_output_tokens)
    return encoded


def usage_with_cost(usage: Usage, cost: Cost) -> Fields:
    """Write a `usage` object of our own, with the amounts."""
    return encode_usage(usage) | encode_amounts(cost)


def _error_of(raw: bytes) -> _Error:
    try:
        return msgspec.json.decode(raw, type=_ErrorBody).error
    except UNREADABLE:
        return _Error()


def _kind(status: int, names: str, prose: str) -> FailureKind:
    if _ACCOUNT_PROSE.match(prose) and _FIELD_END not in prose:
        return FailureKind.OUT_OF_CREDIT
    kind = kind_by_rows(_ERROR_ROWS, status, names, prose)
    if kind is not None:
        return kind
    return FailureKind.INVALID if 400 <= status < 500 or "invalid_request_error" in names else FailureKind.SERVER
