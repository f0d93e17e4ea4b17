"""What each Claude model takes of a request, as rows: read by `request` and `reasoning` when they write one.

The API refuses a request for what its model does not take, so what a caller of another dialect asks for is fitted
to the model. Pure. Invariant: a model of the future is taken for one like the newest, a model of another vendor
for one like those of 2025, which is what the others imitate.
"""

import re
from functools import lru_cache
from typing import Final, Literal

import msgspec

ThinkingForm = Literal["none", "budget", "either", "adaptive"]
Sampling = Literal["none", "one", "both"]

EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_MODELS_CACHED_MAX: Final = 4_096


class ModelTraits(msgspec.Struct, frozen=True, kw_only=True):
    """What a model takes. The defaults are those of most models since Claude Opus 4.7."""

    thinking: ThinkingForm = "adaptive"
    thinking_off: Literal["disabled", "between_tools"] | None = "disabled"  # None: it always thinks
    thinks_above_high: bool = False  # refuses to have its thinking off with an effort above 'high'
    efforts: tuple[str, ...] = EFFORTS
    sampling: Sampling = "none"  # of temperature and top_p: none (but the defaults), one of the two, or both
    has_forced_tools: bool = True  # takes a tool_choice of 'any' or 'tool'
    has_system_turns: bool = True  # takes role 'system' after a user's turn


_NEWEST: Final = ModelTraits(thinking_off=None, has_forced_tools=False)
_OLD: Final = ModelTraits(thinking="budget", efforts=(), sampling="both", has_system_turns=False)
_OF_4_5: Final = ModelTraits(thinking="budget", efforts=(), sampling="one", has_system_turns=False)

# First match wins. Anthropic's pages on thinking, effort, mid-conversation system messages and the migration
# guides of Opus 5.5, Sonnet 5.5 and Haiku 5.5, 2026-11. Dots in a name are read as dashes.
_ROWS: Final = tuple(
    (re.compile(pattern), traits)
    for pattern, traits in (
        (r"claude-(instant|2|3-(5-|haiku|sonnet|opus))", msgspec.structs.replace(_OLD, thinking="none")),
        (r"claude-(3-7|(opus|sonnet)-4(-0)?([-@]20\d{6}|$|-latest))", _OLD),
        (r"claude-(opus-4-1|(sonnet|haiku)-4-5)", _OF_4_5),
        (r"claude-opus-4-5", msgspec.structs.replace(_OF_4_5, efforts=EFFORTS[:3])),
        (
            r"claude-(opus|sonnet)-4-6",
            msgspec.structs.replace(_OF_4_5, thinking="either", efforts=("low", "medium", "high", "max")),
        ),
        (
            r"claude-mythos-preview",
            ModelTraits(thinking_off=None, efforts=("low", "medium", "high", "max"), has_system_turns=False),
        ),
        (r"claude-opus-4-7", ModelTraits(has_system_turns=False)),
        (r"claude-opus-4-8", ModelTraits()),
        (
            r"claude-sonnet-5-5",
            ModelTraits(thinking_off="between_tools", thinks_above_high=True, has_forced_tools=False),
        ),
        (r"claude-sonnet-5", ModelTraits(has_system_turns=False)),
        (r"claude-(opus-5(?!-\d)|haiku-5-5)", ModelTraits(thinks_above_high=True)),
        (r"claude-(fable|mythos)-5(?!-\d)", ModelTraits(thinking_off=None)),
        (r"claude-", _NEWEST),
        (r"", _OLD),
    )
)


@lru_cache(maxsize=_MODELS_CACHED_MAX)
def traits_of(model: str) -> ModelTraits:
    """What a model takes, by its name as Anthropic or a cloud writes it."""
    name = model.lower().replace(".", "-")
    return next(traits for pattern, traits in _ROWS if pattern.search(name))
