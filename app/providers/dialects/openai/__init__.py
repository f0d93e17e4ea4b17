"""OpenAI's dialect: bytes in, facts out, and back. Spoken by most vendors."""

from app.providers.dialects.openai.answer import decode_answer, decode_error, with_cost
from app.providers.dialects.openai.body import ChatBody, decode_chat, encode_request
from app.providers.dialects.openai.bound import facts_of, input_tokens_bound
from app.providers.dialects.openai.completion import read_completion, write_completion
from app.providers.dialects.openai.conversation import read_conversation
from app.providers.dialects.openai.deltas import OpenAIDeltaReader, OpenAIDeltaWriter
from app.providers.dialects.openai.request import write_conversation
from app.providers.dialects.openai.stream import OpenAIStreamReader

__all__ = [
    "ChatBody",
    "OpenAIDeltaReader",
    "OpenAIDeltaWriter",
    "OpenAIStreamReader",
    "decode_answer",
    "decode_chat",
    "decode_error",
    "encode_request",
    "facts_of",
    "input_tokens_bound",
    "read_completion",
    "read_conversation",
    "with_cost",
    "write_completion",
    "write_conversation",
]
