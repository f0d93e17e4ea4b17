"""A policy as its author keeps it in a file, JSON or YAML, brought to the JSON that is checked and stored.

Called by `signalbox policy`. Invariant: JSON passes byte for byte, so that the checker sees what was written.
"""

from pathlib import Path
from typing import Final

import click

from app.commands.errors import InputInvalid
from app.routing import PolicyInvalid, json_of_yaml

FILE_BYTES_MAX: Final = 262_144
YAML_SUFFIXES: Final = frozenset({".yaml", ".yml"})


def read_policy_file(path: Path) -> bytes:
    """The document as JSON; `-` reads standard input. Raises InputInvalid."""
    raw = _read(path)
    if not raw.strip():
        raise InputInvalid(f"{path} is empty. `signalbox policy show` prints a policy to begin with.")
    if path.suffix.lower() not in YAML_SUFFIXES and raw.lstrip().startswith(b"{"):
        return raw
    try:
        return json_of_yaml(raw)
    except PolicyInvalid as error:
        raise InputInvalid(f"{path}: {error.problems[0]}.") from error


def _read(path: Path) -> bytes:
    try:
        with click.open_file(str(path), "rb") as file:
            raw: bytes = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise InputInvalid(f"{path} cannot be read: {error.strerror}. Check the path.") from error
    if len(raw) > FILE_BYTES_MAX:
        raise InputInvalid(f"{path} has more than {FILE_BYTES_MAX:,} bytes. Split it into several policies.")
    return raw.removeprefix(b"\xef\xbb\xbf")
