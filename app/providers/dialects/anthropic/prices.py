"""What a request in Anthropic's words may not ask for, because the price book could not tell what it costs.

Called by `body`. Rows, each with what to do instead. Invariant: a request that passes is billed by nothing
but its tokens, at the prices of the book (anthropic 2.12 SDK's types and Anthropic's pricing page, 2026-11).
"""

from typing import Final

import msgspec

from app.providers.dialects.anthropic.blocks import Block, CacheControl, Message, Tool, blocks_in
from app.providers.dialects.fields import UNREADABLE, Fields, WordRows, refused_field
from app.providers.errors import BodyInvalid

# Fields that change the price, or what is kept: the values allowed, what is wrong with others and what to do.
_FIELDS: Final[WordRows] = {
    "service_tier": (("auto", "standard_only"), "changes the price of a call; use 'auto' or 'standard_only'"),
    "speed": (("standard",), "changes the price of a call; leave it out or use 'standard'"),
    "inference_geo": (("global",), "changes the price of a call; leave it out or use 'global'"),
    "container": ((), "is billed by the hour and keeps data at the provider; leave it out"),
    "mcp_servers": ((), "lets the provider call tools that cannot be metered yet; call them yourself"),
    "fallbacks": ((), "changes the model and so the price; a policy names the models to fall back to"),
    "fallback_credit_token": ((), "changes the price of a call; leave it out"),
    "billing_policy": ((), "changes who is billed; leave it out"),
    "compaction": ((), "uses tokens that the answer's usage does not count; summarise in a request of its own"),
    "thread": ((), "keeps the conversation at the provider, out of sight; send all of its messages"),
}

# Features in preview that change the price of a call by being asked for: (how the name begins, what to do).
_BETAS: Final = (
    ("context-1m-", "leave it out: long context has a price of its own; current models need no beta for it"),
    ("fast-mode-", "leave it out: it has a price of its own"),
    ("code-execution-", "leave it out: containers are billed by the hour"),
    ("mcp-client-", "leave it out: the provider's calls of tools cannot be metered yet"),
)

# Typed tools that the caller runs, by how the type begins. All others Anthropic runs, and bills, itself.
_CALLERS_TOOLS: Final = ("bash_", "text_editor_", "memory_", "computer_", "browser_toolset_")
_OWN_FUNCTION: Final = (None, "custom")

# Edits of the context that are made without using tokens of their own.
_FREE_EDITS: Final = ("clear_tool_uses_", "clear_thinking_")
_CACHED_FOR: Final = (None, "5m")


class _Edit(msgspec.Struct, frozen=True):
    type: str


class _ContextManagement(msgspec.Struct, frozen=True):
    edits: list[_Edit] | None = None


_decode_management: Final = msgspec.json.Decoder(_ContextManagement | None).decode


def check_prices(
    fields: Fields,
    betas: tuple[str, ...],
    *,
    cached: CacheControl | None,
    system: str | list[Block] | None,
    messages: list[Message],
    tools: list[Tool] | None,
) -> None:
    """Refuse what cannot be metered. Raises BodyInvalid with what to do instead."""
    if refused := refused_field(fields, _FIELDS):
        name, remedy = refused
        raise BodyInvalid(name, f"{name}: it {remedy}.")
    for beta in betas:
        for beginning, remedy in _BETAS:
            if beta.startswith(beginning):
                raise BodyInvalid("anthropic-beta", f"anthropic-beta: '{beta}' changes the price of a call; {remedy}.")
    if "context_management" in fields:
        _check_edits(fields["context_management"])
    _check_cached("cache_control", cached)
    for number, tool in enumerate(tools or ()):
        _check_tool(f"tools.{number}", tool)
    if isinstance(system, list):
        _check_content("system", system)
    for number, message in enumerate(messages):
        if isinstance(message.content, list):
            _check_content(f"messages.{number}.content", message.content)


def _check_edits(raw: msgspec.Raw) -> None:
    try:
        management: _ContextManagement | None = _decode_management(raw)
    except UNREADABLE:
        raise BodyInvalid("context_management", "context_management: it does not hold.") from None
    for number, edit in enumerate((management and management.edits) or ()):
        if not edit.type.startswith(_FREE_EDITS):
            path = f"context_management.edits.{number}.type"
            raise BodyInvalid(path, f"{path}: it uses tokens that cannot be metered; the clearing edits are free.")


def _check_content(path: str, blocks: list[Block]) -> None:
    for block in blocks_in(blocks):
        if block.cache_control is not None:
            _check_cached(path, block.cache_control)
        if block.tool is not None and block.tool.definition is not None:
            _check_tool(path, block.tool.definition)


def _check_tool(path: str, tool: Tool) -> None:
    if tool.type not in _OWN_FUNCTION and not (tool.type or "").startswith(_CALLERS_TOOLS):
        raise BodyInvalid(path, f"{path}: Anthropic runs a tool of this type, which cannot be metered; run your own.")
    _check_cached(path, tool.cache_control)


def _check_cached(path: str, cached: CacheControl | None) -> None:
    if cached is not None and cached.ttl not in _CACHED_FOR:
        raise BodyInvalid(path, f"{path}: 'cache_control.ttl' changes the price of a call; leave it out or use '5m'.")
