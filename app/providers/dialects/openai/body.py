"""The caller's chat request in OpenAI's words: decoded, checked, and encoded again for a vendor.

Called by the surface `/v1/chat/completions` and by each attempt. Only what routing, bounds and checks
need is decoded; every other field goes to the vendor byte for byte. Invariant: a ChatBody that exists
holds.
"""

from collections.abc import Mapping
from typing import Final, NoReturn

import msgspec

from app.providers.dialects.conversation import Encoded
from app.providers.errors import BodyInvalid
from app.providers.vendors import DialectName, Vendor

MESSAGES_MAX: Final = 10_000
CHOICES_MAX: Final = 128
OUTPUT_TOKENS_MAX: Final = 2_000_000
METADATA_MAX: Final = 16
_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_OUTPUT_LIMIT_FIELDS: Final = ("max_completion_tokens", "max_tokens")
_ABSENT: Final = msgspec.Raw(b"null")
_OFF: Final = (_ABSENT, msgspec.Raw(b"false"))

# Fields that change what a call costs in a way the price book does not know: (field, allowed values, what to do).
_PRICE_CHANGING: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("service_tier", ("auto", "default", "flex"), "leave it out or use 'auto', 'default' or 'flex'"),
    ("web_search_options", (), "leave it out: searches are billed per call and cannot be metered yet"),
    ("audio", (), "leave it out: audio output cannot be metered yet"),
    ("search_parameters", (), "leave it out: searches are billed per call and cannot be metered yet"),
    ("plugins", (), "leave it out: plugins are billed per call and cannot be metered yet"),
    ("models", (), "leave it out: a policy names the models to fall back to"),
)
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
    prediction: msgspec.Raw = _ABSENT
    logprobs: msgspec.Raw = _ABSENT
    metadata: dict[str, str] | None = None
    user: str | None = None
    service_tier: msgspec.Raw = _ABSENT
    web_search_options: msgspec.Raw = _ABSENT
    audio: msgspec.Raw = _ABSENT
    search_parameters: msgspec.Raw = _ABSENT
    plugins: msgspec.Raw = _ABSENT
    models: msgspec.Raw = _ABSENT


class ChatBody(msgspec.Struct, frozen=True, kw_only=True):
    """A checked chat request. `raw` holds the bytes as they came."""

    raw: bytes
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
    wants_logprobs: bool
    has_prediction: bool
    metadata: Mapping[str, str]
    end_user: str | None
    dialect: DialectName = "openai"


def decode_chat(raw: bytes) -> ChatBody:
    """Decode and check a request. Raises BodyInvalid, which names the field."""
    fields = _decode(raw)
    if not fields.model or not fields.model.strip():
        raise BodyInvalid("model", "You must give a model: 'auto', 'auto/<policy>', or 'provider/model'.")
    messages = _checked_messages(fields.messages)
    _check_price_fields(fields)
    choices = _within("n", fields.n, CHOICES_MAX)
    answer_format = fields.response_format.type if fields.response_format is not None else "text"
    limits = [
        limit for name in _OUTPUT_LIMIT_FIELDS if (limit := _within(name, getattr(fields, name), OUTPUT_TOKENS_MAX))
    ]
    if fields.stream_options is not None and not fields.stream:
        raise BodyInvalid("stream_options", "'stream_options' is only allowed when 'stream' is true.")
    if fields.metadata is not None and len(fields.metadata) > METADATA_MAX:
        raise BodyInvalid("metadata", f"'metadata' has {len(fields.metadata)} entries; at most {METADATA_MAX}.")
    return ChatBody(
        raw=raw,
        model=fields.model.strip(),
        messages=messages,
        is_streamed=bool(fields.stream),
        wants_usage=fields.stream_options is not None and bool(fields.stream_options.include_usage),
        choices=choices or 1,
        # When both are given a vendor may heed either, so the larger one is what may be generated.
        output_tokens_wanted=max(limits, default=None),
        has_tools=bool(fields.tools or fields.functions),
        has_custom_tools=any(tool.type == "custom" for tool in fields.tools or ()),
        wants_json_schema=answer_format == "json_schema",
        wants_json_object=answer_format == "json_object",
        wants_logprobs=fields.logprobs not in _OFF,
        has_prediction=fields.prediction != _ABSENT,
        metadata=fields.metadata or {},
        end_user=fields.user,
    )


def encode_request(body: ChatBody, *, model: str, output_tokens_limit: int | None, vendor: Vendor) -> Encoded:
    """Write the request for one attempt: the vendor's model and limit field, and usage asked for in a stream.

    `output_tokens_limit` is for one choice; None sends the caller's own limit, if any.
    """
    fields = msgspec.json.decode(body.raw, type=dict[str, msgspec.Raw])
    fields["model"] = msgspec.Raw(msgspec.json.encode(model))
    limit = body.output_tokens_wanted if output_tokens_limit is None else output_tokens_limit
    for name in _OUTPUT_LIMIT_FIELDS:
        fields.pop(name, None)
    if limit is not None:
        fields[vendor.output_limit_field] = msgspec.Raw(b"%d" % limit)
    if body.is_streamed:
        _ask_for_usage(fields, vendor)
    return Encoded(body=msgspec.json.encode(fields))


def _ask_for_usage(fields: dict[str, msgspec.Raw], vendor: Vendor) -> None:
    given = fields.pop("stream_options", msgspec.Raw(b"{}"))
    if vendor.has_stream_usage_option:
        options = msgspec.json.decode(given, type=dict[str, msgspec.Raw] | None) or {}
        options["include_usage"] = msgspec.Raw(b"true")
        fields["stream_options"] = msgspec.Raw(msgspec.json.encode(options))


def _decode(raw: bytes) -> _Fields:
    try:
        fields = msgspec.json.decode(raw, type=_Fields)
        # Read as `encode_request` will read it: the names of fields that we skip must hold too.
        names = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        msgspec.json.decode(names.get("stream_options", _ABSENT), type=dict[str, msgspec.Raw] | None)
    except msgspec.ValidationError as error:
        raise_invalid(error)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = "it is empty" if not raw else str(error) if isinstance(error, msgspec.DecodeError) else "not UTF-8"
        raise BodyInvalid(None, f"The body is not valid JSON: {reason}.") from None
    except RecursionError:
        raise BodyInvalid(None, "The body is nested too deeply.") from None
    return fields


def raise_invalid(error: msgspec.ValidationError) -> NoReturn:
    """Say which field does not hold. Raises BodyInvalid."""
    # msgspec's messages name types and a path, never a value: "Expected `str`, got `int` - at `$.messages[0].role`".
    reason, _, path = str(error).partition(" - at `$")
    param = path.rstrip("`").removeprefix(".") or None
    if param is None:
        raise BodyInvalid(None, f"The body must be a JSON object. {reason}.") from None
    raise BodyInvalid(param, f"Invalid '{param}': {reason}.") from None


def _check_price_fields(fields: _Fields) -> None:
    for name, allowed, remedy in _PRICE_CHANGING:
        value = getattr(fields, name)
        if value != _ABSENT and not _is_one_of(value, allowed):
            raise BodyInvalid(name, f"'{name}' changes the price of a call; {remedy}.")
    for index, tool in enumerate(fields.tools or ()):
        if tool.type not in _CALLERS_TOOLS:
            path, kinds = f"tools[{index}].type", "' or '".join(sorted(_CALLERS_TOOLS, reverse=True))
            raise BodyInvalid(path, f"A provider's own tools cannot be metered yet; use tools of type '{kinds}'.")


def _is_one_of(value: msgspec.Raw, allowed: tuple[str, ...]) -> bool:
    try:
        return msgspec.json.decode(value, type=str) in allowed
    except msgspec.MsgspecError:
        return False


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
