"""An answer in no provider's words, whole and in parts; beside `conversation`, for dialects that must meet. Pure."""

from enum import StrEnum

import msgspec

from app.providers.dialects.conversation import Part
from billing import Usage


class Finish(StrEnum):
    """Why the model stopped. The values are OpenAI's words, which records and the console show."""

    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"  # a stop text of the caller; OpenAI says 'stop'
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    REFUSED = "content_filter"
    CONTEXT_FULL = "context_full"  # the context window ended the answer; OpenAI says 'length'
    PAUSED = "paused"  # a long turn to be continued; OpenAI says 'stop'


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer of one choice."""

    response_id: str | None
    model: str | None
    parts: tuple[Part, ...]
    finish: Finish
    stop_sequence: str | None = None
    created: int | None = None  # seconds since 1970
    usage: Usage | None = None


class Started(msgspec.Struct, frozen=True):
    """The stream has begun."""

    response_id: str | None
    model: str | None
    created: int | None = None
    input_usage: Usage | None = None  # Anthropic counts the input at the start


class TextDelta(msgspec.Struct, frozen=True):
    """More of the text."""

    text: str


class RefusalDelta(msgspec.Struct, frozen=True):
    """More of a refusal's text."""

    text: str


class ThinkingDelta(msgspec.Struct, frozen=True):
    """More of the reasoning's text."""

    text: str


class SignatureDelta(msgspec.Struct, frozen=True):
    """The signature that ends a piece of reasoning."""

    signature: str


class RedactedDelta(msgspec.Struct, frozen=True):
    """A whole piece of reasoning that only the provider can read."""

    data: str


class ToolCallStarted(msgspec.Struct, frozen=True):
    """The model begins to call a tool; `position` counts its calls from 0."""

    position: int
    tool_call_id: str
    name: str


class ToolArgumentsDelta(msgspec.Struct, frozen=True):
    """More of the JSON text of a call's arguments."""

    position: int
    json_text: str


class Finished(msgspec.Struct, frozen=True):
    """The model stopped; usage may still follow."""

    finish: Finish
    stop_sequence: str | None = None


class KeepAlive(msgspec.Struct, frozen=True):
    """Nothing but a sign of life."""


Delta = (
    Started
    | TextDelta
    | RefusalDelta
    | ThinkingDelta
    | SignatureDelta
    | RedactedDelta
    | ToolCallStarted
    | ToolArgumentsDelta
    | Finished
    | KeepAlive
)
