"""A labelled file: JSONL, plain or gzipped, with `prompt`, what is `expected`, and if known `task` and `grader`.

Called by `signalbox eval`. Invariant: a line that cannot be graded ends the reading with its number, before
anything is sent and paid for.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from app.commands.errors import InputInvalid
from app.commands.try_prompts import LINE_BYTES_MAX, Prompt, numbered_lines
from app.evaluation.graders import JSON, Grade, GraderName, grader, usual_grader
from app.evaluation.scores import NO_TASK

PROMPTS_MAX: Final = 100_000
EXAMPLE: Final = '{"prompt": "6 x 7?", "task": "math_reasoning", "expected": 42, "grader": "number"}'


@dataclass(frozen=True, slots=True)
class Labelled:
    """One prompt with what is expected of its answer."""

    prompt: Prompt
    expected: JSON = field(repr=False)
    grader_name: GraderName
    grade: Grade = field(repr=False)

    @property
    def task(self) -> str:
        """The task that the file names, or none."""
        return self.prompt.task or NO_TASK


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """What a file holds, and the hash of what was read, by which runs of the same prompts are known."""

    labelled: tuple[Labelled, ...]
    sha256: str

    @property
    def needs_judge(self) -> bool:
        """Whether a model is to grade some of the answers."""
        return any(each.grader_name is GraderName.JUDGE for each in self.labelled)


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    prompt: str
    expected: Any  # JSON; msgspec takes no recursive alias
    task: str | None = None
    grader: GraderName | None = None
    system: str | None = None


def read_labelled(path: Path, *, limit: int | None = None) -> LabelledSet:
    """Read the first `limit` prompts of a file, or all. Raises InputInvalid with the first line that does not hold."""
    labelled: list[Labelled] = []
    digest = hashlib.sha256()
    for number, raw in numbered_lines(path):
        if not raw.strip():
            continue
        if len(labelled) == PROMPTS_MAX:
            raise InputInvalid(f"{path} has more than {PROMPTS_MAX:,} prompts. Give --limit, or split it.")
        labelled.append(_read_line(path, number, raw))
        digest.update(raw.strip() + b"\n")
        if len(labelled) == limit:
            break
    if not labelled:
        raise InputInvalid(f"{path} holds no prompt. Give one JSON object a line, such as {EXAMPLE}.")
    return LabelledSet(tuple(labelled), digest.hexdigest())


def _read_line(path: Path, number: int, raw: bytes) -> Labelled:
    try:
        if len(raw) > LINE_BYTES_MAX:
            raise ValueError(f"it is longer than {LINE_BYTES_MAX:,} bytes")
        line = msgspec.json.decode(raw, type=_Line)
        if not line.prompt.strip():
            raise ValueError("`prompt` is empty")
        name = line.grader or usual_grader(line.expected)
        prompt = Prompt(number, line.prompt, line.task, line.system)
        return Labelled(prompt, line.expected, name, grader(name, line.expected))
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise InputInvalid(
            f"Line {number} of {path} cannot be graded: {error}. A line reads like {EXAMPLE}."
        ) from error
