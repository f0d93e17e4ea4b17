"""How many input tokens a chat request can cost at most, and the facts that routing reads.

Called once per request. Invariant: the bound is never less than a provider's count, as far as the
provider sees only what we forward. It counts every byte that we forward, whatever field it stands in,
because a tokenizer makes at most one token of a byte; media are taken out and counted by a table.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from app.providers.dialects.openai.body import ChatBody, ImageURL, Message, Part
from app.routing.decision import RequestFacts

# A chat template's own tokens, beyond the JSON syntax that is counted already.
TEMPLATE_TOKENS: Final = 64
TOOLS_TEMPLATE_TOKENS: Final = 512

# The dearest image in tokens: gpt-4o-mini, 2,833 + 5,667 for each of 8 tiles at most (OpenAI's vision guide).
IMAGE_TOKENS_MAX: Final = 48_169
IMAGE_TOKENS_MAX_BY_DETAIL: Final = {"low": 2_833}

# What a letter grows by when its marks are taken off it, at most; the test tries every character of Unicode.
PARTED_BYTES_MAX: Final = 9
WEIGHED_CHARS_MAX: Final = 65_536

# What classification reads of an instruction: its head and its tail.
INSTRUCTION_HEAD_CHARS: Final = 6_000
INSTRUCTION_TAIL_CHARS: Final = 2_000
SYSTEM_CHARS_MAX: Final = 4_000
_BYTES_PER_TOKEN_ESTIMATE: Final = 4
_BYTES_PER_MESSAGE: Final = 12


def read_facts(
    body: ChatBody,
    *,
    tags: tuple[str, ...] = (),
    metadata: Mapping[str, str] | None = None,
    policy_name: str | None = None,
    cost_nano_usd_max: int | None = None,
    no_fallback: bool = False,
) -> RequestFacts:
    """Read what routing needs off a request; `metadata` from the header is laid over the body's."""
    tokens_max, is_unbounded = input_tokens_bound(body)
    return RequestFacts(
        request_model=body.model,
        instruction=_instruction(body.messages),
        system=_system(body.messages),
        input_tokens_bound=tokens_max,
        input_tokens_estimate=_input_tokens_estimate(body),
        output_tokens_wanted=body.output_tokens_wanted,
        choices=body.choices,
        turns=sum(message.role == "user" for message in body.messages),
        has_tools=body.has_tools,
        has_images=any(part.type == "image_url" for part in _parts(body)),
        wants_json_schema=body.wants_json_schema,
        is_streamed=body.is_streamed,
        is_unbounded=is_unbounded,
        tags=tags,
        metadata={**body.metadata, **(metadata or {})},
        policy_name=policy_name,
        cost_nano_usd_max=cost_nano_usd_max,
        no_fallback=no_fallback,
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
    template_tokens = TEMPLATE_TOKENS + (TOOLS_TEMPLATE_TOKENS if body.has_tools else 0)
    return _text_bytes(body.raw) - media_bytes + media_tokens + template_tokens, is_unbounded


def _text_bytes(raw: bytes) -> int:
    """The larger of the JSON's own bytes (never fewer than its text's) and of what its text can grow to by NFKC.

    Some tokenizers normalise before they count: U+FDFA, 3 bytes, becomes 33. Escapes are undone first;
    not by decoding the JSON, which would hide repeated keys that another parser may read.
    """
    if raw.isascii() and b"\\u" not in raw:
        return len(raw)
    text = raw.decode(errors="replace").encode("raw_unicode_escape").decode("raw_unicode_escape", errors="replace")
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", errors="replace")  # joins escaped pairs
    return max(len(raw), _nfkc_bytes_max(text))


def _nfkc_bytes_max(text: str) -> int:
    """The most bytes that NFKC makes of a text, told by its characters.

    It is not normalised itself: putting a long run of combining marks in order takes quadratic time.
    """
    size = marks = parted = 0
    for char, count in Counter(text).items():
        weight = _weight_of(char)
        size += weight.nfkc_bytes * count
        marks += count if weight.is_mark else 0
        parted += count if weight.may_part else 0
    # A mark that comes between a composed letter and one of its own keeps them apart.
    return size + PARTED_BYTES_MAX * min(marks, parted)


class _Weight(NamedTuple):
    nfkc_bytes: int
    is_mark: bool
    may_part: bool


@lru_cache(maxsize=WEIGHED_CHARS_MAX)
def _weight_of(char: str) -> _Weight:
    composed, apart = unicodedata.normalize("NFKC", char), unicodedata.normalize("NFKD", char)
    size = len(composed.encode())
    return _Weight(size, unicodedata.combining(apart[0]) > 0, len(apart.encode()) > size)


def _image(part: Part) -> tuple[int, int]:
    image = part.image_url if isinstance(part.image_url, ImageURL) else ImageURL(url=part.image_url or "")
    tokens = IMAGE_TOKENS_MAX_BY_DETAIL.get(image.detail or "", IMAGE_TOKENS_MAX)
    # Only an ASCII payload is taken out: the JSON's bytes hold it at least at its full length.
    is_payload = image.url.startswith("data:") and image.url.isascii()
    return (len(image.url) if is_payload else 0), tokens


def _input_tokens_estimate(body: ChatBody) -> int:
    text_bytes = sum(len(message.text()) + _BYTES_PER_MESSAGE for message in body.messages)
    if body.has_tools or body.wants_json_schema:
        text_bytes = max(text_bytes, len(body.raw))
    images = sum(part.type == "image_url" for part in _parts(body))
    return text_bytes // _BYTES_PER_TOKEN_ESTIMATE + images * 1_000 + 1


def _parts(body: ChatBody) -> list[Part]:
    return [part for message in body.messages if isinstance(message.content, list) for part in message.content]


def _instruction(messages: list[Message]) -> str:
    text = next((message.text() for message in reversed(messages) if message.role == "user"), "")
    if len(text) <= INSTRUCTION_HEAD_CHARS + INSTRUCTION_TAIL_CHARS:
        return text
    return text[:INSTRUCTION_HEAD_CHARS] + "\n…\n" + text[-INSTRUCTION_TAIL_CHARS:]


def _system(messages: list[Message]) -> str:
    texts = [message.text() for message in messages if message.role in ("system", "developer")]
    return "\n".join(texts)[:SYSTEM_CHARS_MAX]
