"""What Anthropic's API refuses beyond the shape of a request, in its own words, so that a translation's mistakes show.

Pure; called per request by `anthropic_wire`. Invariant: what passes here, the API would take too, as far as its
documents tell (platform.claude.com: Errors, Tool use, Extended thinking, Structured outputs; 2026-11).
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from app.sandbox.anthropic_request import Block, MessagesRequest
from app.sandbox.signatures import REDACTED, is_signed

THINKING_BUDGET_TOKENS_MIN: Final = 1_024
SCHEMA_DEPTH_MAX: Final = 64
_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
# type: the fields that must be there
_BLOCKS: Final[dict[str, tuple[str, ...]]] = {
    "text": ("text",),
    "image": ("source",),
    "document": ("source",),
    "search_result": ("source", "title", "content"),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id",),
    "server_tool_use": ("id", "name", "input"),
    "web_search_tool_result": ("tool_use_id", "content"),
    "web_fetch_tool_result": ("tool_use_id", "content"),
    "code_execution_tool_result": ("tool_use_id", "content"),
    "bash_code_execution_tool_result": ("tool_use_id", "content"),
    "text_editor_code_execution_tool_result": ("tool_use_id", "content"),
    "tool_search_tool_result": ("tool_use_id", "content"),
    "container_upload": (),
    "tool_reference": (),
    "browser_state": (),
}
# (role, types that it may not say)
_NOT_SAID_BY: Final[dict[str, tuple[str, ...]]] = {
    "user": ("tool_use", "thinking", "redacted_thinking"),
    "assistant": ("tool_result", "image", "document"),
    "system": tuple(kind for kind in _BLOCKS if kind != "text"),
}
# source of an image or a document: the field that must be there
_SOURCES: Final[dict[str, tuple[str, ...]]] = {
    "base64": ("media_type", "data"),
    "text": ("media_type", "data"),
    "url": ("url",),
    "file": ("file_id",),
    "content": ("content",),
}


class _Turn(NamedTuple):
    """Neighbouring messages of one role, with the place of the first."""

    place: int
    role: str
    blocks: list[Block]


def first_problem(request: MessagesRequest, *, is_counting: bool = False) -> str | None:
    """What the API would refuse first, or None; counting tokens needs no `max_tokens`."""
    if request.max_tokens is None and not is_counting:
        return "max_tokens: Field required"
    return next((problem for rule in _RULES for problem in rule(request)), None)


def _limits(request: MessagesRequest) -> Iterator[str]:
    # 0 is taken: it fills the cache without an answer.
    if request.max_tokens is not None and request.max_tokens < 0:
        yield "max_tokens: Input should be greater than or equal to 0"
    if not request.messages:
        yield "messages: at least one message is required"
    # OpenAI's temperature goes to 2.
    if request.temperature is not None and not 0 <= request.temperature <= 1:
        yield "temperature: range: 0..1"
    if request.top_p is not None and not 0 <= request.top_p <= 1:
        yield "top_p: range: 0..1"
    for number, mark in enumerate(request.stop_sequences or ()):
        if not mark.strip():
            yield f"stop_sequences.{number}: each stop sequence must contain non-whitespace"


def _blocks(request: MessagesRequest) -> Iterator[str]:
    for number, message in enumerate(request.messages):
        blocks, is_last = message.blocks(), number == len(request.messages) - 1
        if not message.content and not (is_last and message.role == "assistant"):
            yield (
                f"messages.{number}: all messages must have non-empty content except for the optional final assistant "
                "message"
            )
        for index, block in enumerate(blocks):
            yield from _block(block, message.role, f"messages.{number}.content.{index}")
        if is_last and message.role == "assistant" and blocks and (blocks[-1].text or "").endswith((" ", "\n")):
            yield "messages: final assistant content cannot end with trailing whitespace"


def _block(block: Block, role: str, place: str) -> Iterator[str]:
    if block.type not in _BLOCKS:
        yield f"{place}: Input tag '{block.type[:64]}' found using 'type' does not match any of the expected tags"
        return
    if block.type in _NOT_SAID_BY[role]:
        yield f"{place}: `{block.type}` blocks are not permitted in {role} messages"
    for field in _BLOCKS[block.type]:
        if getattr(block, field) in (None, msgspec.UNSET):
            yield f"{place}.{block.type}.{field}: Field required"
    if block.type == "text" and block.text is not None and not block.text.strip():
        what = "contain non-whitespace text" if block.text else "be non-empty"
        yield f"messages: text content blocks must {what}"
    if block.source is not None and block.type in ("image", "document"):
        yield from _source(block, place)
    if block.type == "tool_result" and isinstance(block.content, list):
        for index, inner in enumerate(block.content):
            yield from _block(inner, "user", f"{place}.content.{index}")


def _source(block: Block, place: str) -> Iterator[str]:
    source = block.source
    assert source is not None
    for field in _SOURCES.get(source.type, ("type",)):
        if source.type not in _SOURCES or getattr(source, field) is None:
            yield f"{place}.{block.type}.source.{source.type[:64]}.{field}: Field required"
    if block.type == "image" and source.type == "base64" and not (source.media_type or "").startswith("image/"):
        yield f"{place}.image.source.base64.media_type: Input should be an image's type"


def _tool_pairs(request: MessagesRequest) -> Iterator[str]:
    turns = _turns(request)
    for before, turn in zip([None, *turns], [*turns, None], strict=True):
        called = _ids(before, "tool_use") if before and before.role == "assistant" else []
        answered = _leading_results(turn) if turn and turn.role == "user" else []
        if before and (missing := [call for call in called if call not in answered]):
            yield (
                f"messages.{before.place}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
        for result in _ids(turn, "tool_result") if turn else []:
            if result not in called:
                yield (
                    f"messages.{turn.place if turn else 0}: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{result}. Each `tool_result` block must have a corresponding `tool_use` block in the previous "
                    "message."
                )
        if len(set(called)) < len(called):
            yield "messages: `tool_use` ids must be unique"


def _thinking(request: MessagesRequest) -> Iterator[str]:
    for number, message in enumerate(request.messages):
        for index, block in enumerate(message.blocks()):
            if not _is_unchanged(block):
                yield f"messages.{number}.content.{index}: Invalid `signature` in `{block.type}` block"
    thinking = request.thinking
    if thinking is None or not thinking.is_on:
        return
    if request.temperature not in (None, 1):
        yield "`temperature` may only be set to 1 when thinking is enabled."
    if request.top_k is not None:
        yield "`top_k` must be unset when thinking is enabled."
    if request.tool_choice and request.tool_choice.type in ("any", "tool"):
        yield "Thinking may not be enabled when tool_choice forces tool use."
    if thinking.type == "enabled":
        yield from _thinking_budget(request)
        yield from _thinking_kept(_turns(request))


def _is_unchanged(block: Block) -> bool:
    if block.type == "thinking":
        return is_signed(block.thinking or "", block.signature or "")
    return block.type != "redacted_thinking" or is_signed(REDACTED, block.data or "")


def _thinking_budget(request: MessagesRequest) -> Iterator[str]:
    budget = request.thinking.budget_tokens if request.thinking else None
    if budget is None:
        yield "thinking.enabled.budget_tokens: Field required"
    elif budget < THINKING_BUDGET_TOKENS_MIN:
        yield f"thinking.enabled.budget_tokens: Input should be greater than or equal to {THINKING_BUDGET_TOKENS_MIN}"
    elif request.max_tokens is not None and budget >= request.max_tokens:
        yield "`max_tokens` must be greater than `thinking.budget_tokens`."


def _thinking_kept(turns: list[_Turn]) -> Iterator[str]:
    """While tools are being called, the turn that called them must still begin with its thinking."""
    if len(turns) < 2 or not _leading_results(turns[-1]):
        return
    calling = turns[-2]
    if calling.blocks[0].type not in ("thinking", "redacted_thinking"):
        yield (
            f"messages.{calling.place}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{calling.blocks[0].type}`. When `thinking` is enabled, a final `assistant` message must start with a "
            "thinking block."
        )


def _tools(request: MessagesRequest) -> Iterator[str]:
    tools, choice = request.tools or [], request.tool_choice
    for number, tool in enumerate(tools):
        if tool.is_custom and tool.input_schema is None:
            yield f"tools.{number}.custom.input_schema: Field required"
        elif tool.is_custom and (tool.input_schema or {}).get("type") != "object":
            yield f"tools.{number}.custom.input_schema.type: Input should be 'object'"
        if not _TOOL_NAME.fullmatch(tool.name):
            yield f"tools.{number}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        yield "tools: Tool names must be unique."
    if choice is None:
        return
    if not tools and choice.type != "none":
        yield "tool_choice: may only be specified while providing tools"
    if choice.type == "tool" and choice.name not in names:
        yield f"Tool '{(choice.name or '')[:128]}' not found in provided tools"


def _output_schema(request: MessagesRequest) -> Iterator[str]:
    output_format = request.output_config.format if request.output_config else None
    if output_format is not None and _has_open_object(output_format.schema):
        yield ("output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false")


def _has_open_object(schema: Any, depth: int = 0) -> bool:
    if depth > SCHEMA_DEPTH_MAX:
        return False
    if isinstance(schema, list):
        return any(_has_open_object(part, depth + 1) for part in schema)
    if not isinstance(schema, dict):
        return False
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return True
    # Names of properties are not words of the schema.
    parts = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    return _has_open_object([*parts, *(schema.get(word) for word in _NESTED)], depth + 1)


_NESTED: Final = ("items", "anyOf", "allOf", "oneOf")
_RULES: Final[tuple[Callable[[MessagesRequest], Iterator[str]], ...]] = (
    _limits, _blocks, _tool_pairs, _thinking, _tools, _output_schema,
)  # fmt: skip


def _turns(request: MessagesRequest) -> list[_Turn]:
    turns: list[_Turn] = []
    for number, message in enumerate(request.messages):
        if message.role == "system":
            continue
        if turns and turns[-1].role == message.role:
            turns[-1].blocks.extend(message.blocks())
        else:
            turns.append(_Turn(number, message.role, list(message.blocks())))
    return turns


def _ids(turn: _Turn | None, kind: str) -> list[str]:
    blocks = turn.blocks if turn else []
    return [(block.id if kind == "tool_use" else block.tool_use_id) or "" for block in blocks if block.type == kind]


def _leading_results(turn: _Turn) -> list[str]:
    """The results that stand before anything else: the API does not look for more."""
    found: list[str] = []
    for block in turn.blocks:
        if block.type != "tool_result":
            break
        found.append(block.tool_use_id or "")
    return found
