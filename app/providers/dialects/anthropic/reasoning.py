"""How much a model may think, in Anthropic's words: read from a request, and fitted to a model when written.

Pure. Invariant: a request is never written that its model refuses for its thinking; what was left out is named.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from app.providers.dialects.anthropic.models import EFFORTS, ModelTraits
from app.providers.dialects.conversation import (
    Conversation,
    Reasoning,
    RedactedThinking,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)

BUDGET_TOKENS_MIN: Final = 1_024  # Anthropic's reference, 2026-11
# Which budget an effort stands for, on models that know budgets alone (Google, "OpenAI compatibility", 2026-06).
_BUDGET_BY_EFFORT: Final = {
    "minimal": 1_024,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 32_768,
    "max": 32_768,
}
_BUDGET_ELSE: Final = _BUDGET_BY_EFFORT["medium"]
# Thinking counts as output: a budget that nobody asked for leaves this part of the limit to the answer.
_ANSWER_SHARE: Final = 5
_RANKS: Final = {"none": -2, "minimal": -1, **{effort: rank for rank, effort in enumerate(EFFORTS)}}
_HIGH: Final = _RANKS["high"]

# As OpenAI's surface and those beside it name the two.
_EFFORT_FIELD: Final = "reasoning_effort"
_BUDGET_FIELD: Final = "reasoning.max_tokens"


class ThinkingConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The field `thinking` of a request."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class ReasoningWords(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says of thinking, and what it could not say."""

    thinking: ThinkingConfig | None = None
    effort: str | None = None
    dropped: tuple[str, ...] = ()

    @property
    def is_thinking(self) -> bool:
        """Whether the request itself turns thinking on."""
        return self.thinking is not None and self.thinking.type in ("enabled", "adaptive")


def read_reasoning(thinking: ThinkingConfig | None, effort: str | None) -> Reasoning | None:
    """Read `thinking` and `output_config.effort`; None when neither was said."""
    if thinking is None:
        return None if effort is None else Reasoning(effort=effort)
    return Reasoning(is_on=thinking.type in ("enabled", "adaptive"), effort=effort, tokens_max=thinking.budget_tokens)


def write_reasoning(
    conversation: Conversation, traits: ModelTraits, *, output_tokens_limit: int, is_tool_forced: bool
) -> ReasoningWords:
    """Say how much to think, as far as the model and the rest of the request allow."""
    wanted = conversation.reasoning
    if wanted is None:
        return ReasoningWords()
    if wanted.is_on is False:
        return _off(wanted, traits)
    effort, is_whole = _effort(wanted.effort, traits.efforts)
    if traits.thinking == "none" or (wanted.is_on is None and (effort or traits.thinking == "adaptive")):
        return _words(None, effort, is_whole)
    if is_tool_forced:  # the API refuses a forced tool beside thinking
        return _words(None, effort, is_effort_whole=False)
    if traits.thinking == "adaptive":
        return _adaptive(wanted, effort, is_whole, traits)
    if traits.thinking == "either" and wanted.tokens_max is None:
        return _words(ThinkingConfig("adaptive"), effort, is_whole)
    budget = _budget(wanted, output_tokens_limit)
    if budget is None or not _has_reasoning_where_needed(conversation.turns):
        return _words(None, effort, is_effort_whole=False)
    is_whole = is_whole or not traits.efforts  # then the budget says the effort
    dropped = (_BUDGET_FIELD,) if wanted.tokens_max not in (None, budget) else ()
    return _words(ThinkingConfig("enabled", budget_tokens=budget), effort, is_whole, dropped)


def _off(wanted: Reasoning, traits: ModelTraits) -> ReasoningWords:
    if traits.thinking == "none":
        return ReasoningWords()
    if traits.thinking_off is None:
        return _words(None, traits.efforts[0], is_effort_whole=False)
    effort, is_whole = (None, True) if wanted.effort == "none" else _effort(wanted.effort, traits.efforts)
    if effort is not None and traits.thinks_above_high and _RANKS[effort] > _HIGH:
        effort, is_whole = "high", False
    return _words(ThinkingConfig(traits.thinking_off), effort, is_whole)


def _adaptive(wanted: Reasoning, effort: str | None, is_whole: bool, traits: ModelTraits) -> ReasoningWords:
    dropped: tuple[str, ...] = ()
    if wanted.tokens_max is not None:
        dropped = (_BUDGET_FIELD,)
        effort = effort or _effort_for(wanted.tokens_max)
    # These models keep the text of their thinking back unless they are asked for it.
    return _words(ThinkingConfig("adaptive", display="summarized"), effort, is_whole, dropped)


def _words(
    thinking: ThinkingConfig | None, effort: str | None, is_effort_whole: bool, dropped: tuple[str, ...] = ()
) -> ReasoningWords:
    if not is_effort_whole:
        dropped = (_EFFORT_FIELD, *dropped)
    return ReasoningWords(thinking=thinking, effort=effort, dropped=dropped)


def _effort(wanted: str | None, known: Sequence[str]) -> tuple[str | None, bool]:
    """The greatest effort known to the model that is not above the wanted one, and whether it is the wanted one."""
    if wanted is None or wanted in known:
        return wanted, True
    if not known:
        return None, False
    rank = _RANKS[wanted]
    return max((effort for effort in known if _RANKS[effort] <= rank), key=_RANKS.__getitem__, default=known[0]), False


def _effort_for(budget: int) -> str:
    return next((effort for effort in ("low", "medium") if budget <= _BUDGET_BY_EFFORT[effort]), "high")


def _budget(wanted: Reasoning, output_tokens_limit: int) -> int | None:
    """The budget in tokens, which must lie below the limit of the whole output; None when none fits."""
    if output_tokens_limit <= BUDGET_TOKENS_MIN:
        return None
    if wanted.tokens_max is not None:
        return min(max(wanted.tokens_max, BUDGET_TOKENS_MIN), output_tokens_limit - 1)
    budget = _BUDGET_BY_EFFORT.get(wanted.effort or "", _BUDGET_ELSE)
    return max(min(budget, output_tokens_limit - output_tokens_limit // _ANSWER_SHARE), BUDGET_TOKENS_MIN)


def _has_reasoning_where_needed(turns: Sequence[Turn]) -> bool:
    """Whether the calls whose results are being answered stand behind their thinking, as a budget demands.

    A caller of another dialect seldom sends the thinking back.
    """
    for turn in reversed(turns):
        if turn.role == "assistant":
            first = turn.parts[0] if turn.parts else None
            has_thought = isinstance(first, RedactedThinking) or (isinstance(first, Thinking) and bool(first.signature))
            return has_thought or not any(isinstance(part, ToolCall) for part in turn.parts)
        if not any(isinstance(part, ToolResult) for part in turn.parts):
            return True
    return True
