"""What the router is worth on each outcome set, beside what anybody can have: a part of `make eval-routing`.

Prints; changes nothing. Invariant: a prompt is judged by a router, a table or a choice that was learnt without it.
"""

import io
import random
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from typing import Final, NamedTuple

from app.routing import fit_router
from app.routing.evaluation import Interval, bootstrap, bootstrap_all, calibration_error, recovered_gap, wilson
from app.training.examples import say
from app.training.outcomes import DEVELOPMENT, FOLDER, SETS, Outcome, OutcomeSet, read_outcomes

FOLDS: Final = 5
CATEGORY_PRIOR: Final = 20  # prompts for which the mean of all counts in a category's
SHUFFLED_MAX: Final = 1_500  # prompts; noise teaches as little as more noise
RECOVERED: Final = (0.5, 0.8)
SEED: Final = 20_261_124
AS_IT_COMES: Final = (0.5, 0.5, 0.8)  # by definition: mean gap, and shares that recover 50 and 80 %

Expect = Callable[[Outcome], Mapping[str, float]]
"""Give what each model is expected to reach on a prompt, without looking at its scores."""
Learn = Callable[[Sequence[Outcome]], Expect]


class Judged(NamedTuple):
    """A held-out prompt, the part that it was held out with, and what each way expected."""

    row: Outcome
    part: int
    by_way: Mapping[str, Mapping[str, float]]


def main() -> None:
    """Print a table for each outcome set."""
    if not FOLDER.is_dir():
        say("The outcome sets are not here. Put them under ../shared/data/router_outcomes to judge the router.")
        return
    # Each set has a process of its own, since a fit is plain Python; the tables come in the order of the sets.
    with ProcessPoolExecutor() as pool:
        for table in pool.map(table_of, SETS):
            say(table.rstrip("\n"))


def table_of(outcome_set: OutcomeSet) -> str:
    """Write the table of one set."""
    with redirect_stdout(io.StringIO()) as written:
        judged = list(judge(read_outcomes(outcome_set)))
        say(f"\n{outcome_set.name}: {len(judged):,} prompts held out, {len(judged[0].row.scores)} models")
        for weak, strong in outcome_set.pairs:
            both = [each for each in judged if {weak, strong} <= each.row.scores.keys()]
            say_pair(both, weak, strong)
        say_pool(judged)
    return written.getvalue()


def judge(rows: Sequence[Outcome]) -> Iterator[Judged]:
    """Learn in each way without the prompts that are judged."""
    for part, (learnt, held_out) in enumerate(parts_of(rows)):
        ways = {name: learn(learnt) for name, learn in WAYS.items()}
        for row in held_out:
            yield Judged(row, part, {name: expect(row) for name, expect in ways.items()})


def parts_of(rows: Sequence[Outcome]) -> Iterator[tuple[list[Outcome], list[Outcome]]]:
    """Give what is learnt and what is judged: the split of the set, or folds where it has none."""
    held_out = [row for row in rows if row.split != DEVELOPMENT]
    if held_out:
        yield [row for row in rows if row.split == DEVELOPMENT], held_out
        return
    mixed = random.Random(SEED).sample(rows, len(rows))  # noqa: S311  # figures are to repeat
    for fold in range(FOLDS):
        yield [row for place, row in enumerate(mixed) if place % FOLDS != fold], mixed[fold::FOLDS]


def best_single(rows: Sequence[Outcome]) -> Expect:
    """Expect the mean of each model."""
    means = means_of(rows)
    return lambda row: means


def by_category(rows: Sequence[Outcome]) -> Expect:
    """Expect the mean of each model in the category, which a router is not told."""
    means, members = means_of(rows), defaultdict(list)
    for row in rows:
        members[row.category].append(row)
    tables = {
        category: {
            model: (CATEGORY_PRIOR * mean + sum(row.scores.get(model, mean) for row in inside))
            / (CATEGORY_PRIOR + len(inside))
            for model, mean in means.items()
        }
        for category, inside in members.items()
    }
    return lambda row: tables.get(row.category, means)


def by_router(rows: Sequence[Outcome]) -> Expect:
    """Expect what the router does."""
    router = fit_router([row.prompt for row in rows], [row.scores for row in rows])
    return lambda row: router.expected(row.prompt)


def by_shuffled(rows: Sequence[Outcome]) -> Expect:
    """Expect what a router does whose outcomes belong to other prompts."""
    some = rows[:SHUFFLED_MAX]
    others = random.Random(SEED).sample(some, len(some))  # noqa: S311  # figures are to repeat
    return by_router([row._replace(scores=other.scores) for row, other in zip(some, others, strict=True)])


def by_length(rows: Sequence[Outcome]) -> Expect:
    """Expect the stronger model to be further ahead the longer the prompt is."""
    means = means_of(rows)
    return lambda row: {model: mean * len(row.prompt) for model, mean in means.items()}


WAYS: Final[Mapping[str, Learn]] = {
    "best single": best_single,
    "length": by_length,
    "category": by_category,
    "shuffled": by_shuffled,
    "router": by_router,
}


def say_pair(judged: Sequence[Judged], weak: str, strong: str) -> None:
    """Print how much of the gap between two models each way recovers."""
    low, high = ([each.row.scores[model] for each in judged] for model in (weak, strong))
    oracle = sum(map(max, low, high)) / len(judged)
    always = f"always weak {sum(low) / len(low):.3f}, always strong {sum(high) / len(high):.3f}, oracle {oracle:.3f}"
    say(f"  {weak} → {strong}: {always}")
    say(f"    {'':12}{'APGR':>7}{'95 %':>16}{'CPT50':>8}{'95 %':>14}{'CPT80':>8}{'95 %':>14}")
    say(
        "    {:12}{:7.3f}{:16}{:8.2f}{:14}{:8.2f}".format(
            "random", AS_IT_COMES[0], "", AS_IT_COMES[1], "", AS_IT_COMES[2]
        )
    )
    for way in WAYS:
        if way == "best single":
            continue
        leads = leads_of(judged, way, weak, strong)

        def figures(places: Sequence[int], leads: Sequence[float] = leads) -> tuple[float, ...] | None:
            gap = recovered_gap(*([values[place] for place in places] for values in (leads, low, high)))
            return (gap.mean, *map(gap.strong_share, RECOVERED)) if gap else None

        intervals = bootstrap_all(figures, len(judged), random.Random(SEED).randrange)  # noqa: S311 - repeatable, not secret
        if intervals:
            gap, *shares = intervals
            told = "".join(f"{each.value:8.2f}{f'[{each.low:.2f}, {each.high:.2f}]':>14}" for each in shares)
            say(f"    {way:12}{gap.value:7.3f}{bounds(gap):>16}{told}")


def say_pool(judged: Sequence[Judged]) -> None:
    """Print the accuracy of picking one model of all, in each way."""
    reached = {way: [picked(each, way) for each in judged] for way in WAYS if way != "length"}
    reached = {
        "random": [sum(each.row.scores.values()) / len(each.row.scores) for each in judged],
        **reached,
        "oracle": [max(each.row.scores.values()) for each in judged],
    }
    say(f"    {'':12}{'picks':>7}{'95 %':>16}{'beside best single':>28}")
    for way, scores in reached.items():
        ahead = [score - single for score, single in zip(scores, reached["best single"], strict=True)]

        def mean_ahead(places: Sequence[int], ahead: Sequence[float] = ahead) -> float:
            return sum(ahead[place] for place in places) / len(places)

        difference = bootstrap(mean_ahead, len(judged), random.Random(SEED).randrange)  # noqa: S311 - repeatable, not secret
        assert difference is not None
        share = wilson(sum(scores), len(scores))
        beside = f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
        say(f"    {way:12}{share.value:7.3f}{bounds(share):>16}{beside:>28}")
    pairs = [(each.by_way["router"][model], score) for each in judged for model, score in each.row.scores.items()]
    expected, real = zip(*pairs, strict=True)
    say(f"    calibration error of the router over all models: {calibration_error(expected, real):.3f}")


def leads_of(judged: Sequence[Judged], way: str, weak: str, strong: str) -> list[float]:
    """Give the strong model's expected lead as a rank within its part: each part had a router of its own."""
    leads = [each.by_way[way][strong] - each.by_way[way][weak] for each in judged]
    by_part: dict[int, list[float]] = defaultdict(list)
    for each, lead in zip(judged, leads, strict=True):
        by_part[each.part].append(lead)
    for inside in by_part.values():
        inside.sort()
    return [
        bisect_left(by_part[each.part], lead) / len(by_part[each.part])
        for each, lead in zip(judged, leads, strict=True)
    ]


def picked(each: Judged, way: str) -> float:
    """Give what the model reached that is expected to reach most."""
    expected = each.by_way[way]
    return each.row.scores[max(each.row.scores, key=lambda model: expected[model])]


def means_of(rows: Sequence[Outcome]) -> dict[str, float]:
    """Give the mean score of each model over the prompts that it was asked."""
    reached: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for model, score in row.scores.items():
            reached[model].append(score)
    return {model: sum(scores) / len(scores) for model, scores in reached.items()}


def bounds(interval: Interval) -> str:
    """Write the ends of an interval."""
    return f"[{interval.low:.3f}, {interval.high:.3f}]"


if __name__ == "__main__":
    main()
