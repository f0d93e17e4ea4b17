"""How often a prompt keeps its task when it is typed otherwise: case, white space, slips. Called by `evaluate`.

Invariant: the prompts are of styles that the weights did not see, and the same seed makes the same slips.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from app.training.examples import Example
from app.training.leave_out import predicted
from app.training.linear import TASKS, Floats, sparse_of

SEED: Final = 20_261_124
SLIP_SHARE: Final = 0.1  # of the longer words
SLIP_CHARACTERS_MIN: Final = 5
SPACE_SHARE: Final = 0.2


def upper(text: str, _: random.Random) -> str:
    """Type all in capitals."""
    return text.upper()


def loose(text: str, chance: random.Random) -> str:
    """Double some spaces, and leave some at the ends."""
    return f" {''.join(each * (1 + (each == ' ' and chance.random() < SPACE_SHARE)) for each in text)} \n"


def slipped(text: str, chance: random.Random) -> str:
    """Swap two neighbours within some of the longer words."""
    words = text.split(" ")
    for place, word in enumerate(words):
        if len(word) >= SLIP_CHARACTERS_MIN and word.isalpha() and chance.random() < SLIP_SHARE:
            at = chance.randrange(1, len(word) - 2)
            words[place] = f"{word[:at]}{word[at + 1]}{word[at]}{word[at + 2 :]}"
    return " ".join(words)


NOISES: Final[tuple[Callable[[str, random.Random], str], ...]] = (upper, loose, slipped)


def kept_shares(examples: Sequence[Example], weights: Floats) -> Iterator[tuple[str, float]]:
    """Give, by kind of noise, the share of prompts that keep their task."""
    before = _tasks([each.text for each in examples], weights)
    for noise in NOISES:
        chance = random.Random(SEED)  # noqa: S311 - it is to be the same each time
        after = _tasks([noise(each.text, chance) for each in examples], weights)
        same = sum(one == other for one, other in zip(before, after, strict=True))
        yield noise.__name__, same / len(examples)


def _tasks(texts: Sequence[str], weights: Floats) -> list[int]:
    return [int(predicted(prompt, weights)[: len(TASKS)].argmax()) for prompt in sparse_of(texts)]
