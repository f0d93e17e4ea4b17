"""The caller's request in Anthropic's words: decoded, checked, and encoded again for a vendor.

Called by the surface `/v1/messages` and by each attempt. Only what routing, bounds and checks need is
decoded; every other field goes to the vendor byte for byte. Invariant: a MessagesBody that exists holds.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NoReturn

import msgspec

from app.providers.dialects.anthropic.blocks import Block, CacheControl, Message, Tool
from app.providers.dialects.anthropic.prices import check_prices
from app.providers.dialects.conversation import Encoded
from app.providers.dialects.fields import Fields, decode_fields, encode, not_json
from app.providers.errors import BodyInvalid
from app.providers.vendors import DialectName, Vendor

VERSION: Final = "2023-06-01"
MESSAGES_MAX: Final = 100_000  # Anthropic's own limit (Messages API reference, 2026-11)
OUTPUT_TOKENS_MAX: Final = 2_000_000
THINKING_TOKENS_MIN: Final = 1_024  # Anthropic's own ("Extended thinking", 2026-11)
BETAS_MAX: Final = 64
_ROLES: Final = ("user", "assistant", "system")
_NEEDED_FIELDS: Final = MappingProxyType({"text": "text", "image": "source", "document": "source"})
_BETA: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# With it the budget is for a whole turn of several requests, and may be larger than one answer.
_INTERLEAVED_THINKING: Final = "interleaved-thinking-"
_NO_METADATA: Final[Mapping[str, str]] = MappingProxyType({})


class _Metadata(msgspec.Struct, frozen=True):
    user_id: str | None = None


class _Thinking(msgspec.Struct, frozen=True):
    type: str
    budget_tokens: int | None = None


class _Format(msgspec.Struct, frozen=True):
    type: str


class _OutputConfig(msgspec.Struct, frozen=True):
    format: _Format | None = None


class _Fields(msgspec.Struct, frozen=True):
    model: str | None = None
    messages: list[Message] | None = None
    system: str | list[Block] | None = None
    max_tokens: int | None = None
    stream: bool | None = None
    tools: list[Tool] | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None  # its older place
    metadata: _Metadata | None = None
    cache_control: CacheControl | None = None


_decode_known: Final = msgspec.json.Decoder(_Fields).decode


class MessagesBody(msgspec.Struct, frozen=True, kw_only=True):
    """A checked request for a message, or for the count of its tokens.

    `raw` holds the bytes as they came, `fields` the same of each field.
    """

    raw: bytes
    fields: Fields
    model: str
    messages: list[Message]
    system: str | list[Block] | None
    tools: list[Tool]
    is_streamed: bool
    output_tokens_wanted: int | None  # None only where a count is asked for
    has_tools: bool
    wants_json_schema: bool
    end_user: str | None
    betas: tuple[str, ...]
    version: str
    wants_usage: bool = True  # every stream of Anthropic's tells it
    choices: int = 1
    metadata: Mapping[str, str] = _NO_METADATA
    dialect: DialectName = "anthropic"


def decode_messages(
    raw: bytes, *, betas: tuple[str, ...] = (), version: str = VERSION, is_count: bool = False
) -> MessagesBody:
    """Decode and check a request. Raises BodyInvalid, which names the field as Anthropic does: `messages.0.content`.

    `betas` and `version` come from the headers. A count of tokens is free, and so held to no rule of prices.
    """
    _check_headers(betas, version)
    known, fields = _decode(raw)
    model = known.model.strip() if known.model else ""
    if not model:
        raise BodyInvalid("model", "You must give a model: 'auto', 'auto/<policy>', or 'provider/model'.")
    messages = _checked_messages(known.messages)
    if isinstance(known.system, list):
        _check_blocks("system", known.system)
    if not is_count:
        _check_limits(known, betas)
        check_prices(
            fields, betas, cached=known.cache_control, system=known.system, messages=messages, tools=known.tools
        )
    return MessagesBody(
        raw=raw,
        fields=fields,
        model=model,
        messages=messages,
        system=known.system,
        tools=known.tools or [],
        is_streamed=bool(known.stream) and not is_count,
        output_tokens_wanted=known.max_tokens,
        has_tools=bool(known.tools),
        wants_json_schema=_wants_json_schema(known),
        end_user=known.metadata.user_id if known.metadata else None,
        betas=betas,
        version=version,
    )


def encode_request(body: MessagesBody, *, model: str, output_tokens_limit: int | None, vendor: Vendor) -> Encoded:
    """Write the request for one attempt: the vendor's model, the limit, and the headers that the caller sent.

    `output_tokens_limit` None sends the caller's own limit. `vendor` is not looked at: all heed the same fields.
    """
    fields: dict[str, object] = {**body.fields, "model": model}
    if output_tokens_limit is not None:
        fields["max_tokens"] = output_tokens_limit
    headers = [("anthropic-version", body.version)]
    if body.betas:
        headers.append(("anthropic-beta", ",".join(body.betas)))
    return Encoded(body=encode(fields), headers=tuple(headers))


def _check_headers(betas: tuple[str, ...], version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise BodyInvalid("anthropic-version", f"'anthropic-version' is a date such as '{VERSION}'.")
    if len(betas) > BETAS_MAX or not all(_BETA.fullmatch(beta) for beta in betas):
        raise BodyInvalid("anthropic-beta", f"'anthropic-beta' holds at most {BETAS_MAX} names, parted by commas.")


def _decode(raw: bytes) -> tuple[_Fields, Fields]:
    try:
        return _decode_known(raw), decode_fields(raw)
    except msgspec.ValidationError as error:
        _raise_invalid(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(raw, error) from None


def _raise_invalid(error: msgspec.ValidationError) -> NoReturn:
    # "Expected `str`, got `int` - at `$.messages[0].role`" becomes "messages.0.role: Expected `str`, got `int`".
    reason, _, path = str(error).partition(" - at `$")
    param = path.rstrip("`").replace("[...]", "").replace("[", ".").replace("]", "").removeprefix(".") or None
    if param is None:
        raise BodyInvalid(None, f"The body must be a JSON object. {reason}.") from None
    raise BodyInvalid(param, f"{param}: {reason}.") from None


def _checked_messages(messages: list[Message] | None) -> list[Message]:
    if not messages:
        raise BodyInvalid("messages", "messages: at least one message is required.")
    if len(messages) > MESSAGES_MAX:
        raise BodyInvalid("messages", f"messages: there are {len(messages)}; at most {MESSAGES_MAX}.")
    for index, message in enumerate(messages):
        if message.role not in _ROLES:
            path = f"messages.{index}.role"
            raise BodyInvalid(path, f"{path}: unknown role; use one of {', '.join(_ROLES)}.")
        if isinstance(message.content, list):
            _check_blocks(f"messages.{index}.content", message.content)
    return messages


def _check_blocks(path: str, blocks: list[Block]) -> None:
    for number, block in enumerate(blocks):
        if not block.type:
            raise BodyInvalid(f"{path}.{number}.type", f"{path}.{number}.type: field required.")
        needed = _NEEDED_FIELDS.get(block.type)
        if needed is not None and getattr(block, needed) is None:
            field = f"{path}.{number}.{needed}"
            raise BodyInvalid(field, f"{field}: a block of type '{block.type}' needs '{needed}'.")


def _check_limits(known: _Fields, betas: tuple[str, ...]) -> None:
    limit = known.max_tokens
    if limit is None:
        raise BodyInvalid("max_tokens", "max_tokens: field required.")
    if not 0 <= limit <= OUTPUT_TOKENS_MAX:  # 0 only fills the cache
        message = f"max_tokens: must be between 0 and {OUTPUT_TOKENS_MAX}; got {str(limit)[:24]}."
        raise BodyInvalid("max_tokens", message)
    thinking = known.thinking
    if thinking is None or thinking.type != "enabled":
        return
    path, budget = "thinking.budget_tokens", thinking.budget_tokens
    if budget is None or budget < THINKING_TOKENS_MIN:
        raise BodyInvalid(path, f"{path}: must be at least {THINKING_TOKENS_MIN}.")
    is_interleaved = any(beta.startswith(_INTERLEAVED_THINKING) for beta in betas)
    if budget >= limit and not is_interleaved:
        raise BodyInvalid(path, f"{path}: thinking counts within 'max_tokens' ({limit}) and must be less than it.")


def _wants_json_schema(known: _Fields) -> bool:
    current = known.output_config.format if known.output_config else None
    return "json_schema" in [given.type for given in (current, known.output_format) if given is not None]
