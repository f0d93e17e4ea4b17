"""OpenAI's wire format as the sandbox speaks it: requests in, answers, chunks and errors out. Pure."""

from typing import Any, Final, Literal

import msgspec

from app.sandbox import tokens
from app.sandbox.answers import Choice, Prompt, Tool, ToolCall
from app.sandbox.models import SANDBOX_MODELS, SYSTEM_FINGERPRINT
from app.sandbox.schemas import Schema
from billing import Usage

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


def read_prompt(request: ChatRequest) -> Prompt:
    """Read a request as the simulated model sees it."""
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
        output_tokens_max=request.max_completion_tokens or request.max_tokens,
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
    )


def encode_answer(call_id: str, model: str, choices: list[Choice], usage: Usage | None) -> bytes:
    """Write a whole answer."""
    body: dict[str, Any] = {
        "id": call_id,
        "object": "chat.completion",
        "created": CREATED_AT,
        "model": model,
        "system_fingerprint": SYSTEM_FINGERPRINT,
        "choices": [
            {
                "index": index,
                "message": _message(choice),
                "logprobs": None,
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(choices)
        ],
    }
    if usage is not None:
        body["usage"] = encode_usage(usage)
    return msgspec.json.encode(body)


def encode_chunks(call_id: str, model: str, choices: list[Choice], *, has_usage_field: bool) -> list[tuple[bytes, int]]:
    """Write a stream's events up to the finish reasons, each with the number of tokens it brings."""
    head: dict[str, Any] = {
        "id": call_id,
        "object": "chat.completion.chunk",
        "created": CREATED_AT,
        "model": model,
        "system_fingerprint": SYSTEM_FINGERPRINT,
    }
    tail = {"usage": None} if has_usage_field else {}

    def event(index: int, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return encode_event({**head, "choices": [choice], **tail})

    events: list[tuple[bytes, int]] = []
    for index, choice in enumerate(choices):
        content = None if choice.tool_calls else ""
        events.append((event(index, {"role": "assistant", "content": content}), 0))
        events += [(event(index, {"content": piece}), 1) for piece in choice.pieces]
        for number, call in enumerate(choice.tool_calls):
            events.append((event(index, {"tool_calls": [_tool_call_start(number, call)]}), 1))
            events += [
                (event(index, {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}), 1)
                for piece in call.pieces
            ]
        events.append((event(index, {}, choice.finish_reason), 0))
    return events


def encode_usage_chunk(call_id: str, model: str, usage: Usage) -> bytes:
    """Write the event with the usage, which holds no choice."""
    return encode_event(
        {
            "id": call_id,
            "object": "chat.completion.chunk",
            "created": CREATED_AT,
            "model": model,
            "system_fingerprint": SYSTEM_FINGERPRINT,
            "choices": [],
            "usage": encode_usage(usage),
        }
    )


def encode_event(body: dict[str, Any]) -> bytes:
    """Write one server-sent event."""
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


def encode_usage(usage: Usage) -> dict[str, Any]:
    """Write counts in OpenAI's names."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_input_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def encode_error(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """Write an error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def encode_models() -> bytes:
    """Write the list of models."""
    rows = [
        {"id": name, "object": "model", "created": CREATED_AT, "owned_by": "signalbox-sandbox"}
        for name in SANDBOX_MODELS
    ]
    return msgspec.json.encode({"object": "list", "data": rows})


def _message(choice: Choice) -> dict[str, Any]:
    if not choice.tool_calls:
        return {"role": "assistant", "content": "".join(choice.pieces), "refusal": None}
    calls = [
        {
            "id": call.call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": "".join(call.pieces)},
        }
        for call in choice.tool_calls
    ]
    return {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}


def _tool_call_start(number: int, call: ToolCall) -> dict[str, Any]:
    return {"index": number, "id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": ""}}


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
