"""A chat request in OpenAI's words, read into the common form, for a provider of another dialect.

Called by `Translation` with a ChatBody, which was checked already; what only the provider would have checked
is checked here. Pure. Invariant: every field that was sent has a place in the common form, is heeded by the
gateway itself, or is named in `unnamed`.
"""

import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from app.providers.dialects.conversation import (
    EMPTY_OBJECT,
    Conversation,
    Document,
    Image,
    OutputSchema,
    Part,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from app.providers.dialects.openai.body import ChatBody, ImageURL, raise_invalid
from app.providers.dialects.openai.reasoning import EFFORTS, read_reasoning
from app.providers.dialects.openai.wire import (
    ABSENT,
    AllowedTools,
    CachePoint,
    Call,
    ChatRequest,
    Choice,
    ContentPart,
    File,
    Function,
    Message,
    Named,
    ResponseFormat,
)
from app.providers.errors import BodyInvalid

_MEDIA_TYPE_BY_ENDING: Final = {"pdf": "application/pdf", "txt": "text/plain", "md": "text/plain"}
_PDF: Final = "application/pdf"

# What has a place in the common form, and what the gateway itself heeds.
_TOLD: Final = (frozenset(ChatRequest.__struct_fields__) - {"functions"}) | {
    *("max_tokens", "max_completion_tokens", "stream", "user"),  # read by `body`
    *("model", "stream_options", "metadata"),
}
_CACHED_FOR: Final = (None, "5m")  # what a cache point means where no time can be told
_FORMATS: Final = frozenset({"text", "json_object", "json_schema"})
# A field at its default says nothing. `functions` is told, but the answer comes as `tool_calls`: so it is named.
_SAYS_NOTHING: Final = {
    "n": {b"1"},
    "frequency_penalty": {b"0", b"0.0"},
    "presence_penalty": {b"0", b"0.0"},
    "logit_bias": {b"{}"},
    "logprobs": {b"false"},
    "top_logprobs": {b"0"},
    "store": {b"false"},
    "functions": {b"[]"},
    "modalities": {b'["text"]'},
    "service_tier": {b'"auto"', b'"default"'},
}


_decode: Final = msgspec.json.Decoder(ChatRequest).decode


def read_conversation(body: ChatBody) -> Conversation:
    """Read a checked request. Raises BodyInvalid, which names the field, for what the provider would refuse."""
    try:
        request = _decode(body.raw)
    except msgspec.ValidationError as error:
        raise_invalid(error)
    output = request.response_format
    return Conversation(
        turns=_turns(request.messages),
        tools=_tools(request),
        tool_choice=_tool_choice(request),
        has_parallel_tool_calls=request.parallel_tool_calls,
        output_tokens_wanted=body.output_tokens_wanted,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        output_schema=_output_schema(output) if output and output.type == "json_schema" else None,
        wants_json_object=output is not None and output.type == "json_object",
        reasoning=_reasoning(request),
        end_user=request.safety_identifier or body.end_user,
        is_streamed=body.is_streamed,
        unnamed=_unnamed(body.fields, request),
    )


def _turns(messages: Sequence[Message]) -> tuple[Turn, ...]:
    turns = []
    legacy_ids: dict[str, str] = {}  # of the last call of each function, from before calls had ids
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        match message.role:
            case "system" | "developer":
                turns.append(Turn("system", _content(message.content, path)))
            case "assistant":
                parts = _said(message, path)
                if message.function_call is not None:
                    called = message.function_call
                    legacy_ids[called.name] = f"call_{index}"
                    parts += (ToolCall(f"call_{index}", called.name, _arguments(called.arguments)),)
                turns.append(Turn("assistant", parts))
            case "tool" | "function":
                call_id = message.tool_call_id or legacy_ids.get(message.name or "")
                if call_id is None:
                    raise BodyInvalid(f"{path}.tool_call_id", "A tool's message must name the call that it answers.")
                turns.append(Turn("user", (_result(call_id, _content(message.content, path)),)))
            case _:
                turns.append(Turn("user", _content(message.content, path)))
    return tuple(turns)


def _said(message: Message, path: str) -> tuple[Part, ...]:
    parts = read_reasoning(message.reasoning_details, message.reasoning_content or message.reasoning)
    parts += _content(message.content, path)
    if message.refusal:
        parts += (Refusal(message.refusal),)
    return parts + tuple(_tool_call(call, f"{path}.tool_calls") for call in message.tool_calls or ())


def _tool_call(call: Call, path: str) -> ToolCall:
    if call.function is not None:
        return ToolCall(call.id, call.function.name, _arguments(call.function.arguments))
    if call.custom is not None:
        return ToolCall(call.id, call.custom.name, msgspec.Raw(msgspec.json.encode({"input": call.custom.input})))
    raise BodyInvalid(path, "A tool call must hold a 'function'.")


def _arguments(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode()) if text.strip() else EMPTY_OBJECT


def _result(tool_call_id: str, parts: tuple[Part, ...]) -> ToolResult:
    return ToolResult(tool_call_id, tuple(part for part in parts if isinstance(part, Text | Image | Document)))


def _content(content: str | list[ContentPart] | None, path: str) -> tuple[Part, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),)
    return tuple(_part(part, f"{path}.content[{number}]") for number, part in enumerate(content))


def _part(part: ContentPart, path: str) -> Part:
    is_cache_point = (part.cache_control or part.prompt_cache_breakpoint) is not None
    match part.type:
        case "text":
            return Text(part.text or "", is_cache_point)
        case "image_url":
            image = part.image_url if isinstance(part.image_url, ImageURL) else ImageURL(part.image_url or "")
            media_type, data = _data_of(image.url, path)
            return Image(media_type, data, None if data is not None else image.url, image.detail, is_cache_point)
        case "file" if part.file is not None and part.file.file_data is not None:
            return _document(part.file, part.file.file_data, is_cache_point, path)
        case "refusal":
            return Refusal(part.refusal or "")
    raise BodyInvalid(
        path, f"A part of type '{part.type[:24]}' cannot be told to this provider; choose an OpenAI-compatible one."
    )


def _document(file: File, given: str, is_cache_point: bool, path: str) -> Document:
    name = file.filename
    if given.startswith(("https://", "http://")):
        return Document(url=given, name=name, is_cache_point=is_cache_point)
    media_type, data = _data_of(given, path)
    if data is None:  # bare base64, as OpenAI's reference words it
        media_type = _MEDIA_TYPE_BY_ENDING.get((name or "").rpartition(".")[2].lower(), _PDF)
        data = given
    return Document(media_type, data, None, name, is_cache_point)


def _data_of(url: str, path: str) -> tuple[str | None, str | None]:
    """The media type and base64 text of a data URL (RFC 2397); (None, None) for any other address."""
    if not url.startswith("data:"):
        return None, None
    head, comma, data = url[5:].partition(",")
    if not comma:
        raise BodyInvalid(path, "A data URL needs a comma before its data.")
    media_type, *options = head.split(";")
    if "base64" not in options:
        data = binascii.b2a_base64(unquote_to_bytes(data), newline=False).decode()
    return media_type or "text/plain", data


def _tools(request: ChatRequest) -> tuple[Tool, ...]:
    tools = [_tool(function) for function in request.functions or ()]
    for index, tool in enumerate(request.tools or ()):
        if tool.function is None:
            raise BodyInvalid(f"tools[{index}]", "This provider takes tools of type 'function' alone.")
        tools.append(_tool(tool.function, tool.cache_control))
    choice = request.tool_choice
    if isinstance(choice, Choice) and choice.allowed_tools is not None:
        # No other dialect can forbid a tool that it is shown.
        allowed = {tool.function.name for tool in choice.allowed_tools.tools if tool.function is not None}
        return tuple(tool for tool in tools if tool.name in allowed)
    return tuple(tools)


def _tool(function: Function, cache_point: CachePoint | None = None) -> Tool:
    return Tool(
        name=function.name,
        description=function.description,
        parameters=EMPTY_OBJECT if function.parameters == ABSENT else function.parameters,
        is_strict=function.strict,
        is_cache_point=cache_point is not None,
    )


def _tool_choice(request: ChatRequest) -> ToolChoice | None:
    choice = request.tool_choice or request.function_call
    match choice:
        case None:
            return None
        case Named():
            return ToolChoice(mode="named", name=choice.name)
        case Choice(function=Named() as function):
            return ToolChoice(mode="named", name=function.name)
        case Choice(allowed_tools=AllowedTools() as allowed):
            choice = allowed.mode
    match choice:
        case "auto" | "none" | "required":
            return ToolChoice(mode=choice)
        case "any":  # Mistral's word
            return ToolChoice(mode="required")
    raise BodyInvalid("tool_choice", "Unknown 'tool_choice'; use 'auto', 'none', 'required' or a function's name.")


def _output_schema(output: ResponseFormat) -> OutputSchema:
    if output.json_schema is None:
        raise BodyInvalid("response_format.json_schema", "'json_schema' must hold the schema.")
    schema = output.json_schema
    return OutputSchema(schema=schema.schema, name=schema.name, description=schema.description, is_strict=schema.strict)


def _reasoning(request: ChatRequest) -> Reasoning | None:
    effort, tokens_max, is_on = request.reasoning_effort, None, None
    if request.thinking is not None:
        tokens_max, is_on = request.thinking.budget_tokens, request.thinking.type != "disabled"
    if request.reasoning is not None:
        effort = request.reasoning.effort or effort
        tokens_max, is_on = request.reasoning.max_tokens, request.reasoning.enabled
    if effort is not None and effort not in EFFORTS:
        raise BodyInvalid("reasoning_effort", f"Unknown effort; use one of {', '.join(EFFORTS)}.")
    if effort == "none":
        return Reasoning(is_on=False, effort=effort)
    if effort is None and tokens_max is None and is_on is None:
        return None
    return Reasoning(is_on=is_on is not False, effort=effort, tokens_max=tokens_max)


def _unnamed(fields: Mapping[str, msgspec.Raw], request: ChatRequest) -> tuple[str, ...]:
    names = [name for name, value in fields.items() if name not in _TOLD and not _says_nothing(name, bytes(value))]
    if request.response_format is not None and request.response_format.type not in _FORMATS:
        names.append("response_format")
    if request.reasoning is not None and request.reasoning.exclude:
        names.append("reasoning.exclude")
    if any(message.name and message.role not in ("tool", "function") for message in request.messages):
        names.append("messages.name")
    if any(point is not None and point.ttl not in _CACHED_FOR for point in _cache_points(request)):
        names.append("cache_control.ttl")
    return tuple(names)


def _cache_points(request: ChatRequest) -> Iterator[CachePoint | None]:
    for tool in request.tools or ():
        yield tool.cache_control
    for message in request.messages:
        if isinstance(message.content, list):
            for part in message.content:
                yield part.cache_control or part.prompt_cache_breakpoint


def _says_nothing(name: str, value: bytes) -> bool:
    return value == b"null" or value in _SAYS_NOTHING.get(name, ())
