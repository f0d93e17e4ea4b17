"""A chat request in the common form, written in OpenAI's words, for a caller of another dialect.

Called by `Translation`. Pure. Invariant: what the provider is not told is named in `Encoded.dropped`, in the
words of Anthropic's surface, which is the only other one.
"""

import binascii
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from app.providers.dialects.conversation import (
    EMPTY_OBJECT,
    Conversation,
    Document,
    Encoded,
    Image,
    OutputSchema,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from app.providers.dialects.openai.completion import write_tool_call
from app.providers.dialects.openai.reasoning import effort_for, write_reasoning
from app.providers.dialects.openai.schema import is_holdable
from app.providers.vendors import Vendor

STOP_SEQUENCES_MAX: Final = 4  # OpenAI's API reference, 2026-11
_SCHEMA_NAME: Final = "answer"  # OpenAI asks for a name; others have none
_TOOL_FAILED: Final = "The tool failed."
_PARAGRAPH: Final = "\n\n"


def write_conversation(
    conversation: Conversation, *, model: str, output_tokens_limit: int | None, vendor: Vendor
) -> Encoded:
    """Write a request for one attempt; `output_tokens_limit` None sends the caller's own limit, if any."""
    limit = conversation.output_tokens_wanted if output_tokens_limit is None else output_tokens_limit
    effort, is_effort_told = effort_for(conversation.reasoning, model) if conversation.reasoning else (None, True)
    fields: dict[str, object] = {
        "model": model,
        "messages": [message for turn in conversation.turns for message in _messages(turn, vendor)],
        vendor.output_limit_field: limit,
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "stop": conversation.stop[:STOP_SEQUENCES_MAX] or None,
        "reasoning_effort": effort,
        "response_format": _response_format(conversation),
        "user": conversation.end_user if vendor.has_user_field else None,
    }
    if conversation.tools:  # OpenAI refuses what is said of tools that are not there
        fields["tools"] = [_tool(tool) for tool in conversation.tools]
        fields["tool_choice"] = _tool_choice(conversation.tool_choice)
        fields["parallel_tool_calls"] = conversation.has_parallel_tool_calls
    if conversation.is_streamed:
        fields["stream"] = True
        fields["stream_options"] = {"include_usage": True} if vendor.has_stream_usage_option else None
    body = msgspec.json.encode({name: value for name, value in fields.items() if value is not None})
    return Encoded(body=body, dropped=tuple(_untold(conversation, vendor, is_effort_told)))


def _untold(conversation: Conversation, vendor: Vendor, is_effort_told: bool) -> Iterator[str]:
    yield from conversation.unnamed
    if conversation.top_k is not None:
        yield "top_k"
    if len(conversation.stop) > STOP_SEQUENCES_MAX:
        yield "stop_sequences"
    if not is_effort_told:
        yield "thinking"
    if conversation.output_schema is not None and _is_held_to(conversation.output_schema) is None:
        yield "output_config.format"
    if conversation.end_user is not None and not vendor.has_user_field:
        yield "metadata.user_id"
    parts = [part for turn in conversation.turns for part in turn.parts]
    if vendor.reasoning_field is None and any(isinstance(part, Thinking | RedactedThinking) for part in parts):
        yield "messages.thinking"
    if any(getattr(said, "is_cache_point", False) for said in (*parts, *conversation.tools)):
        yield "cache_control"


def _messages(turn: Turn, vendor: Vendor) -> Iterator[dict[str, object]]:
    if turn.role == "assistant":
        yield _assistant(turn.parts, vendor)
        return
    if turn.role == "system":
        yield {"role": "system", "content": _content(turn.parts)}
        return
    results = [part for part in turn.parts if isinstance(part, ToolResult)]
    # A tool's message holds text alone, and all of them must follow their calls at once: media come after.
    for result in results:
        yield {"role": "tool", "tool_call_id": result.tool_call_id, "content": _result_text(result)}
    shown = [part for result in results for part in _shown(result)]
    shown += [part for part in turn.parts if not isinstance(part, ToolResult)]
    if shown or not results:
        yield {"role": "user", "content": _content(shown)}


def _assistant(parts: Sequence[Part], vendor: Vendor) -> dict[str, object]:
    message: dict[str, object] = {"role": "assistant"}
    # A model's texts are pieces of one; a caller's are paragraphs.
    text = "".join(part.text for part in parts if isinstance(part, Text))
    refusal = "".join(part.text for part in parts if isinstance(part, Refusal))
    calls = [write_tool_call(part) for part in parts if isinstance(part, ToolCall)]
    message["content"] = text if text or not (refusal or calls) else None
    if refusal:
        message["refusal"] = refusal
    if calls:
        message["tool_calls"] = calls
    if vendor.reasoning_field is not None:
        whole, details = write_reasoning(parts)
        reasoning = whole if vendor.reasoning_field == "reasoning_content" else details
        if reasoning:
            message[vendor.reasoning_field] = reasoning
    return message


def _result_text(result: ToolResult) -> str:
    texts = [part.text for part in result.parts if isinstance(part, Text)]
    return _PARAGRAPH.join([_TOOL_FAILED, *texts] if result.is_error else texts)


def _shown(result: ToolResult) -> list[Part]:
    media: list[Part] = [part for part in result.parts if not isinstance(part, Text)]
    return [Text(f"What the call {result.tool_call_id} returned beside its text:"), *media] if media else []


def _content(parts: Sequence[Part]) -> str | list[dict[str, object]]:
    # Text alone goes as one string, because not every vendor takes a list (DeepSeek's API reference, 2026-11).
    texts = [part.text for part in parts if isinstance(part, Text)]
    return _PARAGRAPH.join(texts) if len(texts) == len(parts) else [_part(part) for part in parts]


def _part(part: Part) -> dict[str, object]:
    match part:
        case Image():
            url = part.url or f"data:{part.media_type};base64,{part.data}"
            image = {"url": url, "detail": part.detail} if part.detail else {"url": url}
            return {"type": "image_url", "image_url": image}
        case Document():
            return _document(part)
        case Text() | Refusal() | Thinking():
            return {"type": "text", "text": part.text}
    raise AssertionError(f"A part of type {type(part).__name__} in a caller's turn")


def _document(document: Document) -> dict[str, object]:
    if document.data is not None and (document.media_type or "").startswith("text/"):
        try:
            text = binascii.a2b_base64(document.data).decode()
        except ValueError:  # what it calls text is not: let the provider say so
            pass
        else:
            return {"type": "text", "text": f"{document.name}:\n{text}" if document.name else text}
    given = document.url or f"data:{document.media_type};base64,{document.data}"
    return {"type": "file", "file": {"filename": document.name or "document.pdf", "file_data": given}}


def _tool(tool: Tool) -> dict[str, object]:
    function: dict[str, object] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters != EMPTY_OBJECT:
        function["parameters"] = tool.parameters
    if tool.is_strict is not None:
        function["strict"] = tool.is_strict
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice | None) -> object:
    if choice is None or choice.mode != "named":
        return choice and choice.mode
    return {"type": "function", "function": {"name": choice.name}}


def _response_format(conversation: Conversation) -> dict[str, object] | None:
    if conversation.output_schema is not None:
        return {"type": "json_schema", "json_schema": _schema(conversation.output_schema)}
    return {"type": "json_object"} if conversation.wants_json_object else None


def _schema(output: OutputSchema) -> dict[str, object]:
    schema: dict[str, object] = {"name": output.name or _SCHEMA_NAME, "schema": output.schema}
    if output.description is not None:
        schema["description"] = output.description
    is_strict = _is_held_to(output)
    if is_strict is not None:
        schema["strict"] = is_strict
    return schema


def _is_held_to(output: OutputSchema) -> bool | None:
    """Whether the answer will follow the schema whatever the model says; Anthropic's surface asks for it unsaid."""
    return output.is_strict if output.is_strict is not None else is_holdable(output.schema) or None
