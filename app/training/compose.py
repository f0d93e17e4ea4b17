"""Prompts put together from asks and passages, so that no kind of passage belongs to a task. Called by `examples`.

The parts were written by hand. A summary, a translation or a label is asked for beside any passage, before or after
it, so that only the ask tells the task. Invariant: the same parts give the same prompts in the same order.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from app.routing.taxonomy import Domain, Task

Row = TypeVar("Row")

PARTS: Final = Path(__file__).with_name("parts")
SEED: Final = 20_261_124
TIMES_IN_ENGLISH: Final = 5  # each ask is put beside so many passages
TIMES_ELSEWHERE: Final = 4
TIMES_OF_A_QUESTION: Final = 3
OWN_LANGUAGE_SHARE: Final = 0.75  # of the passages; others are English or any
LOWERED_SHARE: Final = 0.15  # people who type asks in haste
QUOTED_CHARACTERS_MAX: Final = 160
QUOTES_IN_ENGLISH: Final = 5  # each ask is put beside so many prompts
QUOTES_ELSEWHERE: Final = 3
CUT_SHARE: Final = 0.3
DOUBLED_SHARE: Final = 0.15
ENGLISH: Final = "en"

_LAYOUTS: Final = (
    "{ask}\n\n{text}",
    "{ask}\n\n{text}",
    "{ask}\n{text}",
    "{stem}: {text}",
    '{stem}: "{text}"',
    '{ask}\n\n"""\n{text}\n"""',
    "{ask}\n\n{label}: {text}",
    "Instruction: {ask}\nInput: {text}\nOutput:",
    "### Instruction:\n{ask}\n\n### Input:\n{text}\n\n### Response:",
    "{text}\n\n{ask}",
    "{text}\n\n{ask}",
    "{text}\n{ask}",
    '"{text}" {ask}',
    "{label}: {text}\n\n{ask}",
    "{text} {ask}",
    "<document>\n{text}\n</document>\n\n{ask}",
)
_LAYOUTS_OF_QUOTES: Final = (
    "{stem}: {text}",
    "{stem}: {text}",
    "{stem}: {text}",
    '{stem}: "{text}"',
    "{stem} “{text}”",
    "{ask}\n\n{text}",
    "{ask}\n{text}",
    "{text}\n\n{ask}",
    '"{text}" {ask}',
    "{text} – {ask}",
)
_LAYOUTS_OF_QUESTIONS: Final = (
    "{ask}\n\n{text}",
    "{ask}\n\n{text}",
    "{ask}\n{text}",
    "{text}\n\n{ask}",
    "{text}\n{ask}",
    "{text} {ask}",
    "{label}: {text}\n{question}: {ask}\n{answer}:",
    "{label}: {text}\n\n{question}: {ask}",
    "{question}: {ask}\n{label}: {text}\n{answer}:",
    "{according} {lowered}\n\n{text}",
    "{text}\n\n{according} {lowered}",
    "<context>{text}</context>\n{ask}",
)
# Asks of these tasks are put beside other people's prompts as well: what is quoted is not what is asked.
_OF_QUOTES: Final = (
    Task.TRANSLATION,
    Task.REWRITING,
    Task.CLASSIFICATION,
    Task.SUMMARIZATION,
    Task.EXTRACTION,
)
_DOMAIN_OF: Final = {
    Task.MARKETING_COPY: Domain.MARKETING,
    Task.CODE_GENERATION: Domain.SOFTWARE,
    Task.DATA_ANALYSIS: Domain.DATA,
}


class Quoted(msgspec.Struct, frozen=True):
    """A prompt of the corpus that may be quoted in another."""

    text: str
    task: str
    domain: str
    language: str
    style: str


class Composed(msgspec.Struct, frozen=True):
    """A prompt that was put together, with its labels."""

    text: str
    task: str
    domain: str
    language: str
    style: str = "composed"  # of what is quoted, so that it is left out together with it


class _Passage(msgspec.Struct, frozen=True):
    language: str
    domain: str
    text: str
    questions: tuple[str, ...]


class _Asks(msgspec.Struct, frozen=True):
    language: str
    task: Task
    asks: tuple[str, ...]


class _Labels(msgspec.Struct, frozen=True):
    language: str
    into: tuple[str, ...]  # names of other languages
    text: str
    question: str
    answer: str
    according: str


def compose() -> Iterator[Composed]:
    """Put every ask beside some passages, and every question beside its own."""
    chance = random.Random(SEED)  # noqa: S311 - it is to be the same each time
    passages = _read("passages", _Passage)
    labels = {row.language: row for row in _read("labels", _Labels)}
    for row in _read("asks", _Asks):
        times = TIMES_IN_ENGLISH if row.language == ENGLISH else TIMES_ELSEWHERE
        for ask in row.asks:
            for _ in range(times):
                yield _with_passage(ask, row, passages, labels[row.language], chance)
    for passage in passages:
        for question in passage.questions:
            for _ in range(TIMES_OF_A_QUESTION):
                text = _laid_out(question, passage.text, labels[passage.language], _LAYOUTS_OF_QUESTIONS, chance)
                yield Composed(text, Task.CLOSED_QA, passage.domain, passage.language)


def compose_quotes(quoted: Sequence[Quoted]) -> Iterator[Composed]:
    """Put asks beside short prompts that ask for something else."""
    chance = random.Random(SEED)  # noqa: S311 - as above
    labels = {row.language: row for row in _read("labels", _Labels)}
    short = [prompt for prompt in quoted if len(prompt.text) <= QUOTED_CHARACTERS_MAX]
    of_language = {language: [each for each in short if each.language == language] for language in labels}
    for row in _read("asks", _Asks):
        if row.task not in _OF_QUOTES:
            continue
        for ask in row.asks:
            for _ in range(QUOTES_IN_ENGLISH if row.language == ENGLISH else QUOTES_ELSEWHERE):
                prompt = chance.choice(of_language[row.language])
                if prompt.task != row.task:
                    filled = ask.replace("{L}", chance.choice(labels[row.language].into))
                    text = _laid_out(filled, prompt.text, labels[row.language], _LAYOUTS_OF_QUOTES, chance)
                    yield Composed(text, row.task, prompt.domain, row.language, prompt.style)


def _with_passage(
    ask: str, row: _Asks, passages: Sequence[_Passage], labels: _Labels, chance: random.Random
) -> Composed:
    is_own = chance.random() < OWN_LANGUAGE_SHARE
    fitting = [passage for passage in passages if passage.language == row.language or not is_own]
    passage = chance.choice(fitting)
    text = passage.text
    if chance.random() < CUT_SHARE:
        text = text[: text.find(". ") + 1] or text
    elif chance.random() < DOUBLED_SHARE:
        text = f"{text}\n\n{chance.choice(fitting).text}"
    ask = ask.replace("{L}", chance.choice(labels.into))
    domain = _DOMAIN_OF.get(row.task, passage.domain)
    return Composed(_laid_out(ask, text, labels, _LAYOUTS, chance), row.task, domain, row.language)


def _laid_out(ask: str, text: str, labels: _Labels, layouts: Sequence[str], chance: random.Random) -> str:
    if chance.random() < LOWERED_SHARE:
        ask = ask.lower().rstrip("?.")
    return chance.choice(layouts).format(
        ask=ask,
        stem=ask.rstrip(":.?。"),
        lowered=ask[:1].lower() + ask[1:],
        text=text,
        label=labels.text,
        question=labels.question,
        answer=labels.answer,
        according=labels.according,
    )


def _read(name: str, kind: type[Row]) -> list[Row]:
    lines = (PARTS / f"{name}.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=kind) for line in lines]
