"""Which models a person means: "Claude Sonnet", "Mistral 7B", "the cheapest OpenAI model". Called by `spoken`.

Invariant: every name or glob that it gives matches a model that exists.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from app.routing.glob import compile_glob
from app.routing.policy_document import Strategy

NAME_WORDS_MAX: Final = 7
LISTED_MAX: Final = 8  # models that one mention may stand for
STRATEGY_WORDS: Final = {
    "cheapest": Strategy.CHEAPEST,
    "best": Strategy.BEST,
    "strongest": Strategy.BEST,
    "smartest": Strategy.BEST,
    "fastest": Strategy.FASTEST,
    "quickest": Strategy.FASTEST,
}
_ARTICLES: Final = frozenset({"the", "a", "an", "our", "some"})
_NOUNS: Final = frozenset({"model", "models", "one", "llm"})


class Mention(NamedTuple):
    """Models that were named, how they are to be ranked if that was said, and where the words after them begin."""

    candidates: tuple[str, ...]
    strategy: Strategy | None
    end: int


def words_of(text: str) -> list[str]:
    """Part a text into lower-case words of letters and digits; a decimal point stays within its number."""
    marks = "".join(
        character if character.isalnum() or _is_point(text, place) else " " for place, character in enumerate(text)
    )
    return marks.lower().split()


def find_mention(words: Sequence[str], start: int, known: Collection[str]) -> Mention | None:
    """Find the models that are named from a word on: the longest mention counts."""
    while start < len(words) and words[start] in _ARTICLES:
        start += 1
    strategy = STRATEGY_WORDS.get(words[start]) if start < len(words) else None
    if strategy is not None:
        start += 1
    for end in range(min(len(words), start + NAME_WORDS_MAX), start, -1):
        candidates = _named([word for word in words[start:end] if word not in _NOUNS], known)
        if candidates:
            return Mention(candidates, strategy, end)
    if strategy is None:
        return None
    end = start + 1 if start < len(words) and words[start] in _NOUNS else start
    return Mention(("*",), strategy, end)


def _named(words: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """Give the models whose name has all the words, as one glob where it matches no other."""
    if not words:
        return ()
    found = sorted(name for name in known if _has_all(name, words))
    exact = [name for name in found if set(words_of(name)) <= {*words} or words_of(name.partition("/")[2]) == [*words]]
    if exact:
        return (min(exact, key=lambda name: (len(name), name)),)  # of several providers, the shortest name
    if len(found) <= 1:
        return tuple(found)
    glob = _common_glob(found)
    if glob is not None and sum(map(compile_glob(glob), known)) == len(found):
        return (glob,)
    return tuple(found) if len(found) <= LISTED_MAX else ()


def _has_all(name: str, words: Sequence[str]) -> bool:
    parts = words_of(name)
    joined = "".join(parts)
    # "GPT-4o mini" may be written "gpt4o-mini", and "Mistral 7B" stands in "open-mistral-7b".
    return all(word in parts for word in words) or (len(words) > 1 and "".join(words) in joined)


def _common_glob(names: Sequence[str]) -> str | None:
    first, last = names[0], names[-1]  # sorted: what these two begin with, all do
    length = next(
        (place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first)
    )
    prefix = first[:length]
    return f"{prefix}*" if "/" in prefix else None


def _is_point(text: str, place: int) -> bool:
    return text[place] == "." and text[place - 1 : place].isdigit() and text[place + 1 : place + 2].isdigit()
