"""The shape of a chat request in OpenAI's words, as far as another dialect can be told of it.

Decoded by `conversation` only, where a request is translated. Shapes as in OpenAI's SDK 3.54, with the fields that
other vendors add. Invariant: data alone.
"""

from typing import Annotated, Final

import msgspec

from app.providers.dialects.conversation import EMPTY_OBJECT
from app.providers.dialects.openai.body import ImageURL
from app.providers.dialects.openai.reasoning import ReasoningDetail

ABSENT: Final = msgspec.Raw(b"null")
# No count comes near it, and every language's numbers hold it.
COUNT_MAX: Final = 2**31 - 1
Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]


class CachePoint(msgspec.Struct, frozen=True):
    """The end of what the provider shall cache, and for how long."""

    ttl: str | None = None


class File(msgspec.Struct, frozen=True):
    """A file: its data, or where it is."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class ContentPart(msgspec.Struct, frozen=True):
    """One part of a message's content."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageURL | str | None = None
    file: File | None = None
    cache_control: CachePoint | None = None  # OpenRouter's mark, as Anthropic's
    prompt_cache_breakpoint: CachePoint | None = None  # OpenAI's, since gpt-5.6


class Called(msgspec.Struct, frozen=True):
    """The model's call of a function."""

    name: str
    arguments: str = ""


class CustomCalled(msgspec.Struct, frozen=True):
    """The model's call of a tool that takes free text."""

    name: str
    input: str = ""


class Call(msgspec.Struct, frozen=True):
    """One entry of `tool_calls`."""

    id: str
    function: Called | None = None
    custom: CustomCalled | None = None


class Message(msgspec.Struct, frozen=True):
    """One message, with all that a model reads of it."""

    role: str
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[Call] | None = None
    function_call: Called | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None


class Function(msgspec.Struct, frozen=True):
    """A function that the caller offers."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = ABSENT
    strict: bool | None = None


class OfferedTool(msgspec.Struct, frozen=True):
    """One entry of `tools`."""

    function: Function | None = None
    cache_control: CachePoint | None = None


class Named(msgspec.Struct, frozen=True):
    """A function by its name."""

    name: str


class AllowedTool(msgspec.Struct, frozen=True):
    """One entry of the allowed tools."""

    function: Named | None = None


class AllowedTools(msgspec.Struct, frozen=True):
    """The tools among which the model may choose."""

    mode: str = "auto"
    tools: list[AllowedTool] = []


class Choice(msgspec.Struct, frozen=True):
    """`tool_choice` where it is an object."""

    function: Named | None = None
    allowed_tools: AllowedTools | None = None


class Schema(msgspec.Struct, frozen=True):
    """The schema that the answer must follow."""

    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = EMPTY_OBJECT
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, frozen=True):
    """In which form the answer must come."""

    type: str
    json_schema: Schema | None = None


class ReasoningWish(msgspec.Struct, frozen=True):
    """How much to reason, as OpenRouter takes it."""

    effort: str | None = None
    max_tokens: Count | None = None
    enabled: bool | None = None
    exclude: bool | None = None


class ThinkingWish(msgspec.Struct, frozen=True):
    """How much to reason, as Anthropic's OpenAI-compatible address, DeepSeek and Z.ai take it."""

    type: str = "enabled"
    budget_tokens: Count | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """The fields that have a place in the common form, but those that `body` has read."""

    messages: list[Message]
    tools: list[OfferedTool] | None = None
    functions: list[Function] | None = None
    tool_choice: str | Choice | None = None
    function_call: str | Named | None = None
    parallel_tool_calls: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Count | None = None
    stop: str | list[str] | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    reasoning: ReasoningWish | None = None
    thinking: ThinkingWish | None = None
    safety_identifier: str | None = None
