"""How many input tokens a chat request can cost at most, and the facts that routing reads.

Called once per request. Invariant: the bound is never less than a provider's count, as far as the
provider sees only what we forward. It counts every byte that we forward, whatever field it stands in,
because a tokenizer makes at most one token of a byte; images are taken out and counted apart, by a table, and
what we do not see is named.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from app.providers.dialects.bounds import (
    BYTES_PER_MESSAGE,
    BYTES_PER_TOKEN_ESTIMATE,
    IMAGE_TOKENS_ESTIMATE,
    IMAGE_TOKENS_MAX,
    IMAGE_TOKENS_MAX_BY_DETAIL,
    TEMPLATE_TOKENS,
    TOOLS_TEMPLATE_TOKENS,
    earlier_of,
    instruction_of,
    payload_bytes,
    system_of,
    text_tokens_max,
)
from app.providers.dialects.openai.body import ChatBody, ImageURL, Part
from app.providers.dialects.openai.features import features_of
from app.routing.decision import RequestFacts

_SYSTEM_ROLES: Final = frozenset({"system", "developer"})


class _Words(NamedTuple):
    """What the messages say."""

    instruction: str  # the last of the user's
    earlier: tuple[str, ...]  # those before, the newest first
    system: str
    turns: int
    bytes_estimate: int


class _Media(NamedTuple):
    """What stands in the messages beside text. `payload_bytes` are of the body, and no text."""

    payload_bytes: int = 0
    images: int = 0
    image_tokens_max: int = 0
    is_unbounded: bool = False


_NO_MEDIA: Final = _Media()


def facts_of(body: ChatBody) -> RequestFacts:
    """Read what routing needs off a request's body."""
    words, media = _words_of(body), _media_of(body)
    return RequestFacts(
        request_model=body.model,
        instruction=instruction_of(words.instruction),
        system=words.system,
        earlier=words.earlier,
        content=body.raw,
        input_tokens_bound=_tokens_max(body, media),
        image_tokens_bound=media.image_tokens_max,
        input_tokens_estimate=_tokens_estimate(body, words, media),
        output_tokens_wanted=body.output_tokens_wanted,
        choices=body.choices,
        turns=words.turns,
        has_tools=body.has_tools,
        has_images=media.images > 0,
        images=media.images,
        wants_json_schema=body.wants_json_schema,
        features=features_of(body),
        is_streamed=body.is_streamed,
        is_unbounded=media.is_unbounded,
        is_output_unbounded=body.has_prediction,  # what is rejected of it is billed as output
        metadata=dict(body.metadata),
    )


def input_tokens_bound(body: ChatBody) -> tuple[int, bool]:
    """The most input tokens that all but the images can cost, and whether there is content that we do not see."""
    media = _media_of(body)
    return _tokens_max(body, media), media.is_unbounded


def _tokens_max(body: ChatBody, media: _Media) -> int:
    template_tokens = TEMPLATE_TOKENS + (TOOLS_TEMPLATE_TOKENS if body.has_tools or body.wants_json_schema else 0)
    return text_tokens_max(body.raw) - media.payload_bytes + template_tokens


def _tokens_estimate(body: ChatBody, words: _Words, media: _Media) -> int:
    size = words.bytes_estimate
    if body.has_tools or body.wants_json_schema:
        size = max(size, len(body.raw) - media.payload_bytes)
    return size // BYTES_PER_TOKEN_ESTIMATE + media.images * IMAGE_TOKENS_ESTIMATE + 1


def _words_of(body: ChatBody) -> _Words:
    instructions, system = list[str](), list[str]()
    size = len(body.messages) * BYTES_PER_MESSAGE
    for message in body.messages:
        text = message.text()
        size += len(text)
        if message.role == "user":
            instructions.append(text)
        elif message.role in _SYSTEM_ROLES:
            system.append(text)
    return _Words(
        instructions[-1] if instructions else "",
        earlier_of(instructions) if len(instructions) > 1 else (),
        system_of(system) if system else "",
        len(instructions),
        size,
    )


def _media_of(body: ChatBody) -> _Media:
    parts = [part for message in body.messages if isinstance(message.content, list) for part in message.content]
    return _media_in(parts) if parts else _NO_MEDIA


def _media_in(parts: Sequence[Part]) -> _Media:
    size = images = tokens = 0
    is_unbounded = False
    for part in parts:
        match part.type:
            case "text" | "refusal":
                continue
            case "image_url":
                image = part.image_url if isinstance(part.image_url, ImageURL) else ImageURL(url=part.image_url or "")
                images += 1
                tokens += IMAGE_TOKENS_MAX_BY_DETAIL.get(image.detail or "", IMAGE_TOKENS_MAX)
                size += payload_bytes(image.url) if image.url.startswith("data:") else 0
            case _:
                is_unbounded = True
    return _Media(size, images, tokens, is_unbounded)
