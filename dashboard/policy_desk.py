"""What the policies page asks of routing: reading, checking, drafting and trying a policy.

The composition root passes in the request path's own; `NoDesk` stands where there is none. Invariant: nothing
here sends, reserves, records or publishes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

NO_DESK: Final = "No request path stands beside this console, so no policy can be tried here."


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyText:
    """A policy as it was typed, read: JSON and YAML of one tree, or why it is neither."""

    document: bytes = b""
    yaml: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """A policy with plain words worked in; each clause as it was understood, and those that were not."""

    document: bytes
    understood: tuple[str, ...]
    not_understood: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRequest:
    """A request to be routed and not sent."""

    prompt: str
    model: str
    task: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The JSON of a decision, or why there is none."""

    decision: bytes = b""
    problem: str = ""


class PolicyDesk(Protocol):
    """Policies by the same functions as a request meets; documents are JSON."""

    def first_document(self) -> bytes:
        """The document to begin with."""

    async def read(self, text: str) -> PolicyText:
        """A policy in JSON or YAML."""

    async def problems(self, tenant_id: UUID, document: bytes) -> Sequence[str]:
        """Every problem of a document, with its path, models that the tenant does not reach included."""

    async def draft(self, tenant_id: UUID, words: str, document: bytes) -> Drafted:
        """Work plain words into a document that holds."""

    async def decide(self, tenant_id: UUID, name: str, document: bytes, request: TrialRequest) -> Trial:
        """Where a request would go by a document that holds."""


class NoDesk:
    """The desk of a console without a request path: it finds every document wanting."""

    def first_document(self) -> bytes:
        """An empty document."""
        return b"{}"

    async def read(self, text: str) -> PolicyText:
        """Nothing."""
        return PolicyText(problem=NO_DESK)

    async def problems(self, tenant_id: UUID, document: bytes) -> Sequence[str]:
        """That it cannot tell."""
        return (NO_DESK,)

    async def draft(self, tenant_id: UUID, words: str, document: bytes) -> Drafted:
        """Nothing understood."""
        return Drafted(document=document, understood=(), not_understood=(NO_DESK,))

    async def decide(self, tenant_id: UUID, name: str, document: bytes, request: TrialRequest) -> Trial:
        """No decision."""
        return Trial(problem=NO_DESK)
