"""How much a request asks, in named parts."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing import Complexity, classify
from app.routing.complexity import WEIGHTS
from tests.unit.app.routing.builders import make_facts

PARTS = tuple(name for name in Complexity.__struct_fields__ if name != "value")
HARD = (
    "Design a distributed rate limiter. It must survive a node failure, use at most 50 MB and avoid locks.\n"
    "1. First compare the algorithms\n2. Then derive the error bound\n3. Finally justify the trade-offs"
)


def complexity_of(text: str, **facts: object) -> Complexity:
    return classify(make_facts(text, **facts)).complexity


def test_every_part_has_a_weight() -> None:
    assert set(PARTS) == set(WEIGHTS)


@pytest.mark.parametrize("easy", ["hi", "What is the capital of France?", "Translate: good morning", "你好", "Danke!"])
def test_hard_work_is_rated_above_small_talk(easy: str) -> None:
    assert complexity_of(easy).value < 0.25
    assert complexity_of(HARD).value > 0.6


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("constraints", "Write it with exactly 100 words, at least two rhymes, and do not use the letter e."),
        ("constraints", "Schreib genau 100 Wörter, mindestens zwei Reime und ohne den Buchstaben e."),
        ("constraints", "写一首诗，必须至少八行，不要用“爱”字。"),
        ("reasoning", "Explain why the sky is blue and compare it with Mars."),
        ("reasoning", "Erkläre, warum der Himmel blau ist, und vergleiche ihn mit dem Mars."),
        ("reasoning", "なぜ空は青いのか説明し、火星と比較してください。"),
        ("steps", "First list the cities, then sort them, and finally draw a map."),
        ("steps", "Сначала перечисли города, затем отсортируй их и наконец нарисуй карту."),
        ("code", "Fix this:\n```\nimport os;\nfor (;;) {\n  x = 1;\n}\n```"),
        ("length", "Tell me more about this. " * 60),
    ],
)
def test_part_is_told(part: str, text: str) -> None:
    assert getattr(complexity_of(text), part) >= 0.25


def test_turns_tools_and_schema_count() -> None:
    plain = complexity_of("Book a table.")
    assert complexity_of("Book a table.", turns=7).turns == 0.5
    assert complexity_of("Book a table.", has_tools=True).steps > plain.steps
    assert complexity_of("Book a table.", wants_json_schema=True).constraints > plain.constraints


def test_depth_follows_the_domain() -> None:
    assert (
        complexity_of("hm", metadata={"domain": "medical"}).depth > complexity_of("hm", metadata={"domain": "hr"}).depth
    )


@given(st.text(max_size=400), st.integers(1, 100))
def test_parts_and_value_stay_within_bounds_and_agree(text: str, turns: int) -> None:
    rated = complexity_of(text, turns=turns)
    parts = msgspec.structs.asdict(rated)
    assert all(0 <= part <= 1 for part in parts.values())
    assert rated.value >= max(WEIGHTS[name] * parts[name] for name in PARTS) - 0.01
    assert complexity_of(text, turns=turns + 1).value >= rated.value
