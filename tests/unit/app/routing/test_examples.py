"""The nearest of a tenant's labelled prompts tell a task, with a confidence that holds."""

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from app.routing import Example, Examples, build_index, classify, load_examples
from app.routing.examples import FEATURES_MAX, VERSION, Index, features_of
from app.routing.reading import read_prompt
from tests.unit.app.routing.builders import make_facts

ORDERS = ("Where is my parcel?", "My parcel has not come yet", "When will my order be delivered?", "Track my parcel")
REFUNDS = ("I want a refund for the broken lamp", "Give me back what I paid", "The lamp is broken, refund it")
PARTS = {
    "wheel": ("spoke", "rim", "hub", "tyre", "valve", "tube"),
    "engine": ("piston", "crank", "valve", "oil", "gasket", "cam"),
    "body": ("door", "paint", "rust", "bumper", "window", "roof"),
}


def make_examples(*pairs: tuple[str, str]) -> Examples:
    examples = load_examples(
        build_index([Example(prompt, task, classify(prompt).task.value) for prompt, task in pairs])
    )
    assert examples is not None
    return examples


def make_workshop(count: int, *, noise: float = 0.0, seed: int = 7) -> list[tuple[str, str]]:
    """Prompts of a garage; a share of them is labelled by chance."""
    chance = random.Random(seed)
    pairs = []
    for number in range(count):
        task = chance.choice(sorted(PARTS))
        words = [chance.choice(PARTS[task]) for _ in range(3)] + [f"case{number}", "please", "look"]
        chance.shuffle(words)
        pairs.append((" ".join(words), chance.choice(sorted(PARTS)) if chance.random() < noise else task))
    return pairs


SHOP = make_examples(*((text, "order") for text in ORDERS), *((text, "refund") for text in REFUNDS))


def test_nearest_examples_tell_the_task() -> None:
    for text, task in (("my parcel has not come", "order"), ("refund for a broken lamp", "refund")):
        near = SHOP.nearest(read_prompt(text))
        assert near is not None
        assert near.task == task
        assert near.confidence >= 0.5


def test_case_spaces_and_punctuation_change_nothing() -> None:
    plain = SHOP.nearest(read_prompt("where is my parcel"))
    assert plain == SHOP.nearest(read_prompt("  WHERE is my   parcel?! "))


def test_prompt_that_is_like_none_is_left_to_the_classifier() -> None:
    assert SHOP.nearest(read_prompt("Prove that the square root of two is irrational.")) is None
    assert SHOP.nearest(read_prompt("")) is None
    told = classify(make_facts("Translate to French: where is the station?"), examples=SHOP)
    assert told.task.decided_by == "classifier"


def test_keyword_and_tag_go_before_examples_and_examples_before_the_classifier() -> None:
    text = "my parcel has not come"
    assert classify(make_facts(text), examples=SHOP).task.decided_by == "example"
    assert classify(make_facts(text, metadata={"task": "refund"}), examples=SHOP).task.decided_by == "tag"
    assert classify(make_facts(text), examples=SHOP).task.because.endswith("of the tenant's nearest examples")


def test_words_of_scripts_without_spaces_are_near_too() -> None:
    shop = make_examples(("我的包裹在哪里", "order"), ("我要退款", "refund"), ("灯坏了请退款", "refund"))
    near = shop.nearest(read_prompt("包裹在哪里？"))
    assert near is not None
    assert near.task == "order"


def test_confidence_holds_on_prompts_that_were_left_out() -> None:
    for noise in (0.0, 0.3):
        pairs = make_workshop(1_200, noise=noise)
        workshop = make_examples(*pairs[:600])
        told = [(workshop.nearest(read_prompt(text)), task) for text, task in pairs[600:]]
        near = [(each.confidence, each.task == task) for each, task in told if each is not None]
        assert len(near) > 500
        sure = sum(confidence for confidence, _ in near) / len(near)
        right = sum(is_right for _, is_right in near) / len(near)
        assert abs(sure - right) < 0.07


def test_few_examples_are_never_sure() -> None:
    shop = make_examples(("Where is my parcel?", "order"))
    near = shop.nearest(read_prompt("Where is my parcel?"))
    assert near is not None
    assert 0.5 <= near.confidence < 0.9


def test_same_examples_give_the_same_index() -> None:
    pairs = [Example(*each) for each in make_workshop(200)]
    assert build_index(pairs) == build_index(pairs)


def test_index_holds_no_word_of_an_example() -> None:
    assert b"parcel" not in build_index([Example(text, "order") for text in ORDERS])


def test_index_of_another_version_or_of_nothing_tells_nothing() -> None:
    index = msgspec.msgpack.decode(build_index([Example("a b", "t")]), type=Index)
    assert load_examples(msgspec.msgpack.encode(msgspec.structs.replace(index, version=VERSION + 1))) is None
    assert load_examples(build_index([])) is None


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.text(max_size=60), st.sampled_from(["a", "b"])), min_size=1, max_size=12),
    st.text(max_size=200),
)
def test_any_examples_answer_any_prompt(pairs: list[tuple[str, str]], prompt: str) -> None:
    near = make_examples(*pairs).nearest(read_prompt(prompt))
    assert near is None or (near.task in {task for _, task in pairs} and 0 <= near.confidence <= 1)
    assert len(features_of(read_prompt(prompt * 50))) <= FEATURES_MAX
