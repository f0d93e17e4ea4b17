"""The turns of a conversation as Anthropic's messages and their blocks. Used by `request`, and by `completion`
for the arguments of a call. Pure.

Invariant: what is written keeps the API's rules of order: the user begins, the two sides alternate, a user's
turn opens with the results of tools, and no text is blank.
"""

import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final
from zlib import crc32

import msgspec

from app.providers.dialects.anthropic.models import ModelTraits
from app.providers.dialects.conversation import (
    Document,
    Image,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)

OPENING: Final = "Begin."  # said for a user who said nothing
TOOL_FAILED: Final = "The tool failed."  # a failed result must say something
ARGUMENTS_TEXT: Final = "arguments"  # under which a call's arguments stand that are no JSON object
_CACHE_POINT: Final = {"type": "ephemeral"}
_NOT_IN_TOOL_ID: Final = re.compile(r"[^A-Za-z0-9_-]")
_MEDIA_TYPES: Final = {"image/jpg": "image/jpeg"}  # as many write it

Block = dict[str, object]
_check_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Message(msgspec.Struct):
    """One turn as the API takes it."""

    role: str
    content: list[Block]


def split_system(turns: Sequence[Turn]) -> tuple[list[Block], Sequence[Turn]]:
    """The blocks of the field `system`, and the turns after the system's leading ones."""
    first = next((index for index, turn in enumerate(turns) if turn.role != "system"), len(turns))
    return _system_blocks(turns[:first]), turns[first:]


def write_turns(turns: Iterable[Turn], traits: ModelTraits) -> list[Message]:
    """Write turns as messages.

    A later word of the system stands in place where the model and the API's rules allow it: after a user's turn,
    before an answer. Elsewhere it joins the user's turn in its order, marked by `<system>`.
    """
    said = [message for role, group in groupby(turns, key=_role) if (message := _message(role, group)).content]
    messages: list[Message] = []
    for index, message in enumerate(said):
        if message.role == "system":
            is_answered = index + 1 == len(said) or said[index + 1].role == "assistant"
            if traits.has_system_turns and is_answered and messages and messages[-1].role == "user":
                messages.append(message)
                continue
            message = Message("user", [_marked(block) for block in message.content])
        if messages and messages[-1].role == message.role:
            messages[-1].content += message.content
        else:
            messages.append(message)
    if not messages or messages[0].role == "assistant":
        messages.insert(0, Message("user", [text_block(OPENING)]))
    for message in messages:
        if message.role == "user":
            message.content.sort(key=_is_no_result)
    _trim_beginning_of_answer(messages[-1])
    return messages


def write_part(part: Part) -> Block | None:
    """A part as a block; None for blank text and for thinking that no provider signed, which the API refuses."""
    block = _WRITERS[type(part)](part)
    if block is not None and getattr(part, "is_cache_point", False):
        block["cache_control"] = _CACHE_POINT
    return block


def text_block(text: str) -> Block:
    """A block of text."""
    return {"type": "text", "text": text}


def arguments_object(arguments: msgspec.Raw) -> msgspec.Raw:
    """A call's arguments as the JSON object that they must be; what is none is kept as text within one."""
    try:
        _check_object(arguments)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return msgspec.Raw(msgspec.json.encode({ARGUMENTS_TEXT: bytes(arguments).decode(errors="replace")}))
    return arguments


def _role(turn: Turn) -> str:
    return turn.role


def _message(role: str, turns: Iterable[Turn]) -> Message:
    if role == "system":
        return Message(role, _system_blocks(turns))
    return Message(role, _write(part for turn in turns for part in turn.parts))


def _write(parts: Iterable[Part]) -> list[Block]:
    return [block for part in parts if (block := write_part(part)) is not None]


def _marked(block: Block) -> Block:
    return {**block, "text": f"<system>\n{block['text']}\n</system>"}


def _system_blocks(turns: Iterable[Turn]) -> list[Block]:
    return _write(part for turn in turns for part in turn.parts if isinstance(part, Text | Refusal))


def _is_no_result(block: Block) -> bool:
    return block["type"] != "tool_result"


def _trim_beginning_of_answer(message: Message) -> None:
    """The API refuses the beginning of an answer that ends in a space."""
    last = message.content[-1]
    if message.role == "assistant" and last["type"] == "text":
        last["text"] = str(last["text"]).rstrip()


def _text(part: Text | Refusal) -> Block | None:
    return text_block(part.text) if part.text and not part.text.isspace() else None


def _tool_use(call: ToolCall) -> Block:
    tool_call_id, arguments = _tool_id(call.tool_call_id), arguments_object(call.arguments)
    return {"type": "tool_use", "id": tool_call_id, "name": call.name, "input": arguments}


def _thinking(part: Thinking) -> Block | None:
    return {"type": "thinking", "thinking": part.text, "signature": part.signature} if part.signature else None


def _redacted(part: RedactedThinking) -> Block:
    return {"type": "redacted_thinking", "data": part.data}


def _tool_id(given: str) -> str:
    """An id as the API takes it, made of letters, digits, `_` and `-`; the same for a call and for its result."""
    fitted = _NOT_IN_TOOL_ID.sub("_", given)
    return given if fitted == given and given else f"{fitted}_{crc32(given.encode()):08x}"


def _tool_result(result: ToolResult) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": _tool_id(result.tool_call_id)}
    content = _write(result.parts)
    if result.is_error:
        block["is_error"] = True
        content = content or [text_block(TOOL_FAILED)]
    if content:
        block["content"] = content
    return block


def _image(image: Image) -> Block:
    return {"type": "image", "source": _source(image)}


def _source(given: Image | Document) -> Block:
    if given.url is not None:
        return {"type": "url", "url": given.url}
    media_type = _MEDIA_TYPES.get(given.media_type or "", given.media_type)
    return {"type": "base64", "media_type": media_type, "data": given.data}


def _document(document: Document) -> Block:
    block: Block = {"type": "document", "source": _source(document)}
    if document.data is not None and (document.media_type or "").startswith("text/"):
        try:
            text = binascii.a2b_base64(document.data).decode()
        except ValueError:  # what it calls text is not: let the provider say so
            pass
        else:
            block["source"] = {"type": "text", "media_type": "text/plain", "data": text}
    if document.name is not None:
        block["title"] = document.name
    return block


_WRITERS: Final[Mapping[type, Callable[[Any], Block | None]]] = {
    Text: _text,
    Refusal: _text,
    ToolCall: _tool_use,
    ToolResult: _tool_result,
    Image: _image,
    Document: _document,
    Thinking: _thinking,
    RedactedThinking: _redacted,
}
