"""How much to think is said in the words that each model takes, and what could not be said is named."""

import pytest

from app.providers.dialects.anthropic.models import traits_of
from app.providers.dialects.anthropic.reasoning import (
    BUDGET_TOKENS_MIN,
    ReasoningWords,
    ThinkingConfig,
    write_reasoning,
)
from app.providers.dialects.conversation import (
    Conversation,
    Reasoning,
    RedactedThinking,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)

ADAPTIVE = ThinkingConfig("adaptive", display="summarized")
DISABLED = ThinkingConfig("disabled")
EFFORT, BUDGET = "reasoning_effort", "reasoning.max_tokens"
USER = Turn("user", (Text("Hello"),))
ASKED = Turn("assistant", (ToolCall("t", "f"),))
THOUGHT = Turn("assistant", (Thinking("Hm.", "c2ln"), ToolCall("t", "f")))
ANSWERED = Turn("user", (ToolResult("t"),))


def written(
    reasoning: Reasoning | None,
    model: str,
    *,
    limit: int = 100_000,
    turns: tuple[Turn, ...] = (USER,),
    is_tool_forced: bool = False,
) -> ReasoningWords:
    conversation = Conversation(turns=turns, reasoning=reasoning)
    return write_reasoning(conversation, traits_of(model), output_tokens_limit=limit, is_tool_forced=is_tool_forced)


def on(effort: str | None = None, tokens_max: int | None = None) -> Reasoning:
    return Reasoning(is_on=True, effort=effort, tokens_max=tokens_max)


def off(effort: str | None = "none") -> Reasoning:
    return Reasoning(is_on=False, effort=effort)


def budget(tokens: int) -> ThinkingConfig:
    return ThinkingConfig("enabled", budget_tokens=tokens)


@pytest.mark.parametrize(
    ("reasoning", "model", "words"),
    [
        (None, "claude-opus-5-5", (None, None, ())),
        # Models that know budgets alone are told one for the effort.
        (on("minimal"), "claude-sonnet-4-5", (budget(1_024), None, ())),
        (on("medium"), "claude-sonnet-4-5", (budget(8_192), None, ())),
        (on("high"), "claude-sonnet-4-5", (budget(24_576), None, ())),
        (on(), "claude-sonnet-4-5", (budget(8_192), None, ())),
        (on(tokens_max=5_000), "claude-sonnet-4-5", (budget(5_000), None, ())),
        (on(tokens_max=100), "claude-sonnet-4-5", (budget(BUDGET_TOKENS_MIN), None, (BUDGET,))),
        (off(), "claude-sonnet-4-5", (DISABLED, None, ())),
        (Reasoning(effort="low"), "claude-sonnet-4-5", (budget(1_024), None, ())),
        (on("xhigh"), "claude-opus-4-5", (budget(32_768), "high", (EFFORT,))),
        (Reasoning(effort="low"), "claude-opus-4-5", (None, "low", ())),
        # The two of 4.6 know both.
        (on("max"), "claude-opus-4-6", (ThinkingConfig("adaptive"), "max", ())),
        (on("xhigh"), "claude-opus-4-6", (ThinkingConfig("adaptive"), "high", (EFFORT,))),
        (on("low", 2_000), "claude-sonnet-4-6", (budget(2_000), "low", ())),
        # Later ones think as much as their effort says.
        (on("high"), "claude-opus-4-8", (ADAPTIVE, "high", ())),
        (on("minimal"), "claude-opus-4-8", (ADAPTIVE, "low", (EFFORT,))),
        (on(tokens_max=1_000), "claude-opus-4-8", (ADAPTIVE, "low", (BUDGET,))),
        (on(tokens_max=60_000), "claude-opus-4-8", (ADAPTIVE, "high", (BUDGET,))),
        (on("low", 60_000), "claude-opus-4-8", (ADAPTIVE, "low", (BUDGET,))),
        (Reasoning(effort="max"), "claude-opus-4-8", (None, "max", ())),
        (off(), "claude-opus-4-8", (DISABLED, None, ())),
        (off(), "claude-sonnet-5-5", (ThinkingConfig("between_tools"), None, ())),
        (off("max"), "claude-opus-5", (DISABLED, "high", (EFFORT,))),
        (off("max"), "claude-opus-4-8", (DISABLED, "max", ())),
        # Some cannot stop.
        (off(), "claude-opus-5-5", (None, "low", (EFFORT,))),
        # And some cannot begin.
        (on("high"), "claude-3-5-haiku-latest", (None, None, (EFFORT,))),
        (off(), "claude-3-5-haiku-latest", (None, None, ())),
    ],
)
def test_thinking_is_said_as_the_model_takes_it(
    reasoning: Reasoning | None, model: str, words: tuple[ThinkingConfig | None, str | None, tuple[str, ...]]
) -> None:
    thinking, effort, dropped = words
    assert written(reasoning, model) == ReasoningWords(thinking=thinking, effort=effort, dropped=dropped)


@pytest.mark.parametrize(
    ("reasoning", "limit", "thinking", "dropped"),
    [
        (on("high"), 10_000, budget(8_000), ()),  # a fifth is left to the answer
        (on(tokens_max=9_000), 10_000, budget(9_000), ()),
        (on(tokens_max=20_000), 10_000, budget(9_999), (BUDGET,)),
        (on("low"), BUDGET_TOKENS_MIN + 1, budget(BUDGET_TOKENS_MIN), ()),
        (on("low"), BUDGET_TOKENS_MIN, None, (EFFORT,)),
    ],
)
def test_a_budget_lies_below_the_limit_of_the_output(
    reasoning: Reasoning, limit: int, thinking: ThinkingConfig | None, dropped: tuple[str, ...]
) -> None:
    assert written(reasoning, "claude-sonnet-4-5", limit=limit) == ReasoningWords(thinking=thinking, dropped=dropped)


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-4-8"])
def test_no_thinking_is_asked_for_beside_a_forced_tool(model: str) -> None:
    words = written(on("high"), model, is_tool_forced=True)
    assert words.thinking is None
    assert words.dropped == (EFFORT,)


@pytest.mark.parametrize(
    ("turns", "is_thinking"),
    [
        ((USER, ASKED, ANSWERED), False),
        ((USER, THOUGHT, ANSWERED), True),
        ((USER, ASKED, ANSWERED, Turn("assistant", (Text("So."),)), USER), True),
        ((USER, ASKED, ANSWERED, USER), True),
        ((USER, Turn("assistant", (RedactedThinking("eHh4"), ToolCall("t", "f"))), ANSWERED), True),
        ((USER, Turn("assistant", (Thinking("Hm."), ToolCall("t", "f"))), ANSWERED), False),
    ],
)
def test_no_budget_is_asked_for_where_the_last_calls_came_back_without_their_thinking(
    turns: tuple[Turn, ...], is_thinking: bool
) -> None:
    words = written(on("high"), "claude-sonnet-4-5", turns=turns)
    assert words.is_thinking is is_thinking
    assert words.dropped == (() if is_thinking else (EFFORT,))
