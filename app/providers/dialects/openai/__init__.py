"""OpenAI's dialect: bytes in, facts out, and back. Spoken by most vendors."""

from app.providers.dialects.openai.answer import decode_answer, decode_error, with_cost
from app.providers.dialects.openai.body import ChatBody, decode_chat, encode_request
from app.providers.dialects.openai.bound import input_tokens_bound, read_facts
from app.providers.dialects.openai.stream import OpenAIStreamReader

__all__ = [
    "ChatBody",
    "OpenAIStreamReader",
    "decode_answer",
    "decode_chat",
    "decode_error",
    "encode_request",
    "input_tokens_bound",
    "read_facts",
    "with_cost",
]
