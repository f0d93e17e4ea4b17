"""What the world knows of models: expected quality by model family and task, and by price where nothing was measured.

Learnt by `make train` from public outcome sets (`app/training/quality.py`), read once, asked when a tenant's
candidates are built. Invariant: a belief says how many prompts it is worth, and none is worth more than a tenant's
own few dozen.
"""

from functools import lru_cache
from math import exp, log10
from pathlib import Path
from typing import Final

import msgspec

from app.routing.model_family import family_of

ARTIFACT: Final = Path(__file__).with_name("artifacts") / "quality.json"
GENERAL: Final = ""  # the task that stands for every other
WEIGHT_MIN: Final = 1.0
NANO_DIGITS: Final = 9


class Belief(msgspec.Struct, frozen=True, array_like=True):
    """An expected score in [0, 1], and the number of prompts that it counts for beside measured ones."""

    value: float
    weight: float


class PriceLine(msgspec.Struct, frozen=True):
    """The logit of the expected score by the decimal logarithm of the output price in USD per million tokens."""

    intercept: float
    slope: float
    spread: float  # standard deviation of models around the line


class PublicQuality(msgspec.Struct, frozen=True):
    """The table. Tasks that no set asks for have the general row."""

    source: str
    families: dict[str, dict[str, Belief]]
    by_price: dict[str, PriceLine]


@lru_cache(maxsize=1)
def load_public_quality() -> PublicQuality:
    """Read the table that ships with the program."""
    return msgspec.json.decode(ARTIFACT.read_bytes(), type=PublicQuality)


def measured_beliefs(model: str) -> dict[str, Belief] | None:
    """Give what public sets tell of a model, by task; None when none asked it."""
    return load_public_quality().families.get(family_of(model))


@lru_cache(maxsize=4_096)
def price_beliefs(output_nano_usd_per_million: int) -> dict[str, Belief]:
    """Give what models of a price reach, by task: all there is to go by until somebody measures one."""
    return {
        task: _at(line, log10(output_nano_usd_per_million) - NANO_DIGITS)
        for task, line in load_public_quality().by_price.items()
    }


def _at(line: PriceLine, log_usd: float) -> Belief:
    value = 1 / (1 + exp(-line.intercept - line.slope * log_usd))
    return Belief(round(value, 3), round(max(WEIGHT_MIN, 1 / (value * (1 - value) * line.spread**2) - 1), 1))
