"""Does a router that learnt on one outcome set beat a table by task on another? A part of `make eval-routing`.

It is what a platform would do that learns from public sets and serves its tenants' prompts. Prints; changes nothing.
Invariant: no prompt of the judged set was learnt from, and both ways learn from the same rows.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from app.routing import fit_router
from app.routing.evaluation import Interval, bootstrap, recovered_gap
from app.routing.model_family import family_of
from app.training.examples import say
from app.training.outcomes import FOLDER, SETS, Outcome, read_outcomes, task_of

TASK_PRIOR: Final = 20  # prompts for which the mean of all counts in a task's
SEED: Final = 20_261_124
PROMPTS_MAX: Final = 3_000  # learnt from and judged: more move no figure here


class Transfer(NamedTuple):
    """Two models that two sets asked; learnt on the first set, judged on the second."""

    weak: str
    strong: str
    learnt: str
    judged: str


TRANSFERS: Final = tuple(
    Transfer(weak, strong, *sets)
    for weak, strong, one, other in (
        ("mixtral-8x7b", "gpt-4-turbo", "RouteLLM MMLU", "RouteLLM GSM8K"),
        ("llama-3.1-8b", "llama-3.1-70b", "MMLU-Pro", "ZeroEval"),
        ("gemini-1.5-flash", "gemini-1.5-pro", "MMLU-Pro", "ZeroEval"),
        ("gpt-4o-mini", "gpt-4o", "ZeroEval", "M-IFEval"),
        ("claude-3-haiku", "claude-3-opus", "ZeroEval", "M-IFEval"),
    )
    for sets in ((one, other), (other, one))
)


def main() -> None:
    """Print a row for each transfer, and the means."""
    if not FOLDER.is_dir():
        say("The outcome sets are not here: transfer is not judged.")
        return
    by_set = {each.name: sample(read_outcomes(each)) for each in SETS}
    say(f"\n{'Learnt on one set, judged on another: APGR':54}{'by task':>8}{'router':>8}{'95 %':>16}{'length':>8}")
    sums: dict[str, list[float]] = defaultdict(list)
    for transfer in TRANSFERS:
        learnt, judged = (rows_of(by_set[name], transfer) for name in (transfer.learnt, transfer.judged))
        figures = apgr_by_way(learnt, judged, transfer)
        for way, interval in figures.items():
            sums[way].append(interval.value)
        name = f"{transfer.weak} → {transfer.strong}, {transfer.learnt} → {transfer.judged}"
        router = figures["router"]
        say(
            f"  {name:52.52}{figures['task'].value:8.3f}{router.value:8.3f}"
            f"{f'[{router.low:.3f}, {router.high:.3f}]':>16}{figures['length'].value:8.3f}"
        )
    means = {way: sum(values) / len(values) for way, values in sums.items()}
    say(f"  {'mean':52}{means['task']:8.3f}{means['router']:8.3f}{'':16}{means['length']:8.3f}")


def apgr_by_way(learnt: Sequence[Outcome], judged: Sequence[Outcome], transfer: Transfer) -> dict[str, Interval]:
    """Give the mean gap that each way recovers on the judged set."""
    router = fit_router([row.prompt for row in learnt], [row.scores for row in learnt])
    expected = [router.expected(row.prompt) for row in judged]
    table = lead_by_task(learnt, transfer)
    leads = {
        "task": [table[task_of(row.category)] for row in judged],
        "router": [each[transfer.strong] - each[transfer.weak] for each in expected],
        "length": [float(len(row.prompt)) for row in judged],
    }
    weak, strong = ([row.scores[model] for row in judged] for model in (transfer.weak, transfer.strong))
    return {way: mean_gap(values, weak, strong) for way, values in leads.items()}


def lead_by_task(learnt: Sequence[Outcome], transfer: Transfer) -> Mapping[str, float]:
    """Give the strong model's mean lead on each task, shrunk to that on all; an unseen task has that on all."""
    leads: dict[str, list[float]] = defaultdict(list)
    for row in learnt:
        leads[task_of(row.category)].append(row.scores[transfer.strong] - row.scores[transfer.weak])
    overall = sum(map(sum, leads.values())) / len(learnt)
    table: dict[str, float] = defaultdict(lambda: overall)
    for task, values in leads.items():
        table[task] = (TASK_PRIOR * overall + sum(values)) / (TASK_PRIOR + len(values))
    return table


def mean_gap(leads: Sequence[float], weak: Sequence[float], strong: Sequence[float]) -> Interval:
    """Give the APGR with its bootstrap interval."""

    def figure(places: Sequence[int]) -> float | None:
        gap = recovered_gap(*([values[place] for place in places] for values in (leads, weak, strong)))
        return gap.mean if gap else None

    interval = bootstrap(figure, len(leads), random.Random(SEED).randrange)  # noqa: S311 - repeatable, not secret
    assert interval is not None
    return interval


def sample(rows: Sequence[Outcome]) -> list[Outcome]:
    """Take so many prompts, and call models by their family, so that sets which name them otherwise meet."""
    some = random.Random(SEED).sample(rows, min(PROMPTS_MAX, len(rows)))  # noqa: S311 - repeatable, not secret
    return [row._replace(scores={family_of(model): score for model, score in row.scores.items()}) for row in some]


def rows_of(rows: Sequence[Outcome], transfer: Transfer) -> list[Outcome]:
    """Keep the prompts that both models were asked, and their scores alone."""
    both = (transfer.weak, transfer.strong)
    return [
        row._replace(scores={model: row.scores[model] for model in both})
        for row in rows
        if all(model in row.scores for model in both)
    ]


if __name__ == "__main__":
    main()
