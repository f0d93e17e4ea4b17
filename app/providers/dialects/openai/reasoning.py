"""Reasoning in OpenAI-shaped messages: how much is asked for, and how it comes and goes back.

OpenAI itself never shows it. Others show its text as `reasoning_content` (DeepSeek, 2025-01) and, where it must
come back unchanged, as `reasoning_details` (OpenRouter, "Preserving reasoning", 2026-10). Pure.
Invariant: what a provider signed or encrypted returns to it unchanged.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from app.providers.dialects.conversation import Part, Reasoning, RedactedThinking, Thinking

TEXT: Final = "reasoning.text"
SUMMARY: Final = "reasoning.summary"
ENCRYPTED: Final = "reasoning.encrypted"

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# The least effort whose budget in tokens holds what is asked for (Google, "OpenAI compatibility", 2026-06).
_EFFORT_BY_BUDGET: Final = ((1_024, "low"), (8_192, "medium"))
_EFFORT_BEYOND: Final = "high"

_THREE: Final = ("low", "medium", "high")
# First match wins; no effort at all: the model refuses the field. As OpenAI's SDK 3.54 and xAI's and
# Mistral's references say of their models, 2026-11; models of others take the three that all have.
_EFFORTS_BY_MODEL: Final = tuple(
    (re.compile(pattern), efforts)
    for pattern, efforts in (
        (r"gpt-5[^/]*-chat", ()),
        (r"gpt-5-pro", ("high",)),
        (r"gpt-5\.1-codex-max", ("none", *_THREE, "xhigh")),
        (r"gpt-5\.1", ("none", *_THREE)),
        (r"gpt-(5\.|[6-9])", ("none", *_THREE, "xhigh")),
        (r"gpt-5", ("minimal", *_THREE)),
        (r"o1-(mini|preview)", ()),
        (r"o\d", _THREE),
        (r"gpt-oss", _THREE),
        (r"(chat)?gpt-", ()),
        (r"grok-3-mini", ("low", "high")),
        (r"grok-", ()),
        (r"(open-)?(mi[sx]tral|codestral|devstral|ministral|pixtral|magistral)", ()),
        (r"", _THREE),
    )
)


class ReasoningDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """One piece of reasoning. In a stream, pieces of the same `index` belong together."""

    type: str
    index: int | None = None
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None


def read_reasoning(details: Iterable[ReasoningDetail] | None, text: str | None) -> tuple[Part, ...]:
    """Read a message's reasoning; `text` is used only where no detail has any, because they repeat it."""
    parts = tuple(part for detail in details or () if (part := _part_of(detail)) is not None)
    if text and not any(isinstance(part, Thinking) for part in parts):
        return (Thinking(text), *parts)
    return parts


def write_reasoning(parts: Sequence[Part]) -> tuple[str, list[ReasoningDetail]]:
    """Write a message's reasoning: its whole text, and its details."""
    texts: list[str] = []
    details: list[ReasoningDetail] = []
    for part in parts:
        if isinstance(part, Thinking):
            texts.append(part.text)
            details.append(ReasoningDetail(TEXT, index=len(details), text=part.text, signature=part.signature))
        elif isinstance(part, RedactedThinking):
            details.append(ReasoningDetail(ENCRYPTED, index=len(details), data=part.data))
    return "\n\n".join(text for text in texts if text), details


def effort_for(reasoning: Reasoning, model: str) -> tuple[str | None, bool]:
    """The `reasoning_effort` for a model (None: send none), and whether it says all that was asked for."""
    wanted = _effort_wanted(reasoning)
    if wanted is None:
        return None, True
    efforts = _efforts_of(model)
    if not efforts:
        return None, wanted == "none"
    rank = EFFORTS.index(wanted)
    effort = max((known for known in efforts if EFFORTS.index(known) <= rank), key=EFFORTS.index, default=efforts[0])
    return effort, effort == wanted


def _effort_wanted(reasoning: Reasoning) -> str | None:
    if reasoning.is_on is False:
        return "none"
    if reasoning.effort in EFFORTS:
        return reasoning.effort
    if reasoning.tokens_max is None:
        return None
    return next((effort for budget, effort in _EFFORT_BY_BUDGET if reasoning.tokens_max <= budget), _EFFORT_BEYOND)


@lru_cache(maxsize=4_096)
def _efforts_of(model: str) -> tuple[str, ...]:
    name = model.rpartition("/")[2].lower()
    return next(efforts for pattern, efforts in _EFFORTS_BY_MODEL if pattern.match(name))


def _part_of(detail: ReasoningDetail) -> Thinking | RedactedThinking | None:
    if detail.type == ENCRYPTED:
        return RedactedThinking(detail.data) if detail.data else None
    text = detail.text or detail.summary or ""
    return Thinking(text, detail.signature) if text or detail.signature else None
