"""A request to Anthropic's `/v1/messages` as the sandbox reads it, shape by shape. Pure.

Read by `anthropic_wire`; `anthropic_rules` says what else the API asks of one. Invariant: unknown fields are
refused as the API refuses them, unless `anthropic-beta` asks for something new. Fields as of the official
SDK 2.12 (2026-11), of which the sandbox acts on those that it can simulate.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from app.sandbox import tokens
from app.sandbox.answers import Prompt, Tool
from app.sandbox.errors import RequestRefused
from app.sandbox.schemas import Schema
from app.sandbox.wire import ThinkingForm

IMAGE_TOKENS: Final = 765
DOCUMENT_TOKENS: Final = 1_500
TOOL_TOKENS: Final = 12
# A request that holds this gets its thinking back redacted, as only the provider could read it.
REDACTED_MARK: Final = "[[redacted_thinking]]"


class Source(msgspec.Struct):
    """Where the content of an image or a document is."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: "str | list[Block] | None" = None


class Block(msgspec.Struct):
    """A content block of any type; `anthropic_rules` knows which fields each type must have."""

    type: str
    text: str | None = None
    source: Source | None = None
    title: str | None = None
    context: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None
    tool_use_id: str | None = None
    content: "str | list[Block] | msgspec.UnsetType | None" = msgspec.UNSET
    is_error: bool | None = None


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """One message; neighbours of the same role are one turn."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]

    def blocks(self) -> list[Block]:
        """The content, a bare text as the one block that it stands for."""
        return [Block(type="text", text=self.content)] if isinstance(self.content, str) else self.content


class ToolShape(msgspec.Struct, omit_defaults=True):
    """A tool: the caller's own with a schema, or by `type` one that the vendor runs, with fields of its own."""

    name: str
    type: str | None = None
    description: str | None = None
    input_schema: Schema | None = None
    strict: bool | None = None

    @property
    def is_custom(self) -> bool:
        """Is it the caller's own?"""
        return self.type in (None, "custom")


class ToolChoiceShape(msgspec.Struct, forbid_unknown_fields=True):
    """Which tools the model may or must call."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False


class ThinkingShape(msgspec.Struct, forbid_unknown_fields=True):
    """Whether the model shall think, and what it shows of that."""

    type: Literal["enabled", "adaptive", "disabled", "between_tools"]
    budget_tokens: int | None = None
    display: Literal["summarized", "omitted"] | None = None

    @property
    def is_on(self) -> bool:
        """Will the model think?"""
        return self.type in ("enabled", "adaptive")


class OutputFormat(msgspec.Struct, forbid_unknown_fields=True):
    """The schema of a structured answer."""

    type: Literal["json_schema"]
    schema: Schema


class OutputConfig(msgspec.Struct):
    """How the answer shall look."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class MessagesRequest(msgspec.Struct):
    """What the sandbox reads of a request; the last group is taken and not acted upon."""

    model: str
    messages: list[Message]
    max_tokens: int | None = None
    system: str | list[Block] | None = None
    stream: bool = False
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    tools: list[ToolShape] | None = None
    tool_choice: ToolChoiceShape | None = None
    thinking: ThinkingShape | None = None
    output_config: OutputConfig | None = None

    cache_control: Any = None
    container: Any = None
    diagnostics: Any = None
    inference_geo: Any = None
    metadata: Any = None
    service_tier: Any = None
    speed: Any = None

    def texts(self) -> tuple[str, ...]:
        """The text of the system prompt, if there is one, and of each message."""
        system = self.system if isinstance(self.system, str) else _text(self.system or [])
        return (*([system] if system else []), *(_text(message.blocks()) for message in self.messages))


class _StrictRequest(MessagesRequest, forbid_unknown_fields=True):
    """Without a beta, a field that the API does not know is an error."""


def decode_request(body: bytes, headers: Mapping[str, str]) -> MessagesRequest:
    """Read a body by its shapes. Raises RequestRefused."""
    if not headers.get("anthropic-version"):
        raise RequestRefused("anthropic-version: header is required")
    shape = MessagesRequest if headers.get("anthropic-beta") else _StrictRequest
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestRefused(f"Invalid request: {error}") from error


def prompt_of(request: MessagesRequest) -> Prompt:
    """See a request as the simulated model does."""
    said = [[block.text or "" for block in message.blocks() if block.type == "text"] for message in request.messages]
    users = [
        "\n".join(texts)
        for message, texts in zip(request.messages, said, strict=True)
        if message.role == "user" and texts
    ]
    last = request.messages[-1].blocks() if request.messages else []
    choice = request.tool_choice or ToolChoiceShape("auto")
    thinking = request.thinking
    output_format = request.output_config.format if request.output_config else None
    return Prompt(
        texts=request.texts(),
        instruction=users[-1] if users else "",
        input_tokens=input_tokens_of(request),
        tools=tuple(
            Tool(tool.name, tool.input_schema or {}, tool.description or "")
            for tool in request.tools or ()
            if tool.is_custom
        ),
        tool_choice=(choice.name or "") if choice.type == "tool" else _CHOICES[choice.type],
        is_tool_result=bool(last) and all(block.type == "tool_result" for block in last),
        parallel_tool_calls=not choice.disable_parallel_tool_use,
        json_schema=output_format.schema if output_format else None,
        output_tokens_max=request.max_tokens,
        thinking_tokens_max=(thinking.budget_tokens or request.max_tokens or 0) if thinking and thinking.is_on else 0,
        stop=tuple(request.stop_sequences or ()),
    )


def thinking_form_of(request: MessagesRequest) -> ThinkingForm:
    """How much of its thinking the model shows."""
    if any(REDACTED_MARK in text for text in request.texts()):
        return "redacted"
    return "omitted" if request.thinking and request.thinking.display == "omitted" else "shown"


def input_tokens_of(request: MessagesRequest) -> int:
    """Count a request's tokens."""
    output_format = request.output_config.format if request.output_config else None
    blocks = [block for message in request.messages for block in message.blocks()]
    return (
        sum(tokens.count(text) + tokens.MESSAGE_TOKENS for text in request.texts())
        + sum(_block_tokens(block) for block in blocks)
        + sum(_json_tokens(tool) + TOOL_TOKENS for tool in request.tools or ())
        + (_json_tokens(output_format.schema) if output_format else 0)
    )


_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}


def _text(blocks: list[Block]) -> str:
    return "\n".join(text for block in blocks if (text := _block_text(block)))


def _block_text(block: Block) -> str:
    match block.type:
        case "text":
            return block.text or ""
        case "tool_result":
            return _content_text(block.content)
        case "document" if block.source and block.source.type in ("text", "content"):
            return block.source.data or _content_text(block.source.content)
        case _:
            return ""


def _content_text(content: "str | list[Block] | msgspec.UnsetType | None") -> str:
    return _text(content) if isinstance(content, list) else content or ""


def _block_tokens(block: Block) -> int:
    """What a block counts beside its text."""
    match block.type:
        case "image":
            return IMAGE_TOKENS
        case "document" if block.source and block.source.type in ("base64", "url", "file"):
            return DOCUMENT_TOKENS
        case "tool_use":
            return _json_tokens(block.input or {})
        case "thinking":
            return tokens.count(block.thinking or "")
        case "tool_result" if isinstance(block.content, list):
            return sum(_block_tokens(inner) for inner in block.content)
        case _:
            return 0


def _json_tokens(value: object) -> int:
    return tokens.count(msgspec.json.encode(value).decode())
