"""What OpenAI-shaped vendors answer, whole: its facts, its errors, and our cost written into it. Pure."""

from typing import Final

import msgspec

from app.providers.dialects.fields import NULL, TOKENS_MAX, UNREADABLE, Fields, encode_amounts, with_amounts
from app.providers.dialects.refusals import ErrorRows, identifier, kind_by_rows
from app.providers.dialects.values import Answer, Cost
from app.providers.errors import AnswerMalformed, FailureKind, UpstreamRefused
from billing import Usage


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class UsageShape(msgspec.Struct):
    """The `usage` object of vendors that speak OpenAI's dialect."""

    prompt_tokens: int
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek's place for cached tokens


class _Message(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw(b"")
    tool_calls: msgspec.Raw = msgspec.Raw(b"")


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Whole(msgspec.Struct):
    choices: list[_Choice] | None = None
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


class _Error(msgspec.Struct):
    code: str | int | None = None
    type: str | None = None
    param: str | None = None
    message: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error


_NO_DETAILS: Final = _InputDetails()
_decode_whole: Final = msgspec.json.Decoder(_Whole).decode
_decode_usage: Final = msgspec.json.Decoder(UsageShape | None).decode

# Read top-down, first match wins: (status or None for any, words in code, type or message, kind). Where a status
# blames the request, its message may repeat the caller's own words: it decides only what concerns this request alone.
_ERROR_ROWS: Final[ErrorRows] = (
    (None, ("context_length", "maximum context", "context window", "prompt is too long"), FailureKind.CONTEXT_EXCEEDED),
    (None, ("content_filter", "content_policy", "content policy", "safety system"), FailureKind.CONTENT_REFUSED),
    (None, ("insufficient_quota", "insufficient balance", "billing_hard_limit"), FailureKind.OUT_OF_CREDIT),
    (None, ("invalid_api_key", "invalid api key"), FailureKind.AUTH),
    (None, ("rate_limit",), FailureKind.RATE_LIMITED),
    (None, ("overloaded",), FailureKind.OVERLOADED),
    (401, (), FailureKind.AUTH),
    (402, (), FailureKind.OUT_OF_CREDIT),
    (403, (), FailureKind.AUTH),
    (404, (), FailureKind.MODEL_NOT_FOUND),
    (408, (), FailureKind.TIMEOUT),
    (413, (), FailureKind.CONTEXT_EXCEEDED),
    (429, (), FailureKind.RATE_LIMITED),
    (498, (), FailureKind.OVERLOADED),  # Groq's flex capacity
    (503, (), FailureKind.OVERLOADED),
    (504, (), FailureKind.TIMEOUT),
    (529, (), FailureKind.OVERLOADED),
)


def decode_answer(raw: bytes) -> Answer:
    """Read a whole answer. Raises AnswerMalformed, or UpstreamRefused for an error inside a 200."""
    try:
        whole = _decode_whole(raw)
    except UNREADABLE:
        raise AnswerMalformed("The provider's answer is not a chat completion.") from None
    if whole.error != NULL:
        raise decode_error(200, raw)
    if not whole.choices:
        raise AnswerMalformed("The provider's answer holds no choice.")
    return Answer(
        usage=decode_usage(whole.usage),
        finish_reason=whole.choices[0].finish_reason,
        response_id=whole.id,
        model=whole.model,
        output_bytes=sum([len(choice.message.content) + len(choice.message.tool_calls) for choice in whole.choices]),
    )


def decode_error(status: int, raw: bytes) -> UpstreamRefused:
    """Read a provider's error by its status and its short words; its prose is looked at and never kept."""
    error = _error_of(raw)
    names = " ".join(str(word) for word in (error.code, error.type) if word).lower()
    kind = _kind(status, names, (error.message or "").lower())
    code = error.code if isinstance(error.code, str) else error.type
    return UpstreamRefused(kind, status, code=identifier(code), param=identifier(error.param))


def decode_usage(raw: msgspec.Raw | bytes) -> Usage | None:
    """Read a `usage` object; None when it is absent or makes no sense. Parts are put inside their parent."""
    try:
        shape: UsageShape | None = _decode_usage(raw)
    except UNREADABLE:
        return None
    if shape is None:
        return None
    details = shape.prompt_tokens_details or _NO_DETAILS
    reasoning = (shape.completion_tokens_details and shape.completion_tokens_details.reasoning_tokens) or 0
    output = shape.completion_tokens or 0
    # xAI counts reasoning beside the completion: then only the total tells.
    if reasoning and shape.total_tokens == shape.prompt_tokens + output + reasoning:
        output += reasoning
    cache_read = details.cached_tokens or shape.prompt_cache_hit_tokens or 0
    cache_creation = details.cache_write_tokens or 0
    counts = (shape.prompt_tokens, output, reasoning, cache_read)
    if min(counts) < 0 or max(counts) > TOKENS_MAX:
        return None
    cache_read = min(cache_read, shape.prompt_tokens)
    return Usage(
        input_tokens=shape.prompt_tokens,
        output_tokens=output,
        cache_read_input_tokens=cache_read,
        cache_creation_input_tokens=min(max(cache_creation, 0), shape.prompt_tokens - cache_read),
        reasoning_output_tokens=min(reasoning, output),
    )


def with_cost(raw: bytes, usage: Usage, cost: Cost) -> bytes:
    """Write the amounts into an answer's or a chunk's `usage`, making one of our own if the provider sent none."""
    return with_amounts(raw, usage, cost, encode_usage=encode_usage)


def usage_with_cost(usage: Usage, cost: Cost) -> Fields:
    """Write a `usage` object of our own, with the amounts."""
    return encode_usage(usage) | encode_amounts(cost)


def encode_usage(usage: Usage) -> Fields:
    """Write our counts in OpenAI's names; parts only where there are any."""
    total = usage.input_tokens + usage.output_tokens
    counts = {
        "prompt_tokens": msgspec.Raw(b"%d" % usage.input_tokens),
        "completion_tokens": msgspec.Raw(b"%d" % usage.output_tokens),
        "total_tokens": msgspec.Raw(b"%d" % total),
    }
    if usage.cache_read_input_tokens or usage.cache_creation_input_tokens:
        counts["prompt_tokens_details"] = msgspec.Raw(
            b'{"cached_tokens":%d,"cache_write_tokens":%d}'
            % (usage.cache_read_input_tokens, usage.cache_creation_input_tokens)
        )
    if usage.reasoning_output_tokens:
        counts["completion_tokens_details"] = msgspec.Raw(b'{"reasoning_tokens":%d}' % usage.reasoning_output_tokens)
    return counts


def _error_of(raw: bytes) -> _Error:
    try:
        return msgspec.json.decode(raw, type=_ErrorBody).error
    except UNREADABLE:
        pass
    try:
        # Mistral and others put the same fields on the top level.
        return msgspec.json.decode(raw, type=_Error)
    except UNREADABLE:
        return _Error()


def _kind(status: int, names: str, prose: str) -> FailureKind:
    kind = kind_by_rows(_ERROR_ROWS, status, names, prose)
    if kind is not None:
        return kind
    return FailureKind.INVALID if 400 <= status < 500 else FailureKind.SERVER
