"""The table of dialects: by which functions the gateway speaks to a vendor.

A new dialect is a folder of pure functions and one row here. Invariant: a row holds no state.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from app.providers.dialects import openai
from app.providers.dialects.openai import ChatBody
from app.providers.dialects.values import Answer, Cost, StreamReader
from app.providers.errors import UpstreamRefused
from app.providers.vendors import DialectName, Vendor
from billing import Usage


class EncodeRequest(Protocol):
    """Write a checked chat request in the vendor's words."""

    def __call__(self, body: ChatBody, *, model: str, output_tokens_limit: int | None, vendor: Vendor) -> bytes: ...


class DecodeAnswer(Protocol):
    """Read a whole answer's facts."""

    def __call__(self, raw: bytes) -> Answer: ...


class DecodeError(Protocol):
    """Read a refusal's kind; the provider's prose is not kept."""

    def __call__(self, status: int, raw: bytes) -> UpstreamRefused: ...


class ReadStream(Protocol):
    """Open a reader for one stream."""

    def __call__(self, *, wants_usage: bool) -> StreamReader: ...


class WithCost(Protocol):
    """Write the amounts into a whole answer."""

    def __call__(self, raw: bytes, usage: Usage, cost: Cost) -> bytes: ...


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One provider language; `path` is joined to a vendor's base address."""

    path: str
    encode_request: EncodeRequest
    decode_answer: DecodeAnswer
    decode_error: DecodeError
    read_stream: ReadStream
    with_cost: WithCost


DIALECTS: Final[Mapping[DialectName, Dialect]] = MappingProxyType(
    {
        "openai": Dialect(
            path="/chat/completions",
            encode_request=openai.encode_request,
            decode_answer=openai.decode_answer,
            decode_error=openai.decode_error,
            read_stream=openai.OpenAIStreamReader,
            with_cost=openai.with_cost,
        )
    }
)
