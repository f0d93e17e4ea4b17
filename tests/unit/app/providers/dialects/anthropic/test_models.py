"""Each Claude model is known by its name, however a cloud writes it; a model to come is taken for the newest."""

import pytest

from app.providers.dialects.anthropic.models import traits_of

NEWEST = traits_of("claude-opus-5-5")
PLAIN = traits_of("claude-opus-4")


@pytest.mark.parametrize(
    ("model", "thinking", "off", "sampling", "has_forced_tools", "has_system_turns"),
    [
        ("claude-3-haiku-20240307", "none", "disabled", "both", True, False),
        ("claude-3-5-sonnet-latest", "none", "disabled", "both", True, False),
        ("claude-3-7-sonnet-20250219", "budget", "disabled", "both", True, False),
        ("claude-opus-4-20250514", "budget", "disabled", "both", True, False),
        ("claude-opus-4-1-20250805", "budget", "disabled", "one", True, False),
        ("claude-sonnet-4-5-20250929", "budget", "disabled", "one", True, False),
        ("claude-haiku-4-5", "budget", "disabled", "one", True, False),
        ("claude-opus-4-5", "budget", "disabled", "one", True, False),
        ("claude-opus-4-6", "either", "disabled", "one", True, False),
        ("claude-sonnet-4-6", "either", "disabled", "one", True, False),
        ("claude-mythos-preview", "adaptive", None, "none", True, False),
        ("claude-opus-4-7", "adaptive", "disabled", "none", True, False),
        ("claude-opus-4-8", "adaptive", "disabled", "none", True, True),
        ("claude-sonnet-5", "adaptive", "disabled", "none", True, False),
        ("claude-opus-5", "adaptive", "disabled", "none", True, True),
        ("claude-fable-5", "adaptive", None, "none", True, True),
        ("claude-haiku-5-5", "adaptive", "disabled", "none", True, True),
        ("claude-sonnet-5-5", "adaptive", "between_tools", "none", False, True),
        ("claude-opus-5-5", "adaptive", None, "none", False, True),
        ("claude-fable-5-2", "adaptive", None, "none", False, True),
        ("claude-mythos-5-1", "adaptive", None, "none", False, True),
    ],
)
def test_a_model_is_known(
    model: str, thinking: str, off: str | None, sampling: str, has_forced_tools: bool, has_system_turns: bool
) -> None:
    traits = traits_of(model)
    assert (traits.thinking, traits.thinking_off, traits.sampling) == (thinking, off, sampling)
    assert (traits.has_forced_tools, traits.has_system_turns) == (has_forced_tools, has_system_turns)


@pytest.mark.parametrize(
    ("written", "model"),
    [
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("us.anthropic.claude-opus-4-6-v1:0", "claude-opus-4-6"),
        ("claude-opus-4@20250514", "claude-opus-4"),
        ("CLAUDE-OPUS-5", "claude-opus-5"),
        ("anthropic.claude-opus-4-20250514-v1:0", "claude-opus-4"),
    ],
)
def test_a_name_is_read_as_each_cloud_writes_it(written: str, model: str) -> None:
    assert traits_of(written) is traits_of(model)


def test_a_model_to_come_is_taken_for_the_newest_and_another_vendors_for_an_old_one() -> None:
    assert traits_of("claude-opus-7") == NEWEST
    assert traits_of("kimi-k3") == traits_of("deepseek-chat") == PLAIN
