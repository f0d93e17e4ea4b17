"""Tokens as counted by a provider. Parts lie inside their parent: cached input is part of the input."""

import msgspec


class MediaTokens(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of input and output that are sound and pictures; not those that were read from a cache."""

    audio_input_tokens: int = 0
    image_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_output_tokens: int = 0

    def __add__(self, other: "MediaTokens") -> "MediaTokens":
        return MediaTokens(
            audio_input_tokens=self.audio_input_tokens + other.audio_input_tokens,
            image_input_tokens=self.image_input_tokens + other.image_input_tokens,
            audio_output_tokens=self.audio_output_tokens + other.audio_output_tokens,
            image_output_tokens=self.image_output_tokens + other.image_output_tokens,
        )


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Token counts of one attempt; the names follow OpenTelemetry's GenAI conventions."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0  # of the cache's creation, the part that is kept for an hour
    reasoning_output_tokens: int = 0
    media: MediaTokens | None = None
    is_estimated: bool = False

    def __add__(self, other: "Usage") -> "Usage":
        media = self.media + other.media if self.media and other.media else self.media or other.media
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_input_tokens=self.cache_read_input_tokens + other.cache_read_input_tokens,
            cache_creation_input_tokens=self.cache_creation_input_tokens + other.cache_creation_input_tokens,
            cache_creation_1h_input_tokens=self.cache_creation_1h_input_tokens + other.cache_creation_1h_input_tokens,
            reasoning_output_tokens=self.reasoning_output_tokens + other.reasoning_output_tokens,
            media=media,
            is_estimated=self.is_estimated or other.is_estimated,
        )
