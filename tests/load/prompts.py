"""The pool of prompts that the bench sends: different texts of about 1 KB, the same in every run.

Invariant: no two are equal, so that no cache between client and mock can flatter a gateway.
"""

import random
from typing import Final

POOL_SIZE: Final = 512
PROMPT_BYTES: Final = 1_000

_ASKS: Final = (
    "Summarize the following notes for a colleague:",
    "Translate this report into French:",
    "Write a Python function that does what these notes ask for:",
    "Find out why the program described here fails:",
    "Extract every name and date from this text:",
    "Say whether the customer who wrote this is content:",
    "Rewrite this paragraph so that a child understands it:",
    "Plan the next three weeks from these notes:",
    "Answer the question that is asked here, step by step:",
    "Draft a friendly reply to this letter:",
)
_WORDS: Final = tuple(
    word
    for line in (
        "signal lever frame track point section interval bell block train driver guard platform ticket station",
        "timetable delay weather bridge tunnel signalman shift report repair budget invoice customer order price",
        "question answer table column record number total month week morning evening Anna Berlin Cologne Lyon",
        "because although therefore before after between without towards sooner later green red open closed long short",
    )
    for word in line.split()
)


def pool() -> list[str]:
    """The prompts."""
    dice = random.Random(1830)
    return [_prompt(dice, number) for number in range(POOL_SIZE)]


def _prompt(dice: random.Random, number: int) -> str:
    text = f"{_ASKS[number % len(_ASKS)]} case {number}."
    while len(text) < PROMPT_BYTES:
        sentence = " ".join(dice.choices(_WORDS, k=dice.randint(6, 14)))
        text += f" {sentence.capitalize()}."
    return text
