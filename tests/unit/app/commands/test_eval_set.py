"""Labelled files and journals: what holds, and what is refused before anything is paid for."""

import gzip
import json
from pathlib import Path

import pytest

from app.commands.errors import InputInvalid
from app.commands.eval_journal import Journal
from app.commands.eval_set import read_labelled
from app.evaluation.graders import GraderName
from app.evaluation.scores import Graded

LINES = (
    {"prompt": "6 x 7?", "expected": 42, "task": "math_reasoning"},
    {"prompt": "Capital of France?", "expected": ["Paris", "paris"], "grader": "contains"},
    {"prompt": "As JSON", "expected": {"a": 1}, "system": "Answer in JSON."},
)


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_lines_are_read_with_their_usual_graders(tmp_path: Path) -> None:
    found = read_labelled(write(tmp_path / "set.jsonl", *LINES, "", "  "))
    assert [each.grader_name for each in found.labelled] == [
        GraderName.NUMBER, GraderName.CONTAINS, GraderName.JSON_FIELDS,
    ]  # fmt: skip
    assert [each.task for each in found.labelled] == ["math_reasoning", "", ""]
    assert found.labelled[2].prompt.system == "Answer in JSON."
    assert found.labelled[1].grade("It is PARIS") == 1
    assert not found.needs_judge


def test_the_same_prompts_have_the_same_hash_however_they_are_packed(tmp_path: Path) -> None:
    plain = write(tmp_path / "set.jsonl", *LINES)
    packed = tmp_path / "set.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes().replace(b"\n", b"\r\n")))
    assert read_labelled(plain).sha256 == read_labelled(packed).sha256
    assert read_labelled(plain, limit=2).sha256 != read_labelled(plain).sha256


@pytest.mark.parametrize(
    "line",
    [
        "no JSON", "[]", {"prompt": "x"}, {"expected": 1}, {"prompt": " ", "expected": 1},
        {"prompt": "x", "expected": "(", "grader": "regex"}, {"prompt": "x", "expected": "AB", "grader": "choice"},
        {"prompt": "x", "expected": 1, "grader": "vibes"}, {"prompt": "x", "expected": 1, "answer": 1},
        {"prompt": 1, "expected": 1}, {"prompt": "x", "expected": True},
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_graded_is_named_by_its_number(tmp_path: Path, line: object) -> None:
    with pytest.raises(InputInvalid, match="Line 2 of"):
        read_labelled(write(tmp_path / "set.jsonl", LINES[0], line, LINES[1]))


def test_an_empty_file_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    for path in (write(tmp_path / "empty.jsonl"), tmp_path / "none.jsonl"):
        with pytest.raises(InputInvalid):
            read_labelled(path)


def graded(line: int, score: float | None = 1.0) -> Graded:
    return Graded(line=line, subject="auto", task="", model="m", score=score)


def test_a_journal_goes_on_where_it_was_and_asks_again_what_failed(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    with Journal(path, "a" * 64) as first:
        for each in (graded(1), graded(2, None), graded(3, 0.5)):
            first.add(each)
    with path.open("ab") as file:
        file.write(b'{"line": 4, "subj')  # the program was stopped while it wrote
    with Journal(path, "a" * 64) as again:
        assert again.graded == [graded(1), graded(3, 0.5)]
        assert again.evaluation_id == first.evaluation_id
        assert path.read_bytes().endswith(b"\n"), "the half line is gone"
        again.add(graded(2))
    with Journal(path, "a" * 64) as third:
        assert sorted(each.line for each in third.graded) == [1, 2, 3]


def test_a_journal_of_other_prompts_or_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    with Journal(path, "a" * 64):
        pass
    with pytest.raises(InputInvalid, match="other prompts"):
        Journal(path, "b" * 64)
    with pytest.raises(InputInvalid, match="no journal"):
        Journal(write(tmp_path / "notes.txt", "Dear diary"), "a" * 64)
    with pytest.raises(InputInvalid, match="cannot be written"), Journal(tmp_path / "no" / "folder", "a" * 64):
        pass
