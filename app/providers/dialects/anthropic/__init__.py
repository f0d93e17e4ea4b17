"""Anthropic's dialect: bytes in, facts out, and back."""

from app.providers.dialects.anthropic.answer import decode_answer, decode_count, decode_error, with_cost
from app.providers.dialects.anthropic.body import MessagesBody, decode_messages, encode_request
from app.providers.dialects.anthropic.bound import facts_of, input_tokens_bound
from app.providers.dialects.anthropic.completion import read_completion, write_completion
from app.providers.dialects.anthropic.conversation import read_conversation
from app.providers.dialects.anthropic.deltas import AnthropicDeltaReader, AnthropicDeltaWriter
from app.providers.dialects.anthropic.request import write_conversation
from app.providers.dialects.anthropic.stream import AnthropicStreamReader

__all__ = [
    "AnthropicDeltaReader",
    "AnthropicDeltaWriter",
    "AnthropicStreamReader",
    "MessagesBody",
    "decode_answer",
    "decode_count",
    "decode_error",
    "decode_messages",
    "encode_request",
    "facts_of",
    "input_tokens_bound",
    "read_completion",
    "read_conversation",
    "with_cost",
    "write_completion",
    "write_conversation",
]
