"""The journal of a run: each graded prompt as it comes, so that a run that was stopped goes on where it was.

Called by `signalbox eval`. Invariant: it holds no prompt, no answer and no key, and goes on only with the same file.
"""

from pathlib import Path
from types import TracebackType
from typing import IO, Self
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from app.commands.errors import InputInvalid
from app.evaluation.scores import Graded


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: which run of which file this is."""

    evaluation_id: UUID
    prompts_sha256: str


class Journal:
    """A file of graded prompts; without a path, memory alone."""

    def __init__(self, path: Path | None, prompts_sha256: str) -> None:
        """Read what is there. Raises InputInvalid when it is of another file, or cannot be read or written."""
        self.evaluation_id: UUID = uuid7()
        self.graded: list[Graded] = []
        self._path = path
        self._file: IO[bytes] | None = None
        self._head = _Head(evaluation_id=self.evaluation_id, prompts_sha256=prompts_sha256)
        if path is not None and path.exists() and path.stat().st_size:
            self._read(path, prompts_sha256)

    def __enter__(self) -> Self:
        """Open it for what comes."""
        if self._path is not None:
            try:
                is_new = not self._path.exists() or not self._path.stat().st_size
                self._file = self._path.open("ab")
            except OSError as error:
                raise InputInvalid(f"{self._path} cannot be written: {error.strerror}. Check --journal.") from error
            if is_new:
                self._write(self._head)
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close it."""
        if self._file is not None:
            self._file.close()

    def add(self, graded: Graded) -> None:
        """Keep one graded prompt."""
        self.graded.append(graded)
        self._write(graded)

    def _write(self, line: _Head | Graded) -> None:
        if self._file is not None:
            self._file.write(msgspec.json.encode(line) + b"\n")
            self._file.flush()

    def _read(self, path: Path, prompts_sha256: str) -> None:
        try:
            # A line that was cut short by the end of the program is dropped, and its prompt asked again.
            whole, _, _ = path.read_bytes().rpartition(b"\n")
            first, *rest = whole.splitlines()
            self._head = msgspec.json.decode(first, type=_Head)
            read = [msgspec.json.decode(line, type=Graded) for line in rest]
            path.write_bytes(whole + b"\n")
        except OSError as error:
            raise InputInvalid(f"{path} cannot be read: {error.strerror}. Check --journal.") from error
        except (ValueError, UnicodeDecodeError) as error:
            raise InputInvalid(f"{path} is no journal of a run. Name another with --journal.") from error
        if self._head.prompts_sha256 != prompts_sha256:
            raise InputInvalid(f"{path} is the journal of other prompts. Name another with --journal, or remove it.")
        self.evaluation_id = self._head.evaluation_id
        self.graded = [each for each in read if each.score is not None]
