"""A whole chat completion in OpenAI's words, read into the common form and written from it. Pure but for the clock.

Called by `Translation`. Invariant: an answer that the provider broke off is never read as a finished one.
"""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from app.providers.dialects.completion import Completion, Finish
from app.providers.dialects.conversation import EMPTY_OBJECT, Part, Refusal, Text, Thinking, ToolCall
from app.providers.dialects.fields import NULL, UNREADABLE, encode
from app.providers.dialects.openai.answer import decode_error, decode_usage, usage_with_cost
from app.providers.dialects.openai.reasoning import ReasoningDetail, read_reasoning, write_reasoning
from app.providers.dialects.values import Cost
from app.providers.errors import AnswerMalformed, FailureKind, UpstreamRefused
from billing import Usage

# A provider's word that is in no row reads as a stop.
_FINISH_BY_WORD: Final = {
    "length": Finish.LENGTH,
    "model_length": Finish.CONTEXT_FULL,  # Mistral
    "tool_calls": Finish.TOOL_CALLS,
    "function_call": Finish.TOOL_CALLS,
    "content_filter": Finish.REFUSED,
}
# Words by which a vendor says that the answer broke off: Mistral and OpenRouter; DeepSeek (references, 2026-11).
_BROKEN_BY_WORD: Final = {
    "error": FailureKind.SERVER,
    "insufficient_system_resource": FailureKind.OVERLOADED,
}
_WORD_BY_FINISH: Final = {
    Finish.STOP: "stop",
    Finish.STOP_SEQUENCE: "stop",
    Finish.LENGTH: "length",
    Finish.TOOL_CALLS: "tool_calls",
    Finish.REFUSED: "content_filter",
    Finish.CONTEXT_FULL: "length",
    Finish.PAUSED: "stop",
}


class Piece(msgspec.Struct):
    """A piece of content where a vendor sends a list instead of a string: Mistral's text and thinking."""

    type: str = "text"
    text: str | None = None
    thinking: "str | list[Piece] | None" = None


class _Function(msgspec.Struct):
    name: str
    arguments: str | dict[str, msgspec.Raw] | None = None  # some vendors send the object itself


class _ToolCall(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct):
    content: str | list[Piece] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Whole(msgspec.Struct):
    choices: list[_Choice] | None = None
    id: str | None = None
    model: str | None = None
    created: int | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


_decode: Final = msgspec.json.Decoder(_Whole).decode


def read_completion(raw: bytes) -> Completion:
    """Read a whole answer's first choice. Raises AnswerMalformed, or UpstreamRefused for an error inside a 200."""
    try:
        whole = _decode(raw)
        if whole.error != NULL:
            raise decode_error(200, raw)
        if not whole.choices:
            raise AnswerMalformed("The provider's answer holds no choice.")
        parts = _parts(whole.choices[0].message)
    except UNREADABLE:
        raise AnswerMalformed("The provider's answer is not a chat completion.") from None
    return Completion(
        response_id=whole.id,
        model=whole.model,
        parts=parts,
        finish=read_finish(
            whole.choices[0].finish_reason,
            has_calls=any(isinstance(part, ToolCall) for part in parts),
            has_refused=any(isinstance(part, Refusal) for part in parts),
        ),
        created=whole.created,
        usage=decode_usage(whole.usage),
    )


def write_completion(
    completion: Completion, usage: Usage, cost: Cost, *, clock: Callable[[], float] = time.time
) -> bytes:
    """Write a whole answer with usage and amounts. `clock` dates an answer that the provider did not date."""
    created = completion.created if completion.created is not None else int(clock())
    choice = {
        "index": 0,
        "message": _message(completion.parts),
        "logprobs": None,
        "finish_reason": write_finish(completion.finish),
    }
    return encode(
        {
            "id": completion.response_id or own_response_id(created),
            "object": "chat.completion",
            "created": created,
            "model": completion.model or "",
            "choices": [choice],
            "usage": usage_with_cost(usage, cost),
        }
    )


def own_response_id(created: int) -> str:
    """An id for an answer that the provider gave none."""
    return f"chatcmpl-{created:x}"


def read_finish(word: str | None, *, has_calls: bool, has_refused: bool) -> Finish:
    """Read why the model stopped. Raises UpstreamRefused where the word says that the answer broke off."""
    if word in _BROKEN_BY_WORD:
        raise UpstreamRefused(_BROKEN_BY_WORD[word], 200, code=word)
    finish = _FINISH_BY_WORD.get(word or "", Finish.STOP)
    if finish is not Finish.STOP:
        return finish
    # Some vendors say 'stop' after calls; and OpenAI after a refusal, which others tell by the reason alone.
    return Finish.TOOL_CALLS if has_calls else Finish.REFUSED if has_refused else finish


def write_finish(finish: Finish) -> str:
    """Why the model stopped, in OpenAI's words."""
    return _WORD_BY_FINISH[finish]


def read_pieces(content: str | list[Piece] | None) -> tuple[Text | Thinking, ...]:
    """Read content into texts and reasoning; empty ones are left out."""
    if content is None or isinstance(content, str):
        return (Text(content),) if content else ()
    return tuple(
        Thinking(text) if piece.type == "thinking" else Text(text) for piece in content if (text := _text_of(piece))
    )


def write_tool_call(call: ToolCall) -> dict[str, object]:
    """Write a call as a message holds it."""
    function = {"name": call.name, "arguments": bytes(call.arguments).decode()}
    return {"id": call.tool_call_id, "type": "function", "function": function}


def _parts(message: _Message) -> tuple[Part, ...]:
    parts: tuple[Part, ...] = (
        *read_reasoning(message.reasoning_details, message.reasoning_content or message.reasoning),
        *read_pieces(message.content),
    )
    if message.refusal:
        parts += (Refusal(message.refusal),)
    calls = list(message.tool_calls or ())
    if message.function_call is not None:
        calls.append(_ToolCall(message.function_call))
    return parts + tuple(_tool_call(call, position) for position, call in enumerate(calls))


def _tool_call(call: _ToolCall, position: int) -> ToolCall:
    given = call.function.arguments or ""
    json = given.strip().encode() if isinstance(given, str) else encode(given)
    arguments = msgspec.Raw(json) if json else EMPTY_OBJECT
    return ToolCall(call.id or own_call_id(position), call.function.name, arguments)


def own_call_id(position: int) -> str:
    """An id for a call that the provider gave none."""
    return f"call_{position}"


def _text_of(piece: Piece) -> str:
    if isinstance(piece.thinking, list):
        return "".join(_text_of(inner) for inner in piece.thinking)
    return piece.thinking or piece.text or ""


def _message(parts: tuple[Part, ...]) -> dict[str, object]:
    text = "".join(part.text for part in parts if isinstance(part, Text))
    refusal = "".join(part.text for part in parts if isinstance(part, Refusal))
    calls = [write_tool_call(part) for part in parts if isinstance(part, ToolCall)]
    message: dict[str, object] = {
        "role": "assistant",
        "content": text if text or not (refusal or calls) else None,
        "refusal": refusal or None,
    }
    reasoning, details = write_reasoning(parts)
    if reasoning:
        message["reasoning_content"] = reasoning
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = calls
    return message
