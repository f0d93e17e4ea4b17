"""Requests from OpenAI's words as they are written for Anthropic, each block held against the SDK's own types."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pydantic
from anthropic.types import ContentBlockParam, OutputConfigParam, ThinkingConfigParam, ToolChoiceParam, ToolParam

from app.providers import vendor_of
from app.providers.dialects.anthropic.request import write_conversation
from app.providers.dialects.conversation import (
    Conversation,
    Encoded,
    Part,
    Text,
    Tool,
    Turn,
)

MODEL = "claude-opus-4-6"  # takes sampling, budgets and efforts
NEW_MODEL = "claude-opus-5-5"
VENDOR = vendor_of("openai")
HELLO = {"role": "user", "content": [{"type": "text", "text": "Hello"}]}
TOOL = Tool(name="f", parameters=msgspec.Raw(b'{"type":"object"}'))
BLOCK: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ContentBlockParam)


def user(*parts: Part | str) -> Turn:
    return turn("user", parts)


def assistant(*parts: Part | str) -> Turn:
    return turn("assistant", parts)


def system(*parts: Part | str) -> Turn:
    return turn("system", parts)


def turn(role: str, parts: Sequence[Part | str]) -> Turn:
    return Turn(role, tuple(Text(part) if isinstance(part, str) else part for part in parts))


def encode(*turns: Turn, model: str = MODEL, limit: int | None = 100, **fields: Any) -> Encoded:
    conversation = Conversation(turns=turns or (user("Hello"),), **fields)
    return write_conversation(conversation, model=model, output_tokens_limit=limit, vendor=VENDOR)


def write(*turns: Turn, model: str = MODEL, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode(*turns, model=model, **fields).body)
    check_with_the_sdk(body)
    return body


def check_with_the_sdk(body: dict[str, Any]) -> None:
    for message in body["messages"]:
        for block in message["content"]:
            BLOCK.validate_python(block)
    for name, kind in (
        ("tool_choice", ToolChoiceParam),
        ("thinking", ThinkingConfigParam),
        ("output_config", OutputConfigParam),
        ("tools", list[ToolParam]),
    ):
        if name in body:
            pydantic.TypeAdapter(kind).validate_python(body[name])


def said(*turns: Turn, model: str = MODEL, **fields: Any) -> list[tuple[str, list[Any]]]:
    """Roles, and blocks: of texts their text, of others their type."""
    messages = write(*turns, model=model, **fields)["messages"]
    return [
        (message["role"], [block.get("text", block["type"]) for block in message["content"]]) for message in messages
    ]
