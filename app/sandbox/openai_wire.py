"""OpenAI's wire format as the sandbox speaks it: requests in, answers, chunks and errors out. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from app.sandbox import tokens
from app.sandbox.answers import Choice, Prompt, Tool, ToolCall
from app.sandbox.errors import RequestRefused
from app.sandbox.faults import FaultKind
from app.sandbox.models import PROVIDER_NAME, SANDBOX_MODELS, SYSTEM_FINGERPRINT
from app.sandbox.schemas import Schema
from app.sandbox.wire import Answered, Asked, Event, Refusal
from billing import Usage

CHOICES_MAX: Final = 128
TOOL_CALL_ID_PREFIX: Final = "call_"
CREATED_AT: Final = 1_767_225_600  # 2026-01-01: fixed, so that answers are repeatable
IMAGE_TOKENS: Final = 765
AUDIO_TOKENS: Final = 100
_TOOL_TOKENS: Final = 12


class _Part(msgspec.Struct):
    type: str
    text: str = ""


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None


class _Function(msgspec.Struct, omit_defaults=True):
    name: str
    description: str | None = None
    parameters: Schema | None = None


class _ToolShape(msgspec.Struct):
    function: _Function


class _JSONSchema(msgspec.Struct):
    schema: Schema = {}


class _ResponseFormat(msgspec.Struct):
    type: str
    json_schema: _JSONSchema | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class ChatRequest(msgspec.Struct):
    """What the sandbox reads of a chat request."""

    model: str
    messages: list[_Message]
    stream: bool = False
    stream_options: _StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    tools: list[_ToolShape] | None = None
    tool_choice: Literal["none", "auto", "required"] | _ToolShape | None = None
    parallel_tool_calls: bool | None = None
    response_format: _ResponseFormat | None = None
    metadata: dict[str, str] | None = None

    @property
    def wants_usage(self) -> bool:
        """Is the usage chunk of a stream asked for?"""
        return self.stream_options is not None and self.stream_options.include_usage

    def texts(self) -> tuple[str, ...]:
        """The text of each message."""
        return tuple(_text(message) for message in self.messages)


_INVALID: Final = "invalid_request_error"
_REFUSALS: Final[Mapping[FaultKind, Refusal]] = MappingProxyType(
    {
        FaultKind.BAD_REQUEST: Refusal(400, _INVALID, "Simulated invalid request.", "invalid_value"),
        FaultKind.UNAUTHORIZED: Refusal(401, _INVALID, "Simulated wrong key.", "invalid_api_key"),
        FaultKind.FORBIDDEN: Refusal(
            403, _INVALID, "Simulated missing permission.", "unsupported_country_region_territory"
        ),
        FaultKind.NOT_FOUND: Refusal(404, _INVALID, "Simulated missing model.", "model_not_found", "model"),
        FaultKind.REQUEST_TIMEOUT: Refusal(408, "timeout", "Simulated timeout of a request."),
        FaultKind.CONTEXT: Refusal(
            400,
            _INVALID,
            "This model's maximum context length is {context_tokens} tokens. However, your messages resulted in "
            "{input_tokens} tokens.",
            "context_length_exceeded",
            "messages",
        ),
        FaultKind.CONTENT: Refusal(400, _INVALID, "Simulated content refusal.", "content_policy_violation"),
        FaultKind.RATE_LIMITED: Refusal(429, "requests", "Simulated rate limit.", "rate_limit_exceeded"),
        FaultKind.OUT_OF_CREDIT: Refusal(429, "insufficient_quota", "Simulated empty account.", "insufficient_quota"),
        FaultKind.SERVER: Refusal(500, "server_error", "Simulated server error."),
        FaultKind.OVERLOADED: Refusal(503, "server_error", "Simulated overload.", "overloaded"),
        FaultKind.GATEWAY_TIMEOUT: Refusal(504, "server_error", "Simulated timeout of a gateway."),
    }
)


class OpenAIWire:
    """`/v1/chat/completions`."""

    provider_name = PROVIDER_NAME
    key_headers: tuple[str, ...] = ("authorization",)
    request_id_header = "x-request-id"
    call_id_prefix = "chatcmpl-"
    refusals = _REFUSALS
    broken_event = b'data: {"id": "chatcmpl-\n\ndata: [DONE]\n\n'

    def read(self, body: bytes, headers: Mapping[str, str]) -> Asked:
        """Read a request. Raises RequestRefused."""
        del headers
        try:
            request = msgspec.json.decode(body, type=ChatRequest)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise RequestRefused(f"Invalid body: {error}") from error
        choice_count = request.n or 1
        if not 1 <= choice_count <= CHOICES_MAX:
            raise RequestRefused(f"'n' must be between 1 and {CHOICES_MAX}.", param="n")
        return Asked(
            request_model=request.model,
            prompt=_read_prompt(request),
            is_streamed=request.stream,
            wants_usage=request.wants_usage,
            choice_count=choice_count,
            fault_word=(request.metadata or {}).get("sandbox_fault"),
        )

    def encode_error(self, refusal: Refusal, request_id: str) -> bytes:
        """Write an error's body; the request's id stands in a header alone."""
        del request_id
        return msgspec.json.encode(_error(refusal))

    def encode_error_event(self, refusal: Refusal, request_id: str) -> bytes:
        """Write an error into a stream."""
        del request_id
        return _event(_error(refusal))

    def encode_answer(self, answered: Answered) -> bytes:
        """Write a whole answer."""
        body = _head(answered, "chat.completion")
        body["choices"] = [
            {"index": index, "message": _message(choice), "logprobs": None, "finish_reason": choice.finish_reason}
            for index, choice in enumerate(answered.choices)
        ]
        if answered.usage is not None:
            body["usage"] = _usage(answered.usage)
        return msgspec.json.encode(body)

    def encode_opening(self, answered: Answered) -> bytes:
        """Nothing stands before the first chunk."""
        del answered
        return b""

    def encode_events(self, answered: Answered) -> list[Event]:
        """Write a stream's chunks up to the finish reasons."""
        head = _head(answered, "chat.completion.chunk")
        tail = {"usage": None} if answered.asked.wants_usage else {}

        def chunk(index: int, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            return _event({**head, "choices": [choice], **tail})

        events: list[Event] = []
        for index, choice in enumerate(answered.choices):
            content = None if choice.tool_calls else ""
            events.append((chunk(index, {"role": "assistant", "content": content}), 0))
            events += [(chunk(index, {"content": piece}), 1) for piece in choice.pieces]
            for number, call in enumerate(choice.tool_calls):
                events.append((chunk(index, {"tool_calls": [_tool_call_start(number, call)]}), 1))
                events += [
                    (chunk(index, {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}), 1)
                    for piece in call.pieces
                ]
            events.append((chunk(index, {}, choice.finish_reason), 0))
        return events

    def encode_ending(self, answered: Answered) -> bytes:
        """Write the chunk with the usage, which holds no choice, if it was asked for, and the end."""
        end = b"data: [DONE]\n\n"
        if answered.usage is None or not answered.asked.wants_usage:
            return end
        head = _head(answered, "chat.completion.chunk")
        return _event({**head, "choices": [], "usage": _usage(answered.usage)}) + end


OPENAI_WIRE: Final = OpenAIWire()


def encode_models() -> bytes:
    """Write the list of models."""
    rows = [
        {"id": name, "object": "model", "created": CREATED_AT, "owned_by": "signalbox-sandbox"}
        for name in SANDBOX_MODELS
    ]
    return msgspec.json.encode({"object": "list", "data": rows})


def _read_prompt(request: ChatRequest) -> Prompt:
    texts = request.texts()
    tools = tuple(
        Tool(shape.function.name, shape.function.parameters or {}, shape.function.description or "")
        for shape in request.tools or ()
    )
    choice = request.tool_choice or "auto"
    users = [text for message, text in zip(request.messages, texts, strict=True) if message.role == "user"]
    return Prompt(
        texts=texts,
        instruction=users[-1] if users else "",
        input_tokens=_input_tokens(request, texts),
        tools=tools,
        tool_choice=choice if isinstance(choice, str) else choice.function.name,
        is_tool_result=bool(request.messages) and request.messages[-1].role == "tool",
        parallel_tool_calls=request.parallel_tool_calls is not False,
        json_schema=_schema(request.response_format),
        output_tokens_max=request.max_completion_tokens or request.max_tokens or None,
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
    )


def _head(answered: Answered, kind: str) -> dict[str, Any]:
    return {
        "id": answered.call_id,
        "object": kind,
        "created": CREATED_AT,
        "model": answered.model,
        "system_fingerprint": SYSTEM_FINGERPRINT,
    }


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_input_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_output_tokens, "audio_tokens": 0},
    }


def _error(refusal: Refusal) -> dict[str, Any]:
    return {
        "error": {
            "message": refusal.message,
            "type": refusal.kind,
            "param": refusal.param,
            "code": refusal.code,
        }
    }


def _message(choice: Choice) -> dict[str, Any]:
    if not choice.tool_calls:
        return {"role": "assistant", "content": "".join(choice.pieces), "refusal": None}
    calls = [
        {
            "id": TOOL_CALL_ID_PREFIX + call.call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": "".join(call.pieces)},
        }
        for call in choice.tool_calls
    ]
    return {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}


def _tool_call_start(number: int, call: ToolCall) -> dict[str, Any]:
    return {
        "index": number,
        "id": TOOL_CALL_ID_PREFIX + call.call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": ""},
    }


def _text(message: _Message) -> str:
    if isinstance(message.content, list):
        return "\n".join(part.text for part in message.content if part.text)
    return message.content or ""


def _input_tokens(request: ChatRequest, texts: tuple[str, ...]) -> int:
    parts = [part for message in request.messages if isinstance(message.content, list) for part in message.content]
    media = sum(
        IMAGE_TOKENS * (part.type == "image_url") + AUDIO_TOKENS * (part.type == "input_audio") for part in parts
    )
    tools = sum(_json_tokens(shape) + _TOOL_TOKENS for shape in request.tools or ())
    schema = _schema(request.response_format)
    return (
        sum(tokens.count(text) + tokens.MESSAGE_TOKENS for text in texts)
        + media
        + tools
        + (_json_tokens(schema) if schema else 0)
    )


def _json_tokens(value: object) -> int:
    return tokens.count(msgspec.json.encode(value).decode())


def _schema(response_format: _ResponseFormat | None) -> Schema | None:
    if response_format is None or response_format.type == "text":
        return None
    if response_format.json_schema is not None:
        return response_format.json_schema.schema
    return {"type": "object", "properties": {"simulated": {"const": True}}}
