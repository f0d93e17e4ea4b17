"""A chat request in no provider's words: what a dialect is read into, and written from, when two must meet.

Used only where the caller's dialect is not the provider's; the same dialect passes byte for byte. Pure.
Invariant: what stands here means the same in every dialect; what a dialect cannot say is a `Feature` that
excludes the candidate, or is named in `Encoded.dropped`.
"""

from typing import Final

import msgspec

EMPTY_OBJECT: Final = msgspec.Raw(b"{}")


class Text(msgspec.Struct, frozen=True, tag=True):
    """Plain text. `is_cache_point`: the caller asks to cache everything up to here."""

    text: str
    is_cache_point: bool = False


class Image(msgspec.Struct, frozen=True, tag=True):
    """An image: base64 `data` of a `media_type`, or a `url`; exactly one of the two is set."""

    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    detail: str | None = None
    is_cache_point: bool = False


class Document(msgspec.Struct, frozen=True, tag=True):
    """A PDF or a text file, as an image is given."""

    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    name: str | None = None
    is_cache_point: bool = False


class ToolCall(msgspec.Struct, frozen=True, tag=True):
    """The model's call of a caller's tool; `arguments` is JSON, as the model wrote it."""

    tool_call_id: str
    name: str
    arguments: msgspec.Raw = EMPTY_OBJECT
    is_cache_point: bool = False


class ToolResult(msgspec.Struct, frozen=True, tag=True):
    """What the caller's tool answered."""

    tool_call_id: str
    parts: tuple[Text | Image | Document, ...] = ()
    is_error: bool = False
    is_cache_point: bool = False


class Thinking(msgspec.Struct, frozen=True, tag=True):
    """The model's reasoning, with the provider's signature where it gave one; must come back unchanged."""

    text: str
    signature: str | None = None


class RedactedThinking(msgspec.Struct, frozen=True, tag=True):
    """Reasoning that only the provider can read; must come back unchanged."""

    data: str


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """What the model said when it declined."""

    text: str


Part = Text | Image | Document | ToolCall | ToolResult | Thinking | RedactedThinking | Refusal


class Turn(msgspec.Struct, frozen=True):
    """What one side said. `role` is 'system', 'user' or 'assistant'; results of tools are the user's."""

    role: str
    parts: tuple[Part, ...]


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the caller offers; `parameters` is its JSON schema."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = EMPTY_OBJECT
    is_strict: bool | None = None
    is_cache_point: bool = False


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which tools the model may or must call. `mode` is 'auto', 'none', 'required' or 'named'."""

    mode: str
    name: str | None = None


class OutputSchema(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON schema that the answer must follow."""

    schema: msgspec.Raw
    name: str | None = None
    description: str | None = None
    is_strict: bool | None = None


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """How much the model may think. All None: as the model does by itself."""

    is_on: bool | None = None
    effort: str | None = None  # none, minimal, low, medium, high, xhigh or max
    tokens_max: int | None = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """One chat request. `unnamed` are the caller's fields that have no place here, by their own names."""

    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    has_parallel_tool_calls: bool | None = None
    output_tokens_wanted: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    output_schema: OutputSchema | None = None
    wants_json_object: bool = False
    reasoning: Reasoning | None = None
    end_user: str | None = None
    is_streamed: bool = False
    unnamed: tuple[str, ...] = ()


class Encoded(msgspec.Struct, frozen=True, kw_only=True):
    """A request in a provider's words; `dropped` names the caller's fields that this provider was not told."""

    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
