"""One name for one model, whoever serves it: `Meta-Llama-3.1-8B-Instruct-Turbo` and `llama-3.1-8b-instant` are one.

Called where what was measured of a model meets the names of the price book. Invariant: a quantised or otherwise
altered model keeps a name of its own, so that no figure is lent to it.
"""

import re
from functools import lru_cache
from typing import Final

# In order. Sizes, generations and words such as `mini` or `lite` tell models apart and stay.
_REWRITES: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^.*/|@.*$", ""),
        (r"(?<=\d)p(?=\d)", "."),  # fireworks writes v3p1
        (r"^meta-(?=llama)", ""),
        (r"^llama-v?(?=\d)|^llama(?=\d)", "llama-"),
        (r"^(gemini)-(flash|pro)-(\d\.\d)", r"\1-\3-\2"),
        (r"^gpt-4-(1106|0125)-preview$", "gpt-4-turbo"),
        (r"-(20\d\d-\d\d-\d\d|20\d{6}|\d{4}|\d{3}|latest|preview|32768|8192)$", ""),
        (r"^(llama-3\S*b)-(instant|versatile)$", r"\1"),
        (r"-(instruct|inst|chat|it)(-turbo)?(-v\d+(\.\d+)?)?$", ""),
        (r"^gemma-?(\d)", r"gemma-\1"),
        (r"-v0\.\d$", ""),
    )
)


@lru_cache(maxsize=16_384)
def family_of(model: str) -> str:
    """Give the name under which a model's figures are kept."""
    name = model.lower()
    for pattern, replacement in _REWRITES:
        name = pattern.sub(replacement, name)
    return name
