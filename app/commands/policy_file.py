"""A policy as its author keeps it in a file, JSON or YAML, brought to the JSON that is checked and stored.

Called by `signalbox policy`. JSON passes byte for byte, so that the checker sees what was written. YAML
is read with what could mean two things refused: aliases, keys written twice, values that JSON has not.
"""

import json
from pathlib import Path
from typing import Any, Final

import click
import yaml

from app.commands.errors import InputInvalid

FILE_BYTES_MAX: Final = 262_144
YAML_SUFFIXES: Final = frozenset({".yaml", ".yml"})


def read_policy_file(path: Path) -> bytes:
    """The document as JSON; `-` reads standard input. Raises InputInvalid."""
    raw = _read(path)
    if not raw.strip():
        raise InputInvalid(f"{path} is empty. `signalbox policy show` prints a policy to begin with.")
    is_json = path.suffix.lower() not in YAML_SUFFIXES and raw.lstrip().startswith(b"{")
    return raw if is_json else _json_of_yaml(path, raw)


def _read(path: Path) -> bytes:
    try:
        with click.open_file(str(path), "rb") as file:
            raw: bytes = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise InputInvalid(f"{path} cannot be read: {error.strerror}. Check the path.") from error
    if len(raw) > FILE_BYTES_MAX:
        raise InputInvalid(f"{path} has more than {FILE_BYTES_MAX:,} bytes. Split it into several policies.")
    return raw.removeprefix(b"\xef\xbb\xbf")


def _json_of_yaml(path: Path, raw: bytes) -> bytes:
    try:
        document = yaml.load(raw, _StrictLoader)  # noqa: S506 - a SafeLoader, made stricter
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except yaml.MarkedYAMLError as error:
        where = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputInvalid(f"{path} is not a policy in YAML: {error.problem}{where}.") from error
    except yaml.YAMLError as error:
        raise InputInvalid(f"{path} is neither JSON nor YAML: {str(error).splitlines()[0]}.") from error
    except RecursionError as error:
        raise InputInvalid(f"{path} is nested too deeply to be a policy.") from error
    except (TypeError, ValueError) as error:
        raise InputInvalid(f"{path} holds a value that JSON does not have: {error}. Put it in quotes.") from error


class _StrictLoader(yaml.SafeLoader):
    """YAML as far as it is JSON. An alias could also make a small file grow without end."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs leave it out
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not read; write the part twice", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(
                    problem=f"the key '{key.value}' is not text; put it in quotes", problem_mark=key.start_mark
                )
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key '{key.value}' stands twice in one place; keep one", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)
