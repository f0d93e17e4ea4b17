"""Whether the last message of a conversation only makes sense with what was asked before: "and in French?".

Called by `classify` where a conversation has an earlier request. Invariant: it looks at the first words and the
length, so an instruction that stands by itself is left alone whatever it is about.
"""

from collections.abc import Sequence
from typing import Final

from app.routing.decision import RequestFacts
from app.routing.reading import Reading, read_prompt
from app.routing.signal_words import words_of

FOLLOW_UP_CHARACTERS: Final = 80
FOLLOW_UP_DENSE_CHARACTERS: Final = 30  # where a character is a word or half of one
# Below, the task that the conversation had goes before the task that the message has by itself.
OWN_CONFIDENCE_LEAST: Final = 0.6
OWN_CONFIDENCE_LEAST_OPENED: Final = 0.99  # after a word that binds it to what was said

_OPENERS: Final = tuple(f" {opener} " for opener in words_of("opener"))
_OPENERS_WITHOUT_SPACE: Final = words_of("opener_without_space")


def own_confidence_least(reading: Reading) -> float:
    """Say from which confidence on a message's own task goes before its conversation's; 0 where it always does."""
    is_dense = bool(reading.raw) and len(reading.raw.encode(errors="replace")) > 2 * len(reading.raw)
    if reading.length > (FOLLOW_UP_DENSE_CHARACTERS if is_dense else FOLLOW_UP_CHARACTERS):
        return 0.0
    is_opened = reading.words.startswith(_OPENERS) or reading.raw.startswith(_OPENERS_WITHOUT_SPACE)
    return OWN_CONFIDENCE_LEAST_OPENED if is_opened else OWN_CONFIDENCE_LEAST


def request_followed(facts: RequestFacts) -> Reading | None:
    """Give the newest earlier request that stands by itself; else the oldest that is known."""
    readings: Sequence[Reading] = [read_prompt(text) for text in facts.earlier if text]
    standing = [each for each in readings if own_confidence_least(each) < OWN_CONFIDENCE_LEAST_OPENED]
    return next(iter(standing or readings[-1:]), None)
