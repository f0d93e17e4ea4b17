"""A request in Anthropic's words, read into the common form, for a provider of another dialect.

Called by `Translation` with a checked body; what only the provider would have checked is checked here. Pure.
Invariant: every field that was sent has a place in the common form, is heeded by the gateway itself, or is
named in `unnamed`.
"""

import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from app.providers.dialects.anthropic.blocks import CacheControl
from app.providers.dialects.anthropic.body import MessagesBody
from app.providers.dialects.anthropic.reasoning import ThinkingConfig, read_reasoning
from app.providers.dialects.conversation import (
    EMPTY_OBJECT,
    Conversation,
    Document,
    Image,
    OutputSchema,
    Part,
    RedactedThinking,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from app.providers.errors import BodyInvalid

_NULL: Final = msgspec.Raw(b"null")
# What has a place in the common form, and what the gateway itself heeds.
_TOLD: Final = frozenset(
    {"model", "max_tokens", "messages", "system", "tools", "tool_choice", "stop_sequences", "temperature", "top_p"}
    | {"top_k", "thinking", "output_config", "output_format", "metadata", "stream"}
)
# A field at its default says nothing.
_SAYS_NOTHING: Final = {
    "service_tier": {b'"auto"', b'"standard_only"'},
    "speed": {b'"standard"'},
    "inference_geo": {b'"global"'},
    "citations": {b"[]", b"{}", b'{"enabled":false}', b'{"enabled": false}'},
    "transformations": {b"{}"},
    "allowed_callers": {b'["direct"]'},
    "defer_loading": {b"false"},
    "eager_input_streaming": {b"false"},
    "input_examples": {b"[]"},
}
_CHOICE_MODES: Final = {"auto": "auto", "any": "required", "tool": "named", "none": "none"}
_EFFORTS: Final = frozenset({"low", "medium", "high", "xhigh", "max"})
_BY_ID: Final = "a file's id is known to one provider alone; send the content, or name an Anthropic model."


class _TextBlock(msgspec.Struct, frozen=True, tag="text"):
    text: str
    cache_control: CacheControl | None = None
    citations: msgspec.Raw = _NULL


class _Base64(msgspec.Struct, frozen=True, tag="base64"):
    media_type: str
    data: str


class _URL(msgspec.Struct, frozen=True, tag="url"):
    url: str


class _File(msgspec.Struct, frozen=True, tag="file"):
    file_id: str


class _PlainText(msgspec.Struct, frozen=True, tag="text"):
    data: str
    media_type: str = "text/plain"


class _ImageBlock(msgspec.Struct, frozen=True, tag="image"):
    source: _Base64 | _URL | _File
    cache_control: CacheControl | None = None
    transformations: msgspec.Raw = _NULL


class _Content(msgspec.Struct, frozen=True, tag="content"):
    content: str | list[_TextBlock | _ImageBlock]


class _DocumentBlock(msgspec.Struct, frozen=True, tag="document"):
    source: _Base64 | _URL | _File | _PlainText | _Content
    title: str | None = None
    cache_control: CacheControl | None = None
    citations: msgspec.Raw = _NULL
    context: msgspec.Raw = _NULL


class _ToolUseBlock(msgspec.Struct, frozen=True, tag="tool_use"):
    id: str
    name: str
    input: msgspec.Raw = EMPTY_OBJECT
    cache_control: CacheControl | None = None
    toolset_name: msgspec.Raw = _NULL


class _ToolResultBlock(msgspec.Struct, frozen=True, tag="tool_result"):
    tool_use_id: str
    content: str | list[_TextBlock | _ImageBlock | _DocumentBlock] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None
    toolset_name: msgspec.Raw = _NULL


class _ThinkingBlock(msgspec.Struct, frozen=True, tag="thinking"):
    thinking: str
    signature: str | None = None


class _RedactedBlock(msgspec.Struct, frozen=True, tag="redacted_thinking"):
    data: str


_Block = _TextBlock | _ImageBlock | _DocumentBlock | _ToolUseBlock | _ToolResultBlock | _ThinkingBlock | _RedactedBlock


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: str | list[_Block]


class _Tool(msgspec.Struct, frozen=True):
    name: str
    type: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = EMPTY_OBJECT
    strict: bool | None = None
    cache_control: CacheControl | None = None
    allowed_callers: msgspec.Raw = _NULL
    defer_loading: msgspec.Raw = _NULL
    eager_input_streaming: msgspec.Raw = _NULL
    input_examples: msgspec.Raw = _NULL


class _ToolChoice(msgspec.Struct, frozen=True):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _OutputFormat(msgspec.Struct, frozen=True):
    type: str
    schema: msgspec.Raw = EMPTY_OBJECT


class _OutputConfig(msgspec.Struct, frozen=True):
    effort: str | None = None
    format: _OutputFormat | None = None
    task_budget: msgspec.Raw = _NULL


class _Metadata(msgspec.Struct, frozen=True):
    user_id: str | None = None


class _Request(msgspec.Struct, frozen=True):
    messages: list[_Message]
    system: str | list[_TextBlock] | None = None
    max_tokens: int | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    thinking: ThinkingConfig | None = None
    output_config: _OutputConfig | None = None
    output_format: _OutputFormat | None = None  # where the schema stood before output_config
    metadata: _Metadata | None = None
    stream: bool | None = None


# What a block, tool or field may say that has no place in the common form.
_UNPLACED: Final[Mapping[type, tuple[str, ...]]] = {
    _TextBlock: ("citations",),
    _ImageBlock: ("transformations",),
    _DocumentBlock: ("citations", "context"),
    _ToolUseBlock: ("toolset_name",),
    _ToolResultBlock: ("toolset_name",),
    _Tool: ("allowed_callers", "defer_loading", "eager_input_streaming", "input_examples"),
    _OutputConfig: ("task_budget",),
}

_decode: Final = msgspec.json.Decoder(_Request).decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_conversation(body: MessagesBody) -> Conversation:
    """Read a checked request. Raises BodyInvalid, which names the field, for what the provider would refuse."""
    try:
        request = _decode(body.raw)
    except msgspec.ValidationError as error:
        # msgspec's messages name types and a path, never a value; Anthropic writes the path with dots.
        reason, _, path = str(error).partition(" - at `$.")
        param = path.rstrip("`").replace("[", ".").replace("]", "")
        raise BodyInvalid(param or None, f"{param or 'body'}: {reason}.") from None
    output = request.output_config or _OutputConfig()
    if output.effort is not None and output.effort not in _EFFORTS:
        raise BodyInvalid("output_config.effort", "output_config.effort: unknown; use low, medium, high, xhigh or max.")
    choice = request.tool_choice
    is_single = choice.disable_parallel_tool_use if choice is not None else None
    return Conversation(
        turns=tuple(_turns(request)),
        tools=tuple(_tool(tool, index) for index, tool in enumerate(request.tools or ())),
        tool_choice=_tool_choice(choice) if choice is not None else None,
        has_parallel_tool_calls=None if is_single is None else not is_single,
        output_tokens_wanted=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        stop=tuple(request.stop_sequences or ()),
        output_schema=_output_schema(output.format or request.output_format),
        reasoning=read_reasoning(request.thinking, output.effort),
        end_user=request.metadata.user_id if request.metadata is not None else None,
        is_streamed=bool(request.stream),
        unnamed=tuple(dict.fromkeys(_unnamed(body, request))),
    )


def _turns(request: _Request) -> Iterator[Turn]:
    if request.system:
        yield Turn("system", _content(request.system, "system"))
    for index, message in enumerate(request.messages):
        yield Turn(message.role, _content(message.content, f"messages.{index}.content"))


def _content(content: str | Sequence[_Block] | None, path: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(content),)
    return tuple(part for block in content or () for part in _parts(block, path))


def _parts(block: _Block, path: str) -> tuple[Part, ...]:
    match block:
        case _TextBlock():
            return (Text(block.text, block.cache_control is not None),)
        case _ToolUseBlock():
            return (ToolCall(block.id, block.name, block.input, block.cache_control is not None),)
        case _ToolResultBlock():
            parts = _content(block.content, path)
            shown = tuple(part for part in parts if isinstance(part, Text | Image | Document))
            return (ToolResult(block.tool_use_id, shown, bool(block.is_error), block.cache_control is not None),)
        case _ImageBlock():
            return (_image(block, path),)
        case _DocumentBlock():
            return _document(block, path)
        case _ThinkingBlock():
            return (Thinking(block.thinking, block.signature or None),)
        case _RedactedBlock():
            return (RedactedThinking(block.data),)


def _image(block: _ImageBlock, path: str) -> Image:
    is_cache_point = block.cache_control is not None
    match block.source:
        case _Base64() as source:
            return Image(source.media_type, source.data, is_cache_point=is_cache_point)
        case _URL() as source:
            return Image(url=source.url, is_cache_point=is_cache_point)
        case _File():
            raise BodyInvalid(path, f"{path}: {_BY_ID}")


def _document(block: _DocumentBlock, path: str) -> tuple[Part, ...]:
    name, is_cache_point = block.title, block.cache_control is not None
    match block.source:
        case _Base64() as source:
            return (Document(source.media_type, source.data, None, name, is_cache_point),)
        case _URL() as source:
            return (Document(url=source.url, name=name, is_cache_point=is_cache_point),)
        case _PlainText(data=text) | _Content(content=str() as text):
            data = binascii.b2a_base64(text.encode(), newline=False).decode()
            return (Document("text/plain", data, None, name, is_cache_point),)
        case _Content(content=list() as blocks):  # no other dialect has a document of blocks: they stand in its place
            return ((Text(name),) if name else ()) + _content(blocks, path)
        case _:
            raise BodyInvalid(path, f"{path}: {_BY_ID}")


def _tool(tool: _Tool, index: int) -> Tool:
    if tool.type not in (None, "custom"):
        path = f"tools.{index}.type"
        raise BodyInvalid(path, f"{path}: only Anthropic's models take a tool of Anthropic's own.")
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=tool.input_schema,
        is_strict=tool.strict,
        is_cache_point=tool.cache_control is not None,
    )


def _tool_choice(choice: _ToolChoice) -> ToolChoice:
    if choice.type not in _CHOICE_MODES or (choice.type == "tool" and not choice.name):
        raise BodyInvalid("tool_choice", "tool_choice: unknown; use type auto, any, none, or tool with a name.")
    return ToolChoice(mode=_CHOICE_MODES[choice.type], name=choice.name if choice.type == "tool" else None)


def _output_schema(output: _OutputFormat | None) -> OutputSchema | None:
    if output is None:
        return None
    if output.type != "json_schema":
        raise BodyInvalid("output_config.format.type", "output_config.format.type: unknown; use 'json_schema'.")
    return OutputSchema(schema=output.schema)


def _unnamed(body: MessagesBody, request: _Request) -> Iterator[str]:
    if body.betas:
        yield "anthropic-beta"
    for name, value in _decode_fields(body.raw).items():
        if name not in _TOLD and not _says_nothing(name, value):
            yield name
    if request.thinking is not None and request.thinking.display == "omitted":
        yield "thinking.display"
    if request.output_config is not None:
        yield from _unplaced(request.output_config, "output_config")
    for tool in request.tools or ():
        yield from _unplaced(tool, "tools")
    for content in (request.system, *[message.content for message in request.messages]):
        for block in content if isinstance(content, list) else ():
            yield from _unplaced(block, "content")
            if isinstance(block, _ToolResultBlock) and isinstance(block.content, list):
                for shown in block.content:
                    yield from _unplaced(shown, "content")


def _unplaced(said: object, path: str) -> Iterator[str]:
    for name in _UNPLACED.get(type(said), ()):
        value = getattr(said, name)
        if value is not _NULL and not _says_nothing(name, value):  # most say nothing, and hold the default itself
            yield f"{path}.{name}"


def _says_nothing(name: str, value: msgspec.Raw) -> bool:
    return value == _NULL or bytes(value) in _SAYS_NOTHING.get(name, ())
