"""What model families can do, by patterns of their names; and which models do not chat at all.

Read by the catalogue. The first matching row decides; a model without a row is unknown (None), which
routing treats as "not proven" when a request needs a capability. Hand-written 2026-11 from what vendors
publish of each family, a newer member taken to do what its family does, and not tried with a real key.
The vendor's prefix of a name (`openai/gpt-4o`) is not looked at.
"""

import re
from functools import lru_cache
from typing import Final

from app.routing.candidate import Capability

TEXT: Final[frozenset[Capability]] = frozenset()
TOOLS: Final = frozenset({Capability.TOOLS})
TOOLS_AND_SCHEMA: Final = frozenset({Capability.TOOLS, Capability.JSON_SCHEMA})
TOOLS_AND_IMAGES: Final = frozenset({Capability.TOOLS, Capability.IMAGES})
IMAGES: Final = frozenset({Capability.IMAGES})
ALL: Final = frozenset(Capability)

# Price books also hold models that embed, draw, listen, speak or judge, and prices of batch calls.
_NOT_CHAT: Final = re.compile(
    r"embed|whisper|(^|-)tts|transcribe|-ocr|^ocr|realtime|gpt-image|-image(-|$)|moderation|^(ada|babbage|curie|davinci)"
    r"|^text-|turbo-instruct|llama-?guard|prompt-guard|content-safety|-audio|gpt-live|voice|orpheus"
    r"|lyria|computer-use|deep-research|search-preview|search-api|rerank|^ft:|\.ft-|:batch$|-base-|incite.*base|v3-base|:extended$"
)

_ROWS: Final = tuple(
    (re.compile(pattern), capabilities)
    for pattern, capabilities in (
        # Sandbox
        (r"(swift-mini|steady-base|coder-pro|deep-large)$", ALL),
        # OpenAI: structured outputs since gpt-4o-2024-08-06; o1-mini and o1-preview had neither tools nor images
        (r"gpt-4o-2024-05-13$", TOOLS_AND_IMAGES),
        (r"(gpt-4o|gpt-4\.1|gpt-4\.5|gpt-5|gpt-6|chatgpt-4o|gpt-chat|gpt-latest)", ALL),
        (r"o1-(mini|preview)", TEXT),
        (r"o3-mini", TOOLS_AND_SCHEMA),
        (r"(o1|o3|o4-mini)", ALL),
        (r"gpt-4-turbo", TOOLS_AND_IMAGES),
        (r"gpt-4-vision", IMAGES),
        (r"gpt-(4|3\.5-turbo)", TOOLS),
        (r"gpt-oss", TOOLS_AND_SCHEMA),
        (r"codex-mini", TOOLS_AND_SCHEMA),
        # Anthropic: structured outputs since Opus 4.5, Sonnet 4.5 and Haiku 4.5 ("Structured outputs", 2026-09)
        (r"claude-(2|v1)", TEXT),
        (r"claude-(opus|sonnet|haiku)-4[.-][5-9]", ALL),
        (r"claude-(opus|sonnet|haiku|fable|mythos)-([5-9]|latest|preview)", ALL),
        (r"claude-([34]\b|(opus|sonnet|haiku)-)", TOOLS_AND_IMAGES),
        # Google
        (r"gemini-(1\.5|2|3|4|flash|pro)", ALL),
        (r"gemma-(3|4)", IMAGES),
        (r"gemma", TEXT),
        # Mistral: structured outputs on all current models
        (r"(mistral-medium-(3|latest)|mistral-small-(3\.|26|latest)|mistral-large-(25|4)|pixtral|ministral-.*25)", ALL),
        (r"(magistral|ministral|devstral|codestral-25|mistral-(large|small|nemo|saba))", TOOLS_AND_SCHEMA),
        (r"(mistral-tiny|mistral-7b|mixtral-8x7b)", TEXT),
        (r"mixtral-8x22b", TOOLS),
        # DeepSeek: JSON mode, no schemas; the first reasoner had no tools
        (r"deepseek-r1(-distill)?", TEXT),
        (r"deepseek-(chat|reasoner|flash|pro|v3|v4)", TOOLS),
        # xAI
        (r"grok-2-vision", IMAGES),
        (r"grok-(2|3)", TOOLS_AND_SCHEMA),
        (r"grok-code", TOOLS_AND_SCHEMA),
        (r"grok-(4|latest)", ALL),
        # Meta
        (r"(meta-)?llama-?4", TOOLS_AND_IMAGES),
        (r"llama-3\.2-(11|90)b", IMAGES),
        (r"(meta-)?llama-?(3\.1|3\.3|v3p1|3\.2)", TOOLS),
        (r"(meta-)?llama-?[23]", TEXT),
        # Others
        (r"qwen-?(2|2\.5|2p5|3)-?vl", IMAGES),
        (r"qwen-?3(\.|p)[5-9]", TOOLS_AND_IMAGES),
        (r"qwen-?(2\.5|3)", TOOLS),
        (r"kimi-k2(\.|p)[5-9]|kimi-k3", TOOLS_AND_IMAGES),
        (r"kimi-k2", TOOLS),
        (r"(zai-)?glm-[45](\.|p)?\d*v", TOOLS_AND_IMAGES),
        (r"(zai-)?glm-[45]", TOOLS),
        (r"minimax-m[23]", TOOLS),
        (r"command-(a|r)", TOOLS_AND_SCHEMA),
        (r"sonar", frozenset({Capability.JSON_SCHEMA, Capability.IMAGES})),
    )
)


@lru_cache(maxsize=16_384)
def is_chat_model(model: str) -> bool:
    """Does a model answer chat requests at the price that the price book names?"""
    return _NOT_CHAT.search(_bare_name(model)) is None


@lru_cache(maxsize=16_384)
def capabilities_of(model: str) -> frozenset[Capability] | None:
    """What a model can do; None when no row knows it."""
    name = _bare_name(model)
    return next((capabilities for pattern, capabilities in _ROWS if pattern.match(name)), None)


def _bare_name(model: str) -> str:
    return model.rpartition("/")[2].lower()
