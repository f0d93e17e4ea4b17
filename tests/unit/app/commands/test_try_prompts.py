"""Reading prompts from files that people really have."""

import gzip
from pathlib import Path

import pytest

from app.commands.errors import InputInvalid
from app.commands.try_prompts import LINE_BYTES_MAX, read_prompts


def file_of(tmp_path: Path, raw: bytes) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(raw)
    return path


def test_lines_keep_their_numbers_through_blank_ones_marks_and_a_missing_end(tmp_path: Path) -> None:
    path = file_of(tmp_path, b'\xef\xbb\xbf{"text": "a"}\r\n\r\n{"text": "b", "task": null, "more": [1]}')
    found = read_prompts(path)
    assert [(prompt.line, prompt.text) for prompt in found.prompts] == [(1, "a"), (3, "b")]
    assert found.bad_lines == ()


def test_gzip_is_known_by_its_bytes_whatever_its_name(tmp_path: Path) -> None:
    assert read_prompts(file_of(tmp_path, gzip.compress(b'{"text": "a"}\n', mtime=0))).prompts[0].text == "a"


def test_a_line_without_end_is_passed_over(tmp_path: Path) -> None:
    path = file_of(tmp_path, b'{"text": "' + b"x" * (2 * LINE_BYTES_MAX + 5) + b'"}\n{"text": "after"}\n')
    found = read_prompts(path)
    assert [(prompt.line, prompt.text) for prompt in found.prompts] == [(2, "after")]
    assert found.bad_lines[0].reason.startswith("longer than")


def test_a_bad_line_does_not_repeat_what_it_holds(tmp_path: Path) -> None:
    path = file_of(tmp_path, b'{"text": "a"}\n{"text": 1, "task": "sk-secret"}\nsk-secret\n\xff\xfe\n' + b"[" * 100_000)
    found = read_prompts(path)
    assert [bad.line for bad in found.bad_lines] == [2, 3, 4, 5]
    assert not any("secret" in bad.reason for bad in found.bad_lines)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (b"{}\n", "line 1: Object missing required field `text`"),
        (gzip.compress(b'{"text": "a"}', mtime=0)[:-9], "damaged gzip"),
        (b"\x1f\x8bnot really", "damaged gzip"),
    ],
)
def test_a_file_without_prompts_says_so(tmp_path: Path, raw: bytes, says: str) -> None:
    with pytest.raises(InputInvalid, match=says):
        read_prompts(file_of(tmp_path, raw))


def test_a_missing_file_and_a_folder_say_so(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(InputInvalid, match="cannot be read"):
            read_prompts(path)


def test_the_limit_stops_the_reading(tmp_path: Path) -> None:
    path = file_of(tmp_path, b'{"text": "a"}\n{\n{"text": "b"}\n{\n')
    found = read_prompts(path, limit=2)
    assert (len(found.prompts), len(found.bad_lines)) == (2, 1)
