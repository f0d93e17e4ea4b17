"""Tokens as counted by a provider. Parts lie inside their parent: cached input is part of the input."""

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Token counts of one attempt; the names follow OpenTelemetry's GenAI conventions."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    is_estimated: bool = False

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_input_tokens=self.cache_read_input_tokens + other.cache_read_input_tokens,
            cache_creation_input_tokens=self.cache_creation_input_tokens + other.cache_creation_input_tokens,
            reasoning_output_tokens=self.reasoning_output_tokens + other.reasoning_output_tokens,
            is_estimated=self.is_estimated or other.is_estimated,
        )
