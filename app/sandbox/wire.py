"""The seam between one simulated answer and the words that a vendor's clients expect it in.

`chat` plays every call through a `Wire`; `openai_wire` and `anthropic_wire` are the two there are.
Invariant: a wire is pure and holds no state, so what is answered, charged and logged is the same over both.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from app.sandbox.answers import Choice, Prompt
from app.sandbox.faults import FaultKind
from billing import Usage

ThinkingForm = Literal["shown", "omitted", "redacted"]
Event = tuple[bytes, int]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the sandbox reads it, whatever wire it came over."""

    request_model: str
    prompt: Prompt
    is_streamed: bool = False
    wants_usage: bool = True  # in a stream
    choice_count: int = 1
    thinking_form: ThinkingForm = "shown"
    fault_word: str | None = None  # a fault that the request's own metadata names


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to be written; `usage` None: a fault keeps it back."""

    call_id: str
    model: str
    asked: Asked
    choices: tuple[Choice, ...]
    usage: Usage | None


class Refusal(msgspec.Struct, frozen=True):
    """An error in a vendor's vocabulary. A row's message may name {input_tokens} and {context_tokens}."""

    status: int
    kind: str
    message: str
    code: str | None = None
    param: str | None = None


class Wire(Protocol):
    """One vendor's wire format."""

    provider_name: str
    key_headers: tuple[str, ...]  # where a client may put its key; the first one there is taken
    request_id_header: str
    call_id_prefix: str
    refusals: Mapping[FaultKind, Refusal]
    broken_event: bytes  # an event that is no JSON, and what would end the stream

    def read(self, body: bytes, headers: Mapping[str, str]) -> Asked:
        """Read a request. Raises RequestRefused for what the vendor would not take."""
        ...

    def encode_error(self, refusal: Refusal, request_id: str) -> bytes:
        """Write an error's body."""
        ...

    def encode_error_event(self, refusal: Refusal, request_id: str) -> bytes:
        """Write an error into a stream."""
        ...

    def encode_answer(self, answered: Answered) -> bytes:
        """Write a whole answer."""
        ...

    def encode_opening(self, answered: Answered) -> bytes:
        """Write what stands in a stream before the model's first token."""
        ...

    def encode_events(self, answered: Answered) -> list[Event]:
        """Write a stream's content, each event with the number of tokens it brings."""
        ...

    def encode_ending(self, answered: Answered) -> bytes:
        """Write what ends a stream."""
        ...
