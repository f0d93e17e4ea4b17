"""How many input tokens a request in Anthropic's words can cost at most, and the facts that routing reads.

Called once per request. Invariant: the bound is never less than a provider's count, as far as the provider
sees only what we forward. Every byte that we forward is counted, whatever field it stands in; images are
taken out and counted apart, by a table, and what we do not see is named.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from app.providers.dialects.anthropic.blocks import Block, Source, Tool, blocks_in, text_of
from app.providers.dialects.anthropic.body import MessagesBody
from app.providers.dialects.bounds import (
    BYTES_PER_MESSAGE,
    BYTES_PER_TOKEN_ESTIMATE,
    IMAGE_TOKENS_ESTIMATE,
    IMAGE_TOKENS_MAX,
    TEMPLATE_TOKENS,
    TOOLS_TEMPLATE_TOKENS,
    earlier_of,
    instruction_of,
    payload_bytes,
    system_of,
    text_tokens_max,
)
from app.routing.candidate import Feature
from app.routing.decision import RequestFacts

# Blocks whose bytes are all that a provider counts; those with a feature no other dialect knows.
_COUNTED_BY_BYTES: Final[dict[str, Feature | None]] = {
    "text": None,
    "tool_use": None,
    "tool_result": None,
    # What is signed or redacted is the thinking itself, enciphered; it is not shorter than its tokens.
    "thinking": None,
    "redacted_thinking": None,
    "search_result": Feature.PROVIDER_BLOCKS,
    "browser_state": Feature.PROVIDER_BLOCKS,
}

# What a typed tool's own definition adds, at least twice what is documented: 245 for bash, 700 for the editor,
# 735 and 499 for the computer, 4,500 and 6,600 for the toolsets (Anthropic's pages on tool use, 2026-09).
_TYPED_TOOL_TOKENS: Final = (
    ("bash_", 512),
    ("text_editor_", 1_536),
    ("memory_", 2_048),
    ("computer_toolset_", 9_216),
    ("computer_", 2_560),
    ("browser_toolset_", 13_312),
)

# A page of a scan or a print, as it goes; only for the estimate.
_DOCUMENT_BYTES_PER_PAGE_ESTIMATE: Final = 50_000
_DOCUMENT_TOKENS_PER_PAGE_ESTIMATE: Final = 3_000


class _Media(NamedTuple):
    """What stands in the blocks beside text. `payload_bytes` are of the body, and no text."""

    payload_bytes: int = 0
    images: int = 0
    pages_estimate: int = 0
    is_unbounded: bool = False
    features: frozenset[Feature] = frozenset()


_NO_MEDIA: Final = _Media()


class _Words(NamedTuple):
    """What the messages and the system say."""

    instruction: str  # the last of the user's; results of tools are no part of it
    earlier: tuple[str, ...]  # those before, the newest first
    system: str
    turns: int
    bytes_estimate: int


def facts_of(body: MessagesBody) -> RequestFacts:
    """Read what routing needs off a request's body."""
    words, media = _words_of(body), _media_of(body)
    return RequestFacts(
        request_model=body.model,
        instruction=instruction_of(words.instruction),
        system=words.system,
        earlier=words.earlier,
        content=body.raw,
        input_tokens_bound=_tokens_max(body, media),
        image_tokens_bound=media.images * IMAGE_TOKENS_MAX,  # of a provider whose dialect says no maximum
        input_tokens_estimate=_tokens_estimate(body, words, media),
        output_tokens_wanted=body.output_tokens_wanted,
        turns=words.turns,
        has_tools=body.has_tools,
        has_images=media.images > 0,
        images=media.images,
        wants_json_schema=body.wants_json_schema,
        features=media.features,
        is_streamed=body.is_streamed,
        is_unbounded=media.is_unbounded,
        metadata=dict(body.metadata),
    )


def input_tokens_bound(body: MessagesBody) -> tuple[int, bool]:
    """The most input tokens that all but the images can cost, and whether there is content that we do not see."""
    media = _media_of(body)
    return _tokens_max(body, media), media.is_unbounded


def _tokens_max(body: MessagesBody, media: _Media) -> int:
    template_tokens = TEMPLATE_TOKENS + (TOOLS_TEMPLATE_TOKENS if body.has_tools or body.wants_json_schema else 0)
    template_tokens += sum([_typed_tool_tokens(tool.type) for tool in body.tools])
    return text_tokens_max(body.raw) - media.payload_bytes + template_tokens


def _tokens_estimate(body: MessagesBody, words: _Words, media: _Media) -> int:
    """Without tools only text is counted, with them all that is not a medium: results and definitions are JSON."""
    size = words.bytes_estimate
    if body.has_tools or body.wants_json_schema:
        size = max(size, len(body.raw) - media.payload_bytes)
    media_tokens = media.images * IMAGE_TOKENS_ESTIMATE + media.pages_estimate * _DOCUMENT_TOKENS_PER_PAGE_ESTIMATE
    return size // BYTES_PER_TOKEN_ESTIMATE + media_tokens + 1


def _words_of(body: MessagesBody) -> _Words:
    instructions: list[str] = []
    system = [text_of(body.system)] if body.system else []
    size = len(body.messages) * BYTES_PER_MESSAGE + sum(map(len, system))
    for message in body.messages:
        text = message.text()
        size += len(text)
        if message.role == "system":
            system.append(text)
        elif message.role == "user" and text:
            instructions.append(text)
    return _Words(
        instructions[-1] if instructions else "",
        earlier_of(instructions) if len(instructions) > 1 else (),
        system_of(system) if system else "",
        len(instructions),
        size,
    )


def _media_of(body: MessagesBody) -> _Media:
    contents = [body.system, *[message.content for message in body.messages]]
    blocks = [block for content in contents if isinstance(content, list) for block in blocks_in(content)]
    return _media_in(blocks, body.tools) if blocks or body.tools else _NO_MEDIA


def _media_in(blocks: Iterable[Block], tools: Iterable[Tool]) -> _Media:
    size = images = pages = 0
    is_unbounded = False
    features = {Feature.PROVIDER_BLOCKS} if any(_is_typed(tool.type) for tool in tools) else set()
    for block in blocks:
        if block.type in _COUNTED_BY_BYTES:
            feature = _COUNTED_BY_BYTES[block.type]
            features |= {feature} if feature else set()
            continue
        source = block.source if isinstance(block.source, Source) else Source(type="")
        payload = payload_bytes(source.data) if source.type == "base64" and source.data else 0
        match block.type, source.type:
            case "image", _:
                images += 1
                size += payload
            case "document", "text" | "content":
                features.add(Feature.DOCUMENTS)
            case "document", _:
                # A PDF's text is compressed, and so is longer than its bytes tell.
                features.add(Feature.DOCUMENT_URLS if source.type == "url" else Feature.DOCUMENTS)
                is_unbounded = True
                size += payload
                pages += 1 + payload // _DOCUMENT_BYTES_PER_PAGE_ESTIMATE
            case _:
                features.add(Feature.PROVIDER_BLOCKS)
                is_unbounded = True
        if source.type == "file":
            features.add(Feature.FILES)
    return _Media(size, images, pages, is_unbounded, frozenset(features))


def _is_typed(tool_type: str | None) -> bool:
    return tool_type not in (None, "custom")


def _typed_tool_tokens(tool_type: str | None) -> int:
    if tool_type is None or not _is_typed(tool_type):
        return 0
    most = max(tokens for _, tokens in _TYPED_TOOL_TOKENS)
    return next((tokens for beginning, tokens in _TYPED_TOOL_TOKENS if tool_type.startswith(beginning)), most)
