"""The learned classifier: exact sums, bounded memory, and a guess for any text."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.routing import Domain, Task
from app.routing.classifier import (
    LANES,
    PARTS,
    WORDS_KEPT_MAX,
    ZERO,
    Classifier,
    Guess,
    Weights,
    load_classifier,
    share_of,
)
from app.routing.features import WHOLE, features_of, features_of_word
from app.routing.reading import read_prompt
from app.routing.scoring import hear
from app.routing.structure import STRUCTURE

ROWS = 64
SHIPPED = load_classifier()


def make_weights(
    row: list[int] | None = None, *, structure: tuple[str, ...] = STRUCTURE, confidence: tuple[float, ...] = (0.0,) * 8
) -> Weights:
    rows = bytearray([ZERO] * ROWS * LANES)
    for place in range(ROWS):
        rows[place * LANES : place * LANES + len(row or [])] = bytes(each + ZERO for each in row or [])
    return Weights(
        version="made",
        tasks=tuple(map(str, Task)),
        domains=tuple(map(str, Domain)),
        structure=structure,
        table=bytes(rows),
        flags=bytes(len(structure) * LANES * 4),
        step=0.01,
        sharpness={"task": 1.0, "domain": 1.0},
        confidence=confidence,
    )


def guess(text: str, classifier: Classifier = SHIPPED) -> Guess:
    reading = read_prompt(text)
    return classifier.guess(reading, hear(reading))


@given(
    st.lists(st.integers(-127, 127), min_size=LANES, max_size=LANES), st.lists(st.integers(0, 2**32 - 1), max_size=250)
)
@settings(max_examples=50)
def test_lanes_never_spill_into_each_other(row: list[int], hashes: list[int]) -> None:
    classifier = Classifier(make_weights(row))
    assert classifier.sum_of(hashes) == [each * len(hashes) for each in row]


def test_sums_are_what_a_plain_loop_gives() -> None:
    text = "Write a Python function that merges two sorted lists.\n\n```\ndef merge(a, b): ...\n```"
    row = list(range(-16, 16))
    reading = read_prompt(text)
    prompt = features_of(reading, hear(reading))
    count = sum(len(features_of_word(word)) for word in prompt.words) * share_of(WHOLE, len(prompt.words))
    count += sum(len(hashes) * share_of(place, len(hashes)) for place, hashes in prompt.phrases if hashes)
    assert Classifier(make_weights(row)).sums(prompt) == [each * count for each in row]


def test_weights_of_other_flags_are_refused() -> None:
    with pytest.raises(ValueError, match="make train"):
        Classifier(make_weights(structure=STRUCTURE[1:]))


def test_memory_of_words_is_bounded_and_changes_no_guess() -> None:
    classifier = load_classifier()
    before = guess("Translate the word dog into Dutch.", classifier)
    for start in range(0, WORDS_KEPT_MAX * 2, 100):
        guess(" ".join(f"w{number}x" for number in range(start, start + 100)), classifier)
    assert classifier.words_kept <= WORDS_KEPT_MAX + 160
    assert guess("Translate the word dog into Dutch.", classifier) == before


@given(st.text(max_size=1_500))
def test_any_text_has_a_guess_among_the_named_ones(text: str) -> None:
    said = guess(text)
    assert said.task in set(Task)
    assert said.domain in set(Domain)
    assert 0 <= said.task_confidence <= 1
    assert 0 <= said.domain_confidence <= 1
    assert not math.isnan(said.task_confidence)


def test_hostile_text_stays_within_the_lanes() -> None:
    words = " ".join(f"{'q' * 200}{number}" for number in range(4_000))
    assert guess(words).task in set(Task)
    classifier = Classifier(make_weights([127] * LANES))
    reading = read_prompt(words)
    assert all(0 < each < 2**31 for each in classifier.sums(features_of(reading, hear(reading))))


def test_parts_weigh_by_the_root_of_their_number() -> None:
    assert share_of(WHOLE, 1) == 2 * share_of(WHOLE, 4) == PARTS // 2


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("whats a word for someone who always agrees, in spanish", Task.TRANSLATION),
        ("rewrite so its less rude: send me the file now", Task.REWRITING),
        (
            "def median(xs):\n    return sorted(xs)[len(xs)/2]\n\nTypeError: list indices must be integers",
            Task.CODE_DEBUGGING,
        ),
        ("my parcel says delivered but it isnt here, order 4471, where is it?", Task.CUSTOMER_SUPPORT),
        ("Boil 3 eggs at 7 minutes each, 2 at a time. How many minutes in total?", Task.MATH_REASONING),
    ],
)
def test_shipped_weights_tell_plain_prompts(text: str, task: Task) -> None:
    assert guess(text).task == task
