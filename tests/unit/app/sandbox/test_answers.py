"""Simulated answers are repeatable, open about themselves, and keep to what was asked."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sandbox import SANDBOX_MODELS, tokens
from app.sandbox.answers import Choice, Prompt, Tool, answer, cached_tokens

SWIFT = SANDBOX_MODELS["swift-mini"]
WEATHER = Tool(
    "get_weather",
    {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}}, "required": ["city"]},
)
CLOCK = Tool("read_clock", {"type": "object", "properties": {"zone": {"type": "string"}}})


def prompt(instruction: str = "Tell me about tides", **fields: object) -> Prompt:
    return Prompt(texts=(instruction,), instruction=instruction, input_tokens=10, **fields)  # type: ignore[arg-type]  # a builder's fields


def text(choice: Choice) -> str:
    return "".join(choice.pieces)


@pytest.mark.parametrize("model", list(SANDBOX_MODELS.values()), ids=lambda model: model.name)
def test_an_answer_says_that_it_is_simulated(model) -> None:
    said = text(answer(model, prompt()))
    assert said.startswith(f"[simulated {model.name}]")
    assert "Tell me about tides" in said


def test_the_same_request_gets_the_same_answer_and_choices_differ() -> None:
    assert answer(SWIFT, prompt()) == answer(SWIFT, prompt())
    assert len({text(answer(SWIFT, prompt(), choice=number)) for number in range(8)}) > 1


@settings(deadline=None)
@given(limit=st.integers(1, 60))
def test_an_answer_keeps_to_its_limit(limit: int) -> None:
    choice = answer(SWIFT, prompt(output_tokens_max=limit))
    assert choice.output_tokens() <= limit
    full = answer(SWIFT, prompt())
    assert (choice.finish_reason == "length") == (full.output_tokens() > limit)


def test_a_stop_word_ends_an_answer() -> None:
    choice = answer(SWIFT, prompt(stop=("tides",)))
    assert text(choice).endswith("about ")
    assert choice.finish_reason == "stop"


@pytest.mark.parametrize(
    ("choice", "instruction", "called"),
    [
        ("auto", "What is the weather in Oslo?", ["get_weather"]),
        ("auto", "Read the clock and the weather", ["get_weather", "read_clock"]),
        ("auto", "Tell me a joke", []),
        ("none", "What is the weather in Oslo?", []),
        ("required", "Tell me a joke", ["get_weather"]),
        ("read_clock", "What is the weather in Oslo?", ["read_clock"]),
    ],
)
def test_tools_are_called_when_asked_for(choice: str, instruction: str, called: list[str]) -> None:
    made = answer(SWIFT, prompt(instruction, tools=(WEATHER, CLOCK), tool_choice=choice))
    assert [call.name for call in made.tool_calls] == called
    assert made.finish_reason == ("tool_calls" if called else "stop")


def test_arguments_fit_the_tools_schema_and_take_words_of_the_prompt() -> None:
    made = answer(SWIFT, prompt("What is the weather in Oslo?", tools=(WEATHER,)))
    arguments = json.loads("".join(made.tool_calls[0].pieces))
    assert arguments["city"] in ("What", "Oslo")
    assert arguments["unit"] in ("C", "F")


def test_one_call_at_a_time_when_parallel_calls_are_off() -> None:
    asked = prompt("Read the clock and the weather", tools=(WEATHER, CLOCK), parallel_tool_calls=False)
    assert len(answer(SWIFT, asked).tool_calls) == 1


def test_a_tools_result_ends_the_calling() -> None:
    asked = prompt("What is the weather?", tools=(WEATHER,), is_tool_result=True)
    assert not answer(SWIFT, asked).tool_calls


def test_skill_shows_in_sums() -> None:
    def right(name: str) -> int:
        model = SANDBOX_MODELS[name]
        sums = [(n, n + 7) for n in range(200)]
        return sum(text(answer(model, prompt(f"What is {a} + {b}?"))).endswith(f"= {a + b}.") for a, b in sums)

    assert right("swift-mini") < right("steady-base") < right("deep-large")


@settings(deadline=None)
@given(st.text(max_size=200))
def test_tokens_joined_are_the_text_and_never_more_than_its_bytes(words: str) -> None:
    pieces = tokens.pieces(words)
    assert "".join(pieces) == words
    assert len(pieces) <= len(words.encode("utf-8", "surrogatepass"))


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_cached_tokens_are_a_part_of_the_prompt(size: int) -> None:
    assert 0 <= cached_tokens(size) <= size
    assert cached_tokens(size) % 128 == 0
    assert bool(cached_tokens(size)) is (size >= 1_024)
