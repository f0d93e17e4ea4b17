"""A chat request in the common form, written in Anthropic's words, for a caller of another dialect.

Called by `Translation`. Pure. Invariants: what the provider is not told is named in `Encoded.dropped`, in the
words of OpenAI's surface, which is the only other one; and the API takes what is told, fitted to the model by
the rows of `models`.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from app.providers.dialects.anthropic.body import VERSION
from app.providers.dialects.anthropic.models import ModelTraits, traits_of
from app.providers.dialects.anthropic.reasoning import write_reasoning
from app.providers.dialects.anthropic.schema import closed_schema, object_schema
from app.providers.dialects.anthropic.turns import split_system, text_block, write_turns
from app.providers.dialects.conversation import (
    EMPTY_OBJECT,
    Conversation,
    Encoded,
    Image,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
)
from app.providers.vendors import Vendor

OUTPUT_TOKENS_DEFAULT: Final = 4_096  # `max_tokens` must be said; every Claude model takes this
END_USER_CHARACTERS_MAX: Final = 256
TEMPERATURE_MAX: Final = 1.0
# Beside thinking the API takes no other (Anthropic, "Extended thinking", 2026-11).
_TOP_P_MIN_THINKING: Final = 0.95
_CACHE_POINT: Final = {"type": "ephemeral"}
_CHOICE_TYPES: Final = {"auto": "auto", "none": "none", "required": "any", "named": "tool"}
_FORCED: Final = frozenset({"required", "named"})
_DEFAULTS: Final = {"temperature": 1.0, "top_p": 1.0}
# The API refuses an end user who can be recognised: an address of mail, a telephone number.
_RECOGNISABLE: Final = re.compile(r"@|^[+\d\s().-]{7,}$")

_Fields = dict[str, object]


def write_conversation(
    conversation: Conversation, *, model: str, output_tokens_limit: int | None, vendor: Vendor
) -> Encoded:
    """Write a request for one attempt; `output_tokens_limit` None sends the caller's own limit, or a default.

    `vendor` is not looked at: all who speak this dialect heed the same fields.
    """
    traits = traits_of(model)
    limit = output_tokens_limit or conversation.output_tokens_wanted or OUTPUT_TOKENS_DEFAULT
    system, turns = split_system(conversation.turns)
    forced = _forced_choice(conversation)
    unforced = forced if not traits.has_forced_tools else None
    if unforced is not None:
        system = [*system, text_block(_forcing_text(unforced))]
    words = write_reasoning(
        conversation, traits, output_tokens_limit=limit, is_tool_forced=forced is not None and unforced is None
    )
    output_config, is_schema_whole = _output_config(conversation, words.effort)
    tools, are_tools_whole = _tools(conversation)
    fields: _Fields = {
        "model": model,
        "max_tokens": limit,
        "system": system or None,
        "messages": write_turns(turns, traits),
        "tools": tools or None,
        "tool_choice": _tool_choice(conversation, traits) if tools else None,
        **_sampling(conversation, traits, is_thinking=words.is_thinking),
        "stop_sequences": [text for text in conversation.stop if text.strip()] or None,
        "thinking": words.thinking,
        "output_config": output_config or None,
        "metadata": {"user_id": _opaque(conversation.end_user)} if conversation.end_user else None,
        "stream": conversation.is_streamed or None,
    }
    dropped = [*conversation.unnamed, *words.dropped, *_untold(conversation, fields)]
    if unforced is not None:
        dropped.append("tool_choice")
    if not is_schema_whole:
        dropped.append("response_format")
    if not are_tools_whole:
        dropped.append("tools.function.strict")
    return Encoded(
        body=msgspec.json.encode({name: value for name, value in fields.items() if value is not None}),
        # A later version refuses temperature and top_p even where the model takes them.
        headers=(("anthropic-version", VERSION),),
        dropped=tuple(dict.fromkeys(dropped)),
    )


def _sampling(conversation: Conversation, traits: ModelTraits, *, is_thinking: bool) -> _Fields:
    temperature, top_p, top_k = conversation.temperature, conversation.top_p, conversation.top_k
    if traits.sampling == "none":
        return {}
    if temperature is not None:
        temperature = min(temperature, TEMPERATURE_MAX)
    if is_thinking:
        temperature = top_k = None
        top_p = top_p if top_p is not None and top_p >= _TOP_P_MIN_THINKING else None
    elif traits.sampling == "one" and temperature is not None:
        top_p = None
    return {"temperature": temperature, "top_p": top_p, "top_k": top_k}


def _untold(conversation: Conversation, fields: _Fields) -> Iterator[str]:
    """What was asked for and does not stand in the fields."""
    for name in ("temperature", "top_p", "top_k"):
        asked = getattr(conversation, name)
        if asked not in (None, fields.get(name), _DEFAULTS.get(name)):
            yield name
    if any(not text.strip() for text in conversation.stop):
        yield "stop"
    if conversation.wants_json_object:
        yield "response_format"
    choice = conversation.tool_choice
    if choice is not None and choice.mode in _FORCED and not conversation.tools:
        yield "tool_choice"
    for turn in conversation.turns:
        for part in turn.parts:
            if isinstance(part, Text):
                continue
            if isinstance(part, Image) and part.detail not in (None, "auto"):
                yield "image_url.detail"
            elif isinstance(part, Thinking) and not part.signature:
                yield "reasoning_content"
            elif turn.role == "system" and not isinstance(part, Refusal):
                yield "messages.content"


def _tools(conversation: Conversation) -> tuple[list[_Fields], bool]:
    """The tools, and whether the API enforces of the strict ones all that they ask for."""
    if conversation.tools:
        written = [_tool(tool) for tool in conversation.tools]
        return [tool for tool, _ in written], all(is_whole for _, is_whole in written)
    # The API refuses calls of tools that it was not shown; these are shown, and forbidden.
    parts = (part for turn in conversation.turns for part in turn.parts)
    names = dict.fromkeys(part.name for part in parts if isinstance(part, ToolCall))
    return [{"name": name, "input_schema": object_schema(EMPTY_OBJECT)} for name in names], True


def _tool(tool: Tool) -> tuple[_Fields, bool]:
    fields: _Fields = {"name": tool.name}
    if tool.description is not None:
        fields["description"] = tool.description
    schema, is_whole = object_schema(tool.parameters), True
    if tool.is_strict:
        schema, is_whole = closed_schema(schema)
    fields["input_schema"] = schema
    if tool.is_strict is not None:
        fields["strict"] = tool.is_strict
    if tool.is_cache_point:
        fields["cache_control"] = _CACHE_POINT
    return fields, is_whole


def _tool_choice(conversation: Conversation, traits: ModelTraits) -> _Fields | None:
    choice, is_parallel = conversation.tool_choice, conversation.has_parallel_tool_calls
    if not conversation.tools:
        return {"type": "none"}
    if choice is None and is_parallel is not False:
        return None
    mode = choice.mode if choice is not None else "auto"
    if mode in _FORCED and not traits.has_forced_tools:
        mode = "auto"
    fields: _Fields = {"type": _CHOICE_TYPES[mode]}
    if mode == "named" and choice is not None:
        fields["name"] = choice.name
    if mode != "none" and is_parallel is not None:
        fields["disable_parallel_tool_use"] = not is_parallel
    return fields


def _forced_choice(conversation: Conversation) -> ToolChoice | None:
    choice = conversation.tool_choice
    return choice if choice is not None and choice.mode in _FORCED and conversation.tools else None


def _forcing_text(choice: ToolChoice) -> str:
    if choice.name is None:
        return "Answer with a call of at least one of the tools."
    return f"Answer with a call of the tool '{choice.name}'."


def _output_config(conversation: Conversation, effort: str | None) -> tuple[_Fields, bool]:
    """The effort and the schema of the answer, and whether the API enforces all of the schema."""
    fields: _Fields = {} if effort is None else {"effort": effort}
    output = conversation.output_schema
    if output is None:
        return fields, True
    schema, is_whole = closed_schema(output.schema, title=output.name, description=output.description)
    fields["format"] = {"type": "json_schema", "schema": schema}
    return fields, is_whole


def _opaque(end_user: str) -> str:
    if len(end_user) > END_USER_CHARACTERS_MAX or _RECOGNISABLE.search(end_user):
        return hashlib.sha256(end_user.encode()).hexdigest()
    return end_user
