"""Other case, other spaces and a typo send a prompt to the same model: over real prompts, where they are at hand."""

import gzip
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from app.routing import RouteTable, classify, compile_policy, decide, load_default_policy
from tests.unit.app.routing.builders import make_candidate, make_facts

PROMPTS = Path(__file__).parents[5] / "shared" / "data" / "task_prompts_dev.jsonl.gz"
EVERY = 4  # of the prompts, so that the test takes seconds
SAME_LEAST = 0.95
MODELS = ("sandbox/coder-pro", "sandbox/deep-large", "sandbox/swift-mini", "sandbox/steady-base")
TABLE = RouteTable(
    compile_policy(load_default_policy(), name="default"),
    tuple(map(make_candidate, MODELS)),
    plan_allows=lambda _: True,
    plan_id="pro",
)

Noise = Callable[[str, random.Random], str]


def other_case(text: str, chance: random.Random) -> str:
    return text.upper() if chance.random() < 0.5 else text.lower()


def other_spaces(text: str, chance: random.Random) -> str:
    """Spaces doubled here and there, and around the whole; code and tables live by theirs, so lines stay."""
    spaced = "".join(letter * 2 if letter == " " and chance.random() < 0.3 else letter for letter in text)
    return f"  {spaced} \n"


def with_typo(text: str, chance: random.Random) -> str:
    """Two neighbours swapped within a word, one word in fifty and at least one."""
    letters = list(text)
    places = [
        place for place in range(1, len(letters) - 2) if letters[place].isalpha() and letters[place + 1].isalpha()
    ]
    for place in chance.sample(places, min(len(places), 1 + len(text) // 300)):
        letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


@pytest.fixture(scope="module")
def prompts() -> Sequence[str]:
    if not PROMPTS.exists():
        pytest.skip(f"the prompts are not at hand: {PROMPTS.name} belongs in shared/data beside the project")
    with gzip.open(PROMPTS) as lines:
        texts = [msgspec.json.decode(line)["text"] for line in lines]
    return texts[::EVERY]


def model_of(text: str) -> str:
    decision = decide(classify(make_facts(text)), TABLE, headroom_nano_usd=None, unspent_nano_usd=None)
    return decision.ranked[0].candidate.name


@pytest.mark.parametrize("noise", [other_case, other_spaces, with_typo])
def test_noise_leads_to_the_same_model(prompts: Sequence[str], noise: Noise) -> None:
    chance = random.Random(20_261_124)
    same = sum(model_of(text) == model_of(noise(text, chance)) for text in prompts)
    assert same / len(prompts) >= SAME_LEAST
