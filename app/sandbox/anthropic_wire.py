"""Anthropic's wire format as the sandbox speaks it: requests in; messages, events and errors out. Pure.

Shapes as of the official SDK 2.12 (2026-11). Invariant: the blocks of a stream, put together, are the blocks
of the whole answer.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from app.sandbox.answers import Choice, FinishReason, ToolCall
from app.sandbox.anthropic_request import decode_request, input_tokens_of, prompt_of, thinking_form_of
from app.sandbox.anthropic_rules import first_problem
from app.sandbox.errors import RequestRefused
from app.sandbox.faults import FaultKind
from app.sandbox.models import ANTHROPIC_PROVIDER_NAME
from app.sandbox.signatures import REDACTED, sign
from app.sandbox.wire import Answered, Asked, Event, Refusal
from billing import Usage

TOOL_CALL_ID_PREFIX: Final = "toolu_"
# A stream counts a token before it has said one; the last event's count is the whole one.
OPENING_OUTPUT_TOKENS: Final = 1
_INVALID: Final = "invalid_request_error"
_STOP_REASONS: Final[Mapping[FinishReason, str]] = MappingProxyType(
    {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
)
# Content refusals have no row: this vendor answers with them.
_REFUSALS: Final[Mapping[FaultKind, Refusal]] = MappingProxyType(
    {
        FaultKind.BAD_REQUEST: Refusal(400, _INVALID, "Simulated invalid request."),
        FaultKind.UNAUTHORIZED: Refusal(401, "authentication_error", "invalid x-api-key"),
        FaultKind.FORBIDDEN: Refusal(403, "permission_error", "Simulated missing permission."),
        FaultKind.NOT_FOUND: Refusal(404, "not_found_error", "Simulated missing model."),
        FaultKind.REQUEST_TIMEOUT: Refusal(408, "timeout_error", "Simulated timeout of a request."),
        FaultKind.CONTEXT: Refusal(
            400, _INVALID, "prompt is too long: {input_tokens} tokens > {context_tokens} maximum"
        ),
        FaultKind.RATE_LIMITED: Refusal(429, "rate_limit_error", "Simulated rate limit."),
        FaultKind.OUT_OF_CREDIT: Refusal(
            402, "billing_error", "Your credit balance is too low to access the Anthropic API. (simulated)"
        ),
        FaultKind.SERVER: Refusal(500, "api_error", "Simulated server error."),
        FaultKind.OVERLOADED: Refusal(529, "overloaded_error", "Overloaded (simulated)"),
        FaultKind.GATEWAY_TIMEOUT: Refusal(504, "timeout_error", "Simulated timeout of a gateway."),
    }
)


class AnthropicWire:
    """`/v1/messages`."""

    provider_name = ANTHROPIC_PROVIDER_NAME
    key_headers: tuple[str, ...] = ("x-api-key", "authorization")
    request_id_header = "request-id"
    call_id_prefix = "msg_"
    refusals = _REFUSALS
    broken_event = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )

    def read(self, body: bytes, headers: Mapping[str, str]) -> Asked:
        """Read a request, and look at it as closely as the API does. Raises RequestRefused."""
        request = decode_request(body, headers)
        if problem := first_problem(request):
            raise RequestRefused(problem)
        return Asked(
            request_model=request.model,
            prompt=prompt_of(request),
            is_streamed=request.stream,
            thinking_form=thinking_form_of(request),
        )

    def encode_error(self, refusal: Refusal, request_id: str) -> bytes:
        """Write an error's body."""
        return msgspec.json.encode(_error(refusal, request_id))

    def encode_error_event(self, refusal: Refusal, request_id: str) -> bytes:
        """Write an error into a stream."""
        return _event(_error(refusal, request_id))

    def encode_answer(self, answered: Answered) -> bytes:
        """Write a whole answer."""
        (choice,) = answered.choices
        body = _message(answered)
        body |= {"content": _blocks(answered), **_stop(choice)}
        if answered.usage is not None:
            body["usage"] = _usage(answered.usage)
        return msgspec.json.encode(body)

    def encode_opening(self, answered: Answered) -> bytes:
        """The message begins, with its input counted, and shows that it lives: neither is content."""
        message = _message(answered)
        if answered.usage is not None:
            opening = msgspec.structs.replace(
                answered.usage, output_tokens=OPENING_OUTPUT_TOKENS, reasoning_output_tokens=0
            )
            message["usage"] = _usage(opening)
        return _event({"type": "message_start", "message": message}) + _event({"type": "ping"})

    def encode_events(self, answered: Answered) -> list[Event]:
        """Write each block: its start, its deltas, its stop."""
        (choice,) = answered.choices
        calls = iter(choice.tool_calls)
        events: list[Event] = []
        for index, block in enumerate(_blocks(answered)):
            match block["type"]:
                case "thinking":
                    parts = _thinking_parts(choice, block)
                case "redacted_thinking":
                    parts = [(_start(block), len(choice.thinking))]
                case "text":
                    parts = [(_start({"type": "text", "text": ""}), 0)]
                    parts += [(_delta("text_delta", "text", piece), 1) for piece in choice.pieces]
                case _:
                    parts = _tool_call_parts(next(calls), block)
            events += [(_event({"type": part["type"], "index": index, **part}), tokens) for part, tokens in parts]
            events.append((_event({"type": "content_block_stop", "index": index}), 0))
        return events

    def encode_ending(self, answered: Answered) -> bytes:
        """Say why the message ends, what it counts altogether, and that it has ended."""
        (choice,) = answered.choices
        body: dict[str, Any] = {"type": "message_delta", "delta": _stop(choice)}
        if answered.usage is not None:
            body["usage"] = _usage(answered.usage)
        return _event(body) + _event({"type": "message_stop"})


ANTHROPIC_WIRE: Final = AnthropicWire()


class TokenCount(NamedTuple):
    """The answer of `/v1/messages/count_tokens`, and for which model it was asked."""

    request_model: str
    body: bytes


def count_tokens(body: bytes, headers: Mapping[str, str]) -> TokenCount:
    """Count what a request would be charged for. Raises RequestRefused."""
    request = decode_request(body, headers)
    if problem := first_problem(request, is_counting=True):
        raise RequestRefused(problem)
    return TokenCount(request.model, msgspec.json.encode({"input_tokens": input_tokens_of(request)}))


def _message(answered: Answered) -> dict[str, Any]:
    return {
        "id": answered.call_id,
        "type": "message",
        "role": "assistant",
        "model": answered.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _blocks(answered: Answered) -> list[dict[str, Any]]:
    """The whole answer's blocks."""
    (choice,) = answered.choices
    blocks: list[dict[str, Any]] = []
    if choice.thinking:
        blocks.append(_thinking_block(answered, "".join(choice.thinking)))
    if choice.pieces:
        blocks.append({"type": "text", "text": "".join(choice.pieces)})
    return blocks + [
        {
            "type": "tool_use",
            "id": TOOL_CALL_ID_PREFIX + call.call_id,
            "name": call.name,
            "input": json.loads("".join(call.pieces)),
        }
        for call in choice.tool_calls
    ]


def _thinking_block(answered: Answered, text: str) -> dict[str, Any]:
    match answered.asked.thinking_form:
        case "redacted":
            return {"type": "redacted_thinking", "data": sign(REDACTED, seed=answered.call_id)}
        case "omitted":
            return {"type": "thinking", "thinking": "", "signature": sign("", seed=answered.call_id)}
        case _:
            return {"type": "thinking", "thinking": text, "signature": sign(text, seed=answered.call_id)}


def _thinking_parts(choice: Choice, block: dict[str, Any]) -> list[tuple[dict[str, Any], int]]:
    parts: list[tuple[dict[str, Any], int]] = [(_start({"type": "thinking", "thinking": "", "signature": ""}), 0)]
    is_shown = bool(block["thinking"])
    if is_shown:
        parts += [(_delta("thinking_delta", "thinking", piece), 1) for piece in choice.thinking]
    # What is thought is charged, seen or not.
    parts.append((_delta("signature_delta", "signature", block["signature"]), 0 if is_shown else len(choice.thinking)))
    return parts


def _tool_call_parts(call: ToolCall, block: dict[str, Any]) -> list[tuple[dict[str, Any], int]]:
    pieces = [(_delta("input_json_delta", "partial_json", piece), 1) for piece in call.pieces]
    return [(_start({**block, "input": {}}), 1), (_delta("input_json_delta", "partial_json", ""), 0), *pieces]


def _start(block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "content_block": block}


def _delta(kind: str, field: str, value: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "delta": {"type": kind, field: value}}


def _stop(choice: Choice) -> dict[str, Any]:
    reason = "stop_sequence" if choice.stop_sequence else _STOP_REASONS[choice.finish_reason]
    stop: dict[str, Any] = {"stop_reason": reason, "stop_sequence": choice.stop_sequence}
    if reason == "refusal":
        stop["stop_details"] = {
            "type": "refusal", "category": "general_harms", "explanation": "Simulated content refusal.",
        }  # fmt: skip
    return stop


def _usage(usage: Usage) -> dict[str, Any]:
    """Write counts in Anthropic's way: what was cached stands beside the input and not in it."""
    counts: dict[str, Any] = {
        "input_tokens": usage.input_tokens - usage.cache_read_input_tokens - usage.cache_creation_input_tokens,
        "cache_creation_input_tokens": usage.cache_creation_input_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_output_tokens:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning_output_tokens}
    return counts


def _error(refusal: Refusal, request_id: str) -> dict[str, Any]:
    return {
        "type": "error",
        "error": {"type": refusal.kind, "message": refusal.message},
        "request_id": request_id,
    }


def _event(body: dict[str, Any]) -> bytes:
    name: str = body["type"]
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(body) + b"\n\n"
