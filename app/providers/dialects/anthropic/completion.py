"""A whole answer in Anthropic's words, read into the common form and written from it. Pure but for new ids.

Called by `Translation`. Invariant: blocks keep their order, and an id that was given is kept.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from uuid import uuid4

import msgspec

from app.providers.dialects.anthropic.answer import (
    FINISHES,
    NULL,
    STREAM_STATUS,
    decode_error,
    decode_usage,
    usage_with_cost,
)
from app.providers.dialects.anthropic.turns import arguments_object
from app.providers.dialects.completion import Completion, Finish
from app.providers.dialects.conversation import (
    EMPTY_OBJECT,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from app.providers.dialects.values import Cost
from app.providers.errors import AnswerMalformed
from billing import Usage

_MESSAGE_ID_PREFIX: Final = "msg_"
_TOOL_ID_PREFIX: Final = "toolu_"
_OWN_ID_CHARACTERS: Final = 24  # as many as Anthropic's ids have after their prefix
_STOP_REASONS: Final[Mapping[Finish, str]] = MappingProxyType(
    {
        Finish.STOP: "end_turn",
        Finish.STOP_SEQUENCE: "stop_sequence",
        Finish.LENGTH: "max_tokens",
        Finish.TOOL_CALLS: "tool_use",
        Finish.REFUSED: "refusal",
        Finish.CONTEXT_FULL: "model_context_window_exceeded",
        Finish.PAUSED: "pause_turn",
    }
)


class Block(msgspec.Struct, frozen=True):
    """A block of an answer, whole or at its start in a stream. Of kinds that are not ours only the type is known."""

    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = EMPTY_OBJECT


class _Whole(msgspec.Struct):
    content: list[Block] | None = None
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


_decode: Final = msgspec.json.Decoder(_Whole).decode


def read_completion(raw: bytes) -> Completion:
    """Read a whole answer. Raises AnswerMalformed, or UpstreamRefused for an error inside a 200."""
    try:
        whole = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise AnswerMalformed("The provider's answer is not a message.") from None
    if whole.error != NULL:
        raise decode_error(STREAM_STATUS, raw)
    if whole.content is None:
        raise AnswerMalformed("The provider's answer holds no content.")
    return Completion(
        response_id=whole.id,
        model=whole.model,
        parts=tuple(part for block in whole.content if (part := _part(block)) is not None),
        finish=read_finish(whole.stop_reason),
        stop_sequence=whole.stop_sequence,
        usage=decode_usage(whole.usage),
    )


def write_completion(completion: Completion, usage: Usage, cost: Cost) -> bytes:
    """Write a whole answer with usage and amounts."""
    return msgspec.json.encode(
        {
            "id": message_id(completion.response_id),
            "type": "message",
            "role": "assistant",
            "model": completion.model or "",
            "content": [block for part in completion.parts if (block := _block(part)) is not None],
            "stop_reason": write_finish(completion.finish),
            "stop_sequence": completion.stop_sequence,
            "usage": usage_with_cost(usage, cost),
        }
    )


def read_finish(stop_reason: str | None) -> Finish:
    """Read why the model stopped; a reason that we do not know reads as a stop."""
    return FINISHES.get(stop_reason or "", Finish.STOP)


def write_finish(finish: Finish) -> str:
    """Why the model stopped, in Anthropic's words."""
    return _STOP_REASONS[finish]


def message_id(response_id: str | None) -> str:
    """An answer's id as Anthropic's clients know it: the provider's own behind the prefix, or a new one."""
    if response_id is None:
        return _MESSAGE_ID_PREFIX + uuid4().hex[:_OWN_ID_CHARACTERS]
    return response_id if response_id.startswith(_MESSAGE_ID_PREFIX) else _MESSAGE_ID_PREFIX + response_id


def tool_use_id(tool_call_id: str) -> str:
    """A call's id as it was given, because its result will come back under it; a new one for none."""
    return tool_call_id or _TOOL_ID_PREFIX + uuid4().hex[:_OWN_ID_CHARACTERS]


def _part(block: Block) -> Part | None:
    match block.type:
        case "text":
            return Text(block.text) if block.text else None
        case "tool_use":
            if block.id is None or block.name is None:
                raise AnswerMalformed("A tool call in the provider's answer has no id or no name.")
            return ToolCall(block.id, block.name, block.input)
        case "thinking":
            return Thinking(block.thinking or "", block.signature or None)
        case "redacted_thinking":
            return RedactedThinking(block.data or "")
    return None  # what the provider's own tools did: no other dialect has a word for it


def _block(part: Part) -> dict[str, object] | None:
    match part:
        case Text() | Refusal():
            return {"type": "text", "text": part.text, "citations": None}
        case ToolCall():
            fields = {"type": "tool_use", "id": tool_use_id(part.tool_call_id), "name": part.name}
            return {**fields, "input": arguments_object(part.arguments)}
        case Thinking():
            return {"type": "thinking", "thinking": part.text, "signature": part.signature or ""}
        case RedactedThinking():
            return {"type": "redacted_thinking", "data": part.data}
    return None  # media and results of tools are no part of an answer
