"""The content of Anthropic's messages as decoded: blocks, sources and tools, as far as checks and bounds need them.

Read by `body`, `prices` and `bound`. What has no field here stays in the raw bytes. Invariant: `blocks_in`
reaches whatever can carry a cache point, a medium or a tool, however deep it lies.
"""

from collections.abc import Iterator

import msgspec


class CacheControl(msgspec.Struct, frozen=True):
    """A cache point, and how long the cache is kept."""

    ttl: str | None = None


class Tool(msgspec.Struct, frozen=True):
    """A tool on offer; without a type it is the caller's own function."""

    type: str | None = None
    cache_control: CacheControl | None = None


class ToolChange(msgspec.Struct, frozen=True):
    """A tool that is offered from here on: by its name, or with its definition."""

    definition: Tool | None = None


class Source(msgspec.Struct, frozen=True):
    """Where an image or a document comes from; `type` is 'base64', 'url', 'file', 'text' or 'content'."""

    type: str
    data: str | None = None
    content: "str | list[Block] | None" = None


class Block(msgspec.Struct, frozen=True):
    """One block of a message, of the system's text or of a tool's result. Blocks may lie within blocks.

    Where a result of the provider's own tools holds an object, it is read as a block too.
    """

    type: str = ""
    text: str | None = None
    source: Source | str | None = None  # a search result's is its address
    content: "str | list[Block] | Block | None" = None
    cache_control: CacheControl | None = None
    tool: ToolChange | None = None
    tool_changes: "list[Block] | None" = None


class Message(msgspec.Struct, frozen=True):
    """One turn."""

    role: str
    content: str | list[Block]

    def text(self) -> str:
        """The message's own text, its blocks joined by line ends; results of tools are no part of it."""
        return text_of(self.content)


def text_of(content: str | list[Block] | None) -> str:
    """Join a content's own texts."""
    if isinstance(content, list):
        return "\n".join(block.text for block in content if block.text)
    return content or ""


def blocks_in(content: str | list[Block] | None) -> Iterator[Block]:
    """Every block of a content, those within blocks too, in no particular order."""
    if not isinstance(content, list):
        return
    waiting = list(content)
    while waiting:
        block = waiting.pop()
        yield block
        for inner in (block.content, block.source, block.tool_changes):
            if isinstance(inner, Source):
                inner = inner.content
            if isinstance(inner, list):
                waiting += inner
            elif isinstance(inner, Block):
                waiting.append(inner)
