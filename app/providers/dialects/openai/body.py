"""The caller's chat request in OpenAI's words: decoded, checked, and encoded again for a vendor.

Called by the surface `/v1/chat/completions` and by each attempt. Only what routing, bounds and checks
need is decoded; every other field goes to the vendor byte for byte. Invariant: a ChatBody that exists
holds.
"""

from collections.abc import Mapping
from typing import Final, NoReturn

import msgspec

from app.providers.dialects.conversation import Encoded
from app.providers.dialects.fields import (
    NULL,
    Fields,
    WordRows,
    decode_fields,
    decode_fields_or_null,
    encode,
    not_json,
    refused_field,
)
from app.providers.errors import BodyInvalid
from app.providers.vendors import DialectName, Vendor

MESSAGES_MAX: Final = 10_000
CHOICES_MAX: Final = 128
OUTPUT_TOKENS_MAX: Final = 2_000_000
METADATA_MAX: Final = 16
_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_OFF: Final = (NULL, msgspec.Raw(b"false"))
_USAGE_ASKED_FOR: Final = msgspec.Raw(b'{"include_usage":true}')

# Fields that change what a call costs in a way the price book does not know.
_PRICE_CHANGING: Final[WordRows] = {
    "service_tier": (("auto", "default", "flex"), "leave it out or use 'auto', 'default' or 'flex'"),
    "web_search_options": ((), "leave it out: searches are billed per call and cannot be metered yet"),
    "audio": ((), "leave it out: audio output cannot be metered yet"),
    "search_parameters": ((), "leave it out: searches are billed per call and cannot be metered yet"),
    "search_settings": ((), "leave it out: searches are billed per call and cannot be metered yet"),
    "enable_search": ((), "leave it out: searches are billed per call and cannot be metered yet"),
    "plugins": ((), "leave it out: plugins are billed per call and cannot be metered yet"),
    "provider": ((), "leave it out: a policy chooses the provider, and its price is the one that is billed"),
    "preset": ((), "leave it out: what it changes cannot be seen before the bill"),
    "best_of": ((), "leave it out: every answer that is thrown away is billed; 'n' asks for several"),
    "models": ((), "leave it out: a policy names the models to fall back to"),
}
# Tools that the caller runs. A provider's own, such as a web search, are billed per call beside the tokens.
_CALLERS_TOOLS: Final = frozenset({"function", "custom"})


class ImageURL(msgspec.Struct, frozen=True):
    """Where an image is: an address or a data URL."""

    url: str
    detail: str | None = None


class FileRef(msgspec.Struct, frozen=True):
    """A file by its id at the provider; one that brings its data has none."""

    file_id: str | None = None


class Part(msgspec.Struct, frozen=True):
    """One part of a message's content."""

    type: str
    text: str | None = None
    image_url: ImageURL | str | None = None  # some vendors take a bare address
    file: FileRef | None = None


class Message(msgspec.Struct, frozen=True):
    """One turn. Tool calls and names stay in the raw bytes."""

    role: str
    content: str | list[Part] | None = None
    audio: msgspec.Raw = NULL  # of an earlier answer, by its id at the provider

    def text(self) -> str:
        """The message's text, its parts joined by line ends."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""


class _ResponseFormat(msgspec.Struct, frozen=True):
    type: str


class _Tool(msgspec.Struct, frozen=True):
    type: str = "function"


class _StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class _Fields(msgspec.Struct, frozen=True):
    model: str | None = None
    messages: list[Message] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: list[_Tool] | None = None
    functions: list[msgspec.Raw] | None = None
    response_format: _ResponseFormat | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None


_decode_known: Final = msgspec.json.Decoder(_Fields).decode


class ChatBody(msgspec.Struct, frozen=True, kw_only=True):
    """A checked chat request. `raw` holds the bytes as they came, `fields` the same of each field."""

    raw: bytes
    fields: Fields
    model: str
    messages: list[Message]
    is_streamed: bool
    wants_usage: bool  # asked for the usage chunk of a stream
    choices: int
    output_tokens_wanted: int | None
    has_tools: bool
    has_custom_tools: bool  # such as take free text instead of JSON
    wants_json_schema: bool
    wants_json_object: bool  # JSON of no schema
    metadata: Mapping[str, str]
    end_user: str | None
    dialect: DialectName = "openai"

    @property
    def has_many_choices(self) -> bool:
        """Whether more than one answer is asked for."""
        return self.choices > 1

    @property
    def wants_logprobs(self) -> bool:
        """Whether the tokens' probabilities are asked for."""
        return self.fields.get("logprobs", NULL) not in _OFF

    @property
    def has_prediction(self) -> bool:
        """Whether the caller brings a part of the answer."""
        return self.fields.get("prediction", NULL) != NULL


def decode_chat(raw: bytes) -> ChatBody:
    """Decode and check a request. Raises BodyInvalid, which names the field."""
    known, fields = _decode(raw)
    model = known.model.strip() if known.model else ""
    if not model:
        raise BodyInvalid("model", "You must give a model: 'auto', 'auto/<policy>', or 'provider/model'.")
    messages = _checked_messages(known.messages)
    _check_prices(fields, known.tools)
    choices = _within("n", known.n, CHOICES_MAX)
    longest = _within("max_completion_tokens", known.max_completion_tokens, OUTPUT_TOKENS_MAX)
    older = _within("max_tokens", known.max_tokens, OUTPUT_TOKENS_MAX)
    answer_format = known.response_format.type if known.response_format is not None else "text"
    options, metadata = known.stream_options, known.metadata or {}
    if options is not None and not known.stream:
        raise BodyInvalid("stream_options", "'stream_options' is only allowed when 'stream' is true.")
    if len(metadata) > METADATA_MAX:
        raise BodyInvalid("metadata", f"'metadata' has {len(metadata)} entries; at most {METADATA_MAX}.")
    # No more than 15 keywords: CPython makes a dictionary of more, which costs three times as much.
    return ChatBody(
        raw=raw,
        fields=fields,
        model=model,
        messages=messages,
        is_streamed=bool(known.stream),
        wants_usage=options is not None and bool(options.include_usage),
        choices=choices or 1,
        # When both are given a vendor may heed either, so the larger one is what may be generated.
        output_tokens_wanted=max(longest or 0, older or 0) or None,
        has_tools=bool(known.tools or known.functions),
        has_custom_tools=known.tools is not None and any(tool.type == "custom" for tool in known.tools),
        wants_json_schema=answer_format == "json_schema",
        wants_json_object=answer_format == "json_object",
        metadata=metadata,
        end_user=known.user,
    )


def encode_request(body: ChatBody, *, model: str, output_tokens_limit: int | None, vendor: Vendor) -> Encoded:
    """Write the request for one attempt: the vendor's model and limit field, and usage asked for in a stream.

    `output_tokens_limit` is for one choice; None sends the caller's own limit, if any.
    """
    fields: dict[str, object] = {**body.fields, "model": model}
    limit = body.output_tokens_wanted if output_tokens_limit is None else output_tokens_limit
    fields.pop("max_completion_tokens", None)
    fields.pop("max_tokens", None)
    if limit is not None:
        fields[vendor.output_limit_field] = limit
    if body.is_streamed:
        fields.pop("stream_options", None)
        if vendor.has_stream_usage_option:
            fields["stream_options"] = _usage_asked_for(body.fields.get("stream_options"))
    return Encoded(body=encode(fields))


def _usage_asked_for(given: msgspec.Raw | None) -> object:
    if given is None:
        return _USAGE_ASKED_FOR
    return {**(decode_fields_or_null(given) or {}), "include_usage": True}


def _decode(raw: bytes) -> tuple[_Fields, Fields]:
    try:
        known, fields = _decode_known(raw), decode_fields(raw)
        # Read as it will be for each attempt: the names of options that we skip must hold too.
        if known.stream_options is not None:
            decode_fields(fields["stream_options"])
    except msgspec.ValidationError as error:
        raise_invalid(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(raw, error) from None
    return known, fields


def raise_invalid(error: msgspec.ValidationError) -> NoReturn:
    """Say which field does not hold. Raises BodyInvalid."""
    # msgspec's messages name types and a path, never a value: "Expected `str`, got `int` - at `$.messages[0].role`".
    reason, _, path = str(error).partition(" - at `$")
    param = path.rstrip("`").removeprefix(".") or None
    if param is None:
        raise BodyInvalid(None, f"The body must be a JSON object. {reason}.") from None
    raise BodyInvalid(param, f"Invalid '{param}': {reason}.") from None


def _check_prices(fields: Fields, tools: list[_Tool] | None) -> None:
    if refused := refused_field(fields, _PRICE_CHANGING):
        name, remedy = refused
        raise BodyInvalid(name, f"'{name}' changes the price of a call; {remedy}.")
    for index, tool in enumerate(tools or ()):
        if tool.type not in _CALLERS_TOOLS:
            path, kinds = f"tools[{index}].type", "' or '".join(sorted(_CALLERS_TOOLS, reverse=True))
            raise BodyInvalid(path, f"A provider's own tools cannot be metered yet; use tools of type '{kinds}'.")


def _checked_messages(messages: list[Message] | None) -> list[Message]:
    if not messages:
        raise BodyInvalid("messages", "'messages' must hold at least one message.")
    if len(messages) > MESSAGES_MAX:
        raise BodyInvalid("messages", f"'messages' holds {len(messages)} messages; at most {MESSAGES_MAX}.")
    for index, message in enumerate(messages):
        if message.role not in _ROLES:
            raise BodyInvalid(f"messages[{index}].role", f"Unknown role; use one of {', '.join(sorted(_ROLES))}.")
        if message.content is None and message.role not in ("assistant", "function"):
            raise BodyInvalid(f"messages[{index}].content", f"A message of role '{message.role}' needs content.")
        if message.audio != NULL:
            raise BodyInvalid(
                f"messages[{index}].audio", "Audio cannot be metered yet; send its transcript as content."
            )
        if isinstance(message.content, list):
            _check_parts(index, message.content)
    return messages


def _check_parts(index: int, parts: list[Part]) -> None:
    for number, part in enumerate(parts):
        if part.type == "input_audio":
            path = f"messages[{index}].content[{number}]"
            raise BodyInvalid(path, "Audio input has a price of its own that cannot be metered yet; send a transcript.")
        needed = {"text": part.text, "image_url": part.image_url}
        if part.type in needed and needed[part.type] is None:
            path = f"messages[{index}].content[{number}].{part.type}"
            raise BodyInvalid(path, f"A part of type '{part.type}' needs '{part.type}'.")


def _within(name: str, value: int | None, largest: int) -> int | None:
    if value is not None and not 1 <= value <= largest:
        raise BodyInvalid(name, f"'{name}' must be between 1 and {largest}; got {str(value)[:24]}.")
    return value
