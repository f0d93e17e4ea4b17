"""What classifying and deciding cost: µs of CPU a request over many different prompts. For `make bench` or by hand.

    python -m tests.load.routing [PROMPTS.jsonl.gz]

Prompts are the `text` of the file's rows, or made from a seed where no file is named. The machine's own pace
stands beside the figures: the same loop, timed in between. Invariant: no prompt is met twice in one pass.
"""

import gzip
import random
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

import msgspec
from rich.console import Console
from rich.table import Table

from app.routing import (
    EXAMPLES_MAX,
    Candidate,
    Capability,
    Example,
    RequestFacts,
    RouteTable,
    Task,
    build_index,
    classify,
    compile_policy,
    decide,
    decision_record,
    load_default_policy,
    load_examples,
    route_header,
)
from app.routing.condition_reader import SEARCHES_MAX
from app.routing.keywords import BUILT_IN
from billing import Price

SEED: Final = 20_261_124
PROMPTS_MADE: Final = 1_500
CANDIDATE_COUNTS: Final = (10, 60, 250)
PASSES: Final = 5  # the fastest counts: what else the machine did is not the code's
HEADROOM_NANO_USD: Final = 10**12
PACE_ITEMS: Final = 1_000
PROMPT_CHARACTERS_MAX: Final = 8_000
EXAMPLE_WORDS_MAX: Final = 40
COMMON_WORDS: Final = (
    "the",
    "of",
    "and",
    "a",
    "to",
    "in",
    "is",
    "that",
    "for",
    "it",
    "as",
    "with",
    "on",
    "are",
    "by",
    "this",
)

HOSTILE_PARTS: Final = 470  # with their rules' own nodes, 1,000
HOSTILE_PARTS_PER_RULE: Final = 10
HOSTILE_TEXTS: Final = {
    "40,000 characters of words": "the quick brown fox jumps over a lazy dog " * 950,
    "40,000 times one letter, on which each search spends most": "a" * 40_000,
}

Item = TypeVar("Item")


def main() -> None:
    """Measure and print a table."""
    prompts = read_prompts(Path(sys.argv[1])) if len(sys.argv) > 1 else make_prompts(random.Random(SEED))
    facts = [facts_of(text) for text in prompts]
    pace_us = cost_us(lambda _: sum(range(PACE_ITEMS)), facts)
    classify_us = cost_us(classify, facts)
    show_signals(facts)
    table = Table(title=f"{len(facts):,} prompts; pace {pace_us:.1f} µs for {PACE_ITEMS:,} additions")
    for column in ("candidates", "classify", "decide", "first candidate", "record", "header", "sum µs", "record bytes"):
        table.add_column(column, justify="right")
    for count in CANDIDATE_COUNTS:
        figures, record_bytes = decision_costs(facts, count)
        total = classify_us + sum(figures)
        table.add_row(str(count), *(f"{each:.1f}" for each in (classify_us, *figures, total)), f"{record_bytes:,.0f}")
    Console().print(table)
    hostile = Table(title="a policy of as many nodes and searches as one may have, in which no rule holds")
    for column in ("text", "decide µs", "worst of 50"):
        hostile.add_column(column, justify="right")
    for name, text in HOSTILE_TEXTS.items():
        hostile.add_row(name, *(f"{each:.0f}" for each in hostile_costs_us(text)))
    Console().print(hostile)


def hostile_costs_us(text: str) -> tuple[float, float]:
    """The µs that deciding by the largest policy takes, at best and at worst, for a text and twenty tags."""
    searches = [{"instruction": {"contains": "a" * 150 + f"b{number}"}} for number in range(SEARCHES_MAX)]
    parts = [*searches, *({"tags": {"in": [f"t{number}", "no"]}} for number in range(HOSTILE_PARTS - SEARCHES_MAX))]
    then = {"candidates": ["*"], "strategy": "balanced", "quality_per_usd": 1}
    rules = [
        {"name": f"rule {start}", "when": {"any": parts[start : start + HOSTILE_PARTS_PER_RULE]}, "then": then}
        for start in range(0, len(parts), HOSTILE_PARTS_PER_RULE)
    ]
    policy = compile_policy(msgspec.json.encode({"rules": rules, "default": then}), name="hostile")
    routes = RouteTable(
        policy, make_candidates(random.Random(SEED), 60), plan_allows=lambda _name: True, plan_id="bench"
    )
    tags = tuple(f"tag {number}" for number in range(20))
    signals = classify(msgspec.structs.replace(facts_of(text), tags=tags))
    times_us = [
        cost_us(lambda each: decide(each, routes, headroom_nano_usd=None, unspent_nano_usd=None), [signals], passes=1)
        for _ in range(50)
    ]
    return min(times_us), max(times_us)


def show_signals(facts: Sequence[RequestFacts]) -> None:
    """Print what signals cost up to 8,000 characters, by themselves and with as many examples as a tenant can have."""
    table = Table(title=f"signals of prompts up to {PROMPT_CHARACTERS_MAX:,} characters")
    for column in ("examples", "mean µs", "p50", "p99"):
        table.add_column(column, justify="right")
    chance = random.Random(SEED)
    usual = [each for each in facts if len(each.instruction) <= PROMPT_CHARACTERS_MAX]
    for count in (0, EXAMPLES_MAX):
        examples = load_examples(build_index(make_examples(chance, usual, count)))
        costs = sorted(
            min(cost_us(partial(classify, examples=examples), [one], passes=1) for _ in range(PASSES)) for one in usual
        )
        figures = (sum(costs) / len(costs), costs[len(costs) // 2], costs[len(costs) * 99 // 100])
        table.add_row(f"{count:,}", *(f"{each:.0f}" for each in figures))
    Console().print(table)


def make_examples(chance: random.Random, facts: Sequence[RequestFacts], count: int) -> list[Example]:
    """Labelled prompts of the words that the prompts have."""
    tasks = list(Task)
    made: list[Example] = []
    for number in range(count):
        words = chance.choice(facts).instruction.split()[:EXAMPLE_WORDS_MAX]
        chance.shuffle(words)
        made.append(Example(" ".join([*words, f"case{number}"]), chance.choice(tasks)))
    return made


def decision_costs(facts: Sequence[RequestFacts], count: int) -> tuple[tuple[float, ...], float]:
    """Measure the steps after classification; also give the mean size of a record."""
    policy = compile_policy(load_default_policy(), name="default")
    candidates = make_candidates(random.Random(SEED), count)
    routes = RouteTable(policy, candidates, plan_allows=lambda _name: True, plan_id="bench")
    signals = [classify(each) for each in facts]
    decide_us = cost_us(
        lambda each: decide(each, routes, headroom_nano_usd=HEADROOM_NANO_USD, unspent_nano_usd=HEADROOM_NANO_USD),
        signals,
    )
    later: list[tuple[float, ...]] = []
    record_bytes = 0
    for _ in range(PASSES):
        # What is made on first reading must not have been read in the pass before.
        decisions = [
            decide(each, routes, headroom_nano_usd=HEADROOM_NANO_USD, unspent_nano_usd=None) for each in signals
        ]
        steps: tuple[Callable[..., object], ...] = (lambda each: each.ranked[0], decision_record, route_header)
        later.append(tuple(cost_us(step, decisions, passes=1) for step in steps))
        record_bytes = sum(len(decision_record(each)) for each in decisions)
    return (decide_us, *map(min, zip(*later, strict=True))), record_bytes / len(facts)


def cost_us(step: Callable[[Item], object], items: Sequence[Item], *, passes: int = PASSES) -> float:
    """The µs of CPU that a step takes for an item: the mean of the fastest pass."""
    fastest_s = float("inf")
    for _ in range(passes):
        began_s = time.process_time()
        for item in items:
            step(item)
        fastest_s = min(fastest_s, time.process_time() - began_s)
    return fastest_s / len(items) * 1e6


def read_prompts(path: Path) -> list[str]:
    """The texts of a file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return list(dict.fromkeys(msgspec.json.decode(line)["text"] for line in lines))


def make_prompts(chance: random.Random) -> list[str]:
    """Prompts of the lengths that real ones have: half below 200 characters, a tenth above 2,000."""
    of_rows = [row.words for row in BUILT_IN.tasks] + [row.words for row in BUILT_IN.domains]
    words = [word.rstrip("*") for each in of_rows for word in each]
    prompts: list[str] = []
    for _ in range(PROMPTS_MADE):
        count = min(1_500, max(1, round(chance.lognormvariate(3.5, 1.3))))
        chosen = [chance.choice(words) if chance.random() < 0.15 else make_word(chance) for _ in range(count)]
        ends = chance.choices([" ", ", ", ". ", "? ", "\n", "\n\n"], [80, 8, 7, 1, 3, 1], k=count)
        prompts.append("".join(word + end for word, end in zip(chosen, ends, strict=True)))
    return list(dict.fromkeys(prompts))


def make_word(chance: random.Random) -> str:
    """One word: half of a text is a few dozen words, the rest is different everywhere."""
    if chance.random() < 0.5:
        return chance.choice(COMMON_WORDS)
    return "".join(chance.choices("etaoinshrdlucmfwypvbgk", k=chance.randint(3, 10)))


def make_candidates(chance: random.Random, count: int) -> tuple[Candidate, ...]:
    """Candidates of several providers, prices, contexts and capabilities."""
    return tuple(make_candidate(chance, number) for number in range(count))


def make_candidate(chance: random.Random, number: int) -> Candidate:
    """One candidate, behind a credential of the platform."""
    provider_name = chance.choice(["openai", "anthropic", "google", "mistral", "groq"])
    input_price = chance.choice([50, 100, 400, 1_000, 2_500, 3_000, 15_000]) * 1_000_000
    price = Price(
        price_version_id=UUID(int=number),
        provider_name=provider_name,
        model=f"model-{number}-2026-01-01",
        input_nano_usd_per_million=input_price,
        output_nano_usd_per_million=input_price * chance.choice([3, 4, 5, 8]),
        context_tokens=chance.choice([8_192, 32_000, 128_000, 200_000, 1_000_000]),
        output_tokens_max=chance.choice([None, 4_096, 8_192, 32_000]),
    )
    return Candidate(
        provider_name=provider_name,
        model=price.model,
        credential_id=UUID(int=1),
        credential_owner="platform",
        price=price,
        rate_ppm=1_200_000,
        capabilities=chance.choice([frozenset(Capability), frozenset({Capability.TOOLS}), None]),
    )


def facts_of(text: str) -> RequestFacts:
    """A plain request with this prompt; a third sets an output limit, a sixth brings tools."""
    return RequestFacts(
        request_model="auto",
        instruction=text,
        content=msgspec.json.encode({"model": "auto", "messages": [{"role": "user", "content": text}]}),
        input_tokens_bound=len(text.encode()) + 20,
        input_tokens_estimate=len(text) // 4 + 5,
        output_tokens_wanted=500 if len(text) % 3 == 0 else None,
        has_tools=len(text) % 6 == 1,
    )


if __name__ == "__main__":
    main()
