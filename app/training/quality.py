"""What models are expected to reach on a task, from the outcome sets: a part of `make train`.

Sets differ in difficulty and in whom they asked, so shares of right answers are no table. A model's ability and a
set's difficulty are fitted together, as Rasch did for pupils and questions (1960): logit p = ability + bent for the
task - difficulty. Abilities shrink towards a line over the logarithm of the price, bents towards nothing; how much
is learnt from the sets themselves (parametric empirical Bayes: Morris, JASA 78, 1983; EM over a Laplace
approximation). Invariant: the same sets give the same file.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from app.routing.model_family import family_of
from app.routing.public_quality import ARTIFACT, GENERAL, Belief, PriceLine, PublicQuality
from app.training.examples import say
from app.training.outcomes import FOLDER, SETS, read_outcomes, task_of

PROMPTS_MAX: Final = 100  # of a set, for one model: sets are a sample of tasks, whatever their length
WEIGHT_MAX: Final = 30.0  # prompts; public prompts are not the tenant's own
WEIGHT_MIN: Final = 1.0
ROUNDS: Final = 60
STEPS: Final = 12
DIFFICULTY_PRECISION: Final = 0.01
SOURCE: Final = "public outcome sets: RouteLLM, MMLU-Pro, ZeroEval, M-IFEval, LLMRouter nim9, DebugBench"

Floats = npt.NDArray[np.float64]


class Cell(NamedTuple):
    """What one model reached on the part of a set that asks for one task."""

    family: str
    set_name: str
    task: str
    reached: float
    prompts: float


class Numbers(NamedTuple):
    """The rows of the regression: which parameters each cell adds up, and its outcome."""

    design: Floats
    reached: Floats
    prompts: Floats


def learn_quality() -> PublicQuality | None:
    """Learn the table; None where the sets are not."""
    if not FOLDER.is_dir():
        return None
    return fit(cells_of_sets(), read_prices())


def write_quality(table: PublicQuality) -> int:
    """Write the artifact and give its size in bytes."""
    written = msgspec.json.format(msgspec.json.encode(table, order="deterministic"), indent=1) + b"\n"
    return ARTIFACT.write_bytes(written)


def cells_of_sets() -> list[Cell]:
    """Sum up the sets by model, set and task."""
    sums: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for outcome_set in SETS:
        for row in read_outcomes(outcome_set):
            task = task_of(row.category)
            name = row.category.partition("/")[0]
            for model, score in row.scores.items():
                sums[family_of(model), f"{outcome_set.name}/{name}", task].append(score)
    cells = []
    for (family, name, task), scores in sorted(sums.items()):
        prompts = min(PROMPTS_MAX, len(scores))
        cells.append(Cell(family, f"{name}/{task}", task, sum(scores) / len(scores) * prompts, prompts))
    return cells


def read_prices() -> dict[str, float]:
    """Give the output price of each family that has one, in USD per million tokens."""
    with (FOLDER / "prices.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["out_usd_per_mtok"]]
    return {family_of(row["model"]): float(row["out_usd_per_mtok"]) for row in rows}


def fit(cells: Sequence[Cell], prices: Mapping[str, float]) -> PublicQuality:
    """Fit abilities, bents and difficulties, and how far each shrinks."""
    families = sorted({cell.family for cell in cells})
    pairs = sorted({(cell.family, cell.task) for cell in cells})
    names = sorted({(cell.task, cell.set_name) for cell in cells})
    models, bents = len(families), len(pairs)
    numbers = _numbers(cells, families, pairs, names)
    priced = np.array([family in prices for family in families])
    logs = np.log10([prices.get(family, 1.0) for family in families])
    centre = float(logs[priced].mean())
    logs = np.where(priced, logs - centre, 0.0)
    slope, ability_variance, bent_variance = 0.5, 1.0, 0.3
    for _ in range(ROUNDS):
        spread = np.where(priced, ability_variance, ability_variance + slope**2 * float(logs[priced].var()))
        precision = np.concatenate(
            [1 / spread, np.full(bents, 1 / bent_variance), np.full(len(names), DIFFICULTY_PRECISION)]
        )
        middle = np.concatenate([slope * logs, np.zeros(bents + len(names))])
        found, covariance = _posterior(numbers, middle, precision)
        variances = np.diag(covariance)
        ability = found[:models][priced]
        slope = float(logs[priced] @ ability / (logs[priced] @ logs[priced]))
        residual = ability - slope * logs[priced]
        ability_variance = float((residual**2 + variances[:models][priced]).mean())
        bent_variance = float((found[models : models + bents] ** 2 + variances[models : models + bents]).mean())
    difficulty = _difficulties(names, found[models + bents :])
    tasks = sorted(difficulty)
    line_spread = ability_variance + bent_variance
    return PublicQuality(
        source=SOURCE,
        families={
            family: {
                task: _belief(*_of_model(place, family, task, pairs, found, covariance, models, bent_variance), level)
                for task, level in difficulty.items()
                if task == GENERAL or (family, task) in pairs
            }
            for place, family in enumerate(families)
        },
        by_price={
            task: PriceLine(
                intercept=round(-difficulty[task] - slope * centre, 4),
                slope=round(slope, 4),
                spread=round(line_spread**0.5, 4),
            )
            for task in tasks
        },
    )


def _numbers(
    cells: Sequence[Cell],
    families: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    names: Sequence[tuple[str, str]],
) -> Numbers:
    design = np.zeros((len(cells), len(families) + len(pairs) + len(names)))
    for row, cell in enumerate(cells):
        design[row, families.index(cell.family)] = 1
        design[row, len(families) + pairs.index((cell.family, cell.task))] = 1
        design[row, len(families) + len(pairs) + names.index((cell.task, cell.set_name))] = -1
    return Numbers(design, np.array([cell.reached for cell in cells]), np.array([cell.prompts for cell in cells]))


def _posterior(numbers: Numbers, middle: Floats, precision: Floats) -> tuple[Floats, Floats]:
    """Newton's steps to the mode, and the curvature there."""
    found = middle.copy()
    for _ in range(STEPS):
        expected = 1 / (1 + np.exp(-numbers.design @ found))
        slope = numbers.design.T @ (numbers.reached - numbers.prompts * expected) - precision * (found - middle)
        weights = numbers.prompts * expected * (1 - expected)
        curvature = (numbers.design.T * weights) @ numbers.design + np.diag(precision)
        found = found + np.linalg.solve(curvature, slope)
    return found, np.linalg.inv(curvature)


def _difficulties(names: Sequence[tuple[str, str]], found: Floats) -> dict[str, float]:
    """Give the mean difficulty of each task's sets, and that of all tasks."""
    by_task: dict[str, list[float]] = defaultdict(list)
    for (task, _), value in zip(names, found, strict=True):
        by_task[task].append(float(value))
    levels = {task: sum(values) / len(values) for task, values in by_task.items()}
    return {GENERAL: sum(levels.values()) / len(levels), **levels}


def _of_model(
    place: int,
    family: str,
    task: str,
    pairs: Sequence[tuple[str, str]],
    found: Floats,
    covariance: Floats,
    models: int,
    bent_variance: float,
) -> tuple[float, float]:
    """Give a model's ability for a task and its variance."""
    if task == GENERAL:
        return float(found[place]), float(covariance[place, place]) + bent_variance
    bent = models + pairs.index((family, task))
    together = covariance[place, place] + covariance[bent, bent] + 2 * covariance[place, bent]
    return float(found[place] + found[bent]), float(together)


def _belief(ability: float, variance: float, difficulty: float) -> Belief:
    value = 1 / (1 + float(np.exp(difficulty - ability)))
    weight = 1 / (value * (1 - value) * variance) - 1
    return Belief(round(value, 3), round(min(WEIGHT_MAX, max(WEIGHT_MIN, weight)), 1))


def main() -> None:
    """Learn the table and write it."""
    table = learn_quality()
    if table is None:
        say("The outcome sets are not here: the table of expected quality stays as it is.")
        return
    size = write_quality(table)
    say(f"{len(table.families)} model families; expected quality in {size:,} bytes")


if __name__ == "__main__":
    main()
