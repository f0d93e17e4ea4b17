"""Outcome sets: prompts with what each model reached on them. Read from `../shared/data`, never committed.

`evaluate_router`, `evaluate_transfer` and `quality` of this folder read them. Invariant: a score is in [0, 1], and a
model that was not asked has none.
"""

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from app.routing import Task

FOLDER: Final = Path(__file__).parents[3] / "shared" / "data" / "router_outcomes"
FIELD_CHARACTERS_MAX: Final = 1_000_000
SCORE_COLUMNS: Final = ("ok:", "score:")
DEVELOPMENT: Final = "dev"


class Outcome(NamedTuple):
    """One prompt, where it comes from, and what models reached."""

    prompt: str
    category: str
    split: str
    scores: Mapping[str, float]


class OutcomeSet(NamedTuple):
    """Files that are judged together, and pairs of a weak and a strong model."""

    name: str
    files: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    models_missing: frozenset[str] = frozenset()  # asked on too few of the prompts to stand in the pool


SETS: Final = (
    OutcomeSet("RouteLLM MMLU", ("routellm_mmlu",), (("mixtral-8x7b-instruct-v0.1", "gpt-4-1106-preview"),)),
    OutcomeSet("RouteLLM GSM8K", ("routellm_gsm8k",), (("mixtral-8x7b-instruct-v0.1", "gpt-4-1106-preview"),)),
    OutcomeSet("DebugBench", ("debugbench",), (("gpt-3.5-turbo-0613", "gpt-4-0613"),)),
    OutcomeSet("nim9", ("llmrouter_nim9",), (("qwen2.5-7b-instruct", "llama-3.1-nemotron-51b-instruct"),)),
    OutcomeSet(
        "M-IFEval",
        ("m_ifeval",),
        (
            ("claude-3-haiku-20240307", "gpt-4o-2024-08-06"),
            ("mistral-7b-instruct-v0.3", "claude-3-5-sonnet-20240620"),
        ),
    ),
    OutcomeSet(
        "ZeroEval",
        ("zeroeval_gsm", "zeroeval_mathl5", "zeroeval_crux"),
        (
            ("gpt-4o-mini-2024-07-18", "claude-3-5-sonnet-20241022"),
            ("meta-llama-3.1-8b-instruct", "meta-llama-3.1-70b-instruct"),
        ),
    ),
    OutcomeSet(
        "MMLU-Pro",
        ("mmlu_pro",),
        (
            ("gemini-1.5-flash-002", "gemini-1.5-pro-002"),
            ("llama-3.1-8b-instruct", "llama-3.1-70b-instruct"),
        ),
        frozenset({"deepseek-coder-v2"}),
    ),
)


# Which task a set asks for; the first prefix of `dataset/category` that fits.
TASK_OF_SET: Final = (
    ("gsm8k/", Task.MATH_REASONING),
    ("math_level5/", Task.MATH_REASONING),
    ("llmrouter_gsm8k/", Task.MATH_REASONING),
    ("llmrouter_math/", Task.MATH_REASONING),
    ("llmrouter_agentverse-logicgrid/", Task.MATH_REASONING),
    ("mmlu_pro/math", Task.MATH_REASONING),
    ("mmlu/elementary_mathematics", Task.MATH_REASONING),
    ("mmlu/high_school_mathematics", Task.MATH_REASONING),
    ("mmlu/college_mathematics", Task.MATH_REASONING),
    ("mmlu/abstract_algebra", Task.MATH_REASONING),
    ("cruxeval_o/", Task.CODE_DEBUGGING),
    ("debugbench/", Task.CODE_DEBUGGING),
    ("llmrouter_human_eval/", Task.CODE_GENERATION),
    ("llmrouter_commongen/", Task.CREATIVE_WRITING),
    ("m_ifeval/", Task.PROFESSIONAL_WRITING),
    ("", Task.OPEN_QA),
)


def read_outcomes(outcome_set: OutcomeSet) -> Sequence[Outcome]:
    """Read the rows of a set. Models that some of its files leave out are left out everywhere."""
    csv.field_size_limit(FIELD_CHARACTERS_MAX)
    by_file = [list(_rows(FOLDER / f"{name}.csv.gz")) for name in outcome_set.files]
    everywhere = set.intersection(*({model for row in rows for model in row.scores} for rows in by_file))
    pool = everywhere - outcome_set.models_missing
    return [
        row._replace(scores={model: score for model, score in row.scores.items() if model in pool})
        for rows in by_file
        for row in rows
    ]


def task_of(category: str) -> Task:
    """Give the task that a part of a set asks for."""
    return next(task for prefix, task in TASK_OF_SET if category.startswith(prefix))


def _rows(path: Path) -> Iterator[Outcome]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            scores = {
                name.partition(":")[2]: float(value)
                for name, value in row.items()
                if name.startswith(SCORE_COLUMNS) and value
            }
            yield Outcome(row["text"], f"{row['dataset']}/{row['category']}", row["split"], scores)
