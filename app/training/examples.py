"""The labelled prompts: our own corpus and the development set beside the project.

Called by `train` and `evaluate`. Invariant: the order is the same on every machine, and a prompt's style is the
unit that validation leaves out whole.
"""

import gzip
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from app.training.compose import Quoted, compose, compose_quotes

ROOT: Final = Path(__file__).parents[2]
CORPUS: Final = ROOT / "app/routing/corpus"
DEVELOPMENT: Final = ROOT.parent / "shared/data/task_prompts_dev.jsonl.gz"


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt with its labels."""

    text: str
    task: str
    domain: str
    language: str
    style: str = ""  # the file of the corpus, or the source in the development set
    is_corpus: bool = False
    is_composed: bool = False  # learnt from, never measured by


class _DevelopmentRow(msgspec.Struct, frozen=True):
    text: str
    task: str
    domain: str
    language: str
    source: str


def read_examples() -> list[Example]:
    """Read the corpus, the development set where it is there, and last what is only learnt from."""
    corpus = _corpus()
    return [*corpus, *_development(), *_composed(corpus)]


def measured(examples: Sequence[Example]) -> Sequence[Example]:
    """Give the examples that figures and confidence come from, which stand first."""
    return examples[: sum(not each.is_composed for each in examples)]


def say(line: str) -> None:
    """Write a line for the person who started the run."""
    sys.stdout.write(f"{line}\n")


def weights_of(examples: Sequence[Example]) -> list[float]:
    """Weigh examples so that neither a large style nor a common task drowns the others; their mean is 1."""
    groups = [(example.style, example.is_composed, example.task) for example in examples]
    counts = Counter(groups)
    weights: list[float] = [counts[group] ** -0.5 for group in groups]
    mean = sum(weights) / len(weights)
    return [weight / mean for weight in weights]


def _corpus() -> list[Example]:
    examples = []
    for path in sorted(CORPUS.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            if line.strip():
                row = msgspec.json.decode(line, type=Example)
                examples.append(msgspec.structs.replace(row, style=path.stem, is_corpus=True))
    return examples


def _composed(corpus: Sequence[Example]) -> list[Example]:
    quoted = [Quoted(each.text, each.task, each.domain, each.language, each.style) for each in corpus]
    return [
        Example(
            text=row.text,
            task=row.task,
            domain=row.domain,
            language=row.language,
            style=row.style,
            is_composed=True,
        )
        for row in (*compose(), *compose_quotes(quoted))
    ]


def _development() -> list[Example]:
    if not DEVELOPMENT.exists():
        return []
    lines = gzip.decompress(DEVELOPMENT.read_bytes()).splitlines()
    rows = [msgspec.json.decode(line, type=_DevelopmentRow) for line in lines]
    return [
        Example(text=row.text, task=row.task, domain=row.domain, language=row.language, style=row.source)
        for row in rows
    ]
