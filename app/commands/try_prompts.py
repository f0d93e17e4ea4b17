"""The prompts of a JSONL file, plain or gzipped: one object a line with `text` and, if known, its `task`.

Called by `signalbox try`. Invariant: a line that cannot be used is kept with its number and the reason,
and never ends the reading; its content is not repeated.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from app.commands.errors import InputInvalid

LINE_BYTES_MAX: Final = 10_000_000
LINES_MAX: Final = 1_000_000
GZIP_MAGIC: Final = b"\x1f\x8b"
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt with the number of its line."""

    line: int
    text: str = field(repr=False)
    task: str | None = None
    system: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that holds no prompt."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class PromptFile:
    """What a file holds."""

    prompts: tuple[Prompt, ...]
    bad_lines: tuple[BadLine, ...]


class _Line(msgspec.Struct):
    text: str
    task: str | None = None


def read_prompts(path: Path, *, limit: int | None = None) -> PromptFile:
    """The first `limit` prompts of a file, or all. Raises InputInvalid when there is none."""
    prompts: list[Prompt] = []
    bad_lines: list[BadLine] = []
    for number, raw in numbered_lines(path):
        if not raw.strip():
            continue
        read = _read_line(number, raw)
        if isinstance(read, BadLine):
            bad_lines.append(read)
            continue
        prompts.append(read)
        if len(prompts) == limit:
            break
    if not prompts:
        why = f"; line {bad_lines[0].line}: {bad_lines[0].reason}" if bad_lines else ", it is empty"
        raise InputInvalid(f'{path} holds no prompt{why}. Give one JSON object a line, such as {{"text": "Hello"}}.')
    return PromptFile(tuple(prompts), tuple(bad_lines))


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Give each line of a file with its number, plain or gzipped; what is behind LINE_BYTES_MAX is cut off.

    Raises InputInvalid when the file cannot be read or has too many lines.
    """
    try:
        yield from _lines(path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputInvalid(f"{path} is a damaged gzip file: {error}. Get it again.") from error
    except OSError as error:
        raise InputInvalid(
            f"{path} cannot be read: {error.strerror or type(error).__name__}. Check the path."
        ) from error


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with _open(path) as file:
        number = 0
        while raw := file.readline(LINE_BYTES_MAX + 1):
            number += 1
            if number > LINES_MAX:
                raise InputInvalid(f"{path} has more than {LINES_MAX:,} lines. Give --limit, or split it.")
            rest = raw
            while len(rest) > LINE_BYTES_MAX and not rest.endswith(b"\n"):
                rest = file.readline(LINE_BYTES_MAX + 1)
            yield number, raw.removeprefix(BYTE_ORDER_MARK) if number == 1 else raw


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        is_gzip = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return gzip.open(path, "rb") if is_gzip else path.open("rb")  # type: ignore[return-value]  # it reads as one


def _read_line(number: int, raw: bytes) -> Prompt | BadLine:
    if len(raw) > LINE_BYTES_MAX:
        return BadLine(number, f"longer than {LINE_BYTES_MAX:,} bytes")
    try:
        line = msgspec.json.decode(raw, type=_Line)
    except msgspec.ValidationError as error:
        return BadLine(number, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return BadLine(number, "not JSON")
    if not line.text.strip():
        return BadLine(number, "`text` is empty")
    return Prompt(number, line.text, line.task)
