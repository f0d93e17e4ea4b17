"""How many input tokens a chat request can cost at most, and the facts that routing reads.

Called once per request. Invariant: the bound is never less than a provider's count, as far as the
provider sees only what we forward. It counts every byte that we forward, whatever field it stands in,
because a tokenizer makes at most one token of a byte; media are taken out and counted by a table.
"""

from app.providers.dialects.bounds import (
    BYTES_PER_MESSAGE,
    BYTES_PER_TOKEN_ESTIMATE,
    IMAGE_TOKENS_ESTIMATE,
    IMAGE_TOKENS_MAX,
    IMAGE_TOKENS_MAX_BY_DETAIL,
    TEMPLATE_TOKENS,
    TOOLS_TEMPLATE_TOKENS,
    instruction_of,
    payload_bytes,
    system_of,
    text_tokens_max,
)
from app.providers.dialects.openai.body import ChatBody, ImageURL, Message, Part
from app.providers.dialects.openai.features import features_of
from app.routing.decision import RequestFacts


def facts_of(body: ChatBody) -> RequestFacts:
    """Read what routing needs off a request's body."""
    tokens_max, is_unbounded = input_tokens_bound(body)
    return RequestFacts(
        request_model=body.model,
        instruction=instruction_of(_last_instruction(body.messages)),
        system=system_of(message.text() for message in body.messages if message.role in ("system", "developer")),
        input_tokens_bound=tokens_max,
        input_tokens_estimate=_input_tokens_estimate(body),
        output_tokens_wanted=body.output_tokens_wanted,
        choices=body.choices,
        turns=sum(message.role == "user" for message in body.messages),
        has_tools=body.has_tools,
        has_images=any(part.type == "image_url" for part in _parts(body)),
        wants_json_schema=body.wants_json_schema,
        features=features_of(body),
        is_streamed=body.is_streamed,
        is_unbounded=is_unbounded,
        metadata=dict(body.metadata),
    )


def input_tokens_bound(body: ChatBody) -> tuple[int, bool]:
    """The most input tokens the request can cost, and whether it holds content that has no bound."""
    media_bytes = media_tokens = 0
    is_unbounded = body.has_prediction  # rejected predictions are billed as output, beyond the output limit
    for part in _parts(body):
        match part.type:
            case "text" | "refusal":
                continue
            case "image_url":
                size, tokens = _image(part)
            case _:
                is_unbounded = True
                continue
        media_bytes += size
        media_tokens += tokens
    template_tokens = TEMPLATE_TOKENS + (TOOLS_TEMPLATE_TOKENS if body.has_tools or body.wants_json_schema else 0)
    return text_tokens_max(body.raw) - media_bytes + media_tokens + template_tokens, is_unbounded


def _image(part: Part) -> tuple[int, int]:
    image = part.image_url if isinstance(part.image_url, ImageURL) else ImageURL(url=part.image_url or "")
    tokens = IMAGE_TOKENS_MAX_BY_DETAIL.get(image.detail or "", IMAGE_TOKENS_MAX)
    return (payload_bytes(image.url) if image.url.startswith("data:") else 0), tokens


def _input_tokens_estimate(body: ChatBody) -> int:
    images = [_image(part)[0] for part in _parts(body) if part.type == "image_url"]
    text_bytes = sum(len(message.text()) + BYTES_PER_MESSAGE for message in body.messages)
    if body.has_tools or body.wants_json_schema:
        text_bytes = max(text_bytes, len(body.raw) - sum(images))
    return text_bytes // BYTES_PER_TOKEN_ESTIMATE + len(images) * IMAGE_TOKENS_ESTIMATE + 1


def _parts(body: ChatBody) -> list[Part]:
    return [part for message in body.messages if isinstance(message.content, list) for part in message.content]


def _last_instruction(messages: list[Message]) -> str:
    return next((message.text() for message in reversed(messages) if message.role == "user"), "")
