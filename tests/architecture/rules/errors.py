"""Errors: drawn at the top of their folder's `errors.py`, and each with a row in the table of `app/errors.py`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.architecture.source import ROOMS, Source, sources

TABLE = "app/errors.py"
# The first three end a command with a message and an exit code; the console's become pages in `dashboard.access`.
NOT_IN_THE_TABLE = ("app/embedded/", "app/commands/", "app/sandbox/", "dashboard/", TABLE)
# Not errors that anybody reads: they end one step of the straight line and are caught by the next.
SIGNALS = {"Refused": "app/gateway/call.py", "ClientGone": "app/http/asgi.py"}


class ErrorClass(NamedTuple):
    """One class of an error tree."""

    source: Source
    node: ast.ClassDef
    parents: tuple[str, ...]

    @property
    def is_root(self) -> bool:
        """Whether a tree starts here."""
        return "Exception" in self.parents


def errors_mapped(tree_root: Path) -> list[str]:
    """Every error class has a row, its own or a parent's; the row of a root is the fault, and no answer."""
    rows = _rows(tree_root)
    trees = [e for e in _errors(tree_root) if e.source.path.endswith("/errors.py")]
    by_name = {error.node.name: error for error in trees}
    found = []
    for error in trees:
        if error.source.path.startswith(NOT_IN_THE_TABLE):
            continue
        line = _lineage(error, by_name)
        if not any(ancestor.node.name in rows for ancestor in line if error.is_root or not ancestor.is_root):
            found.append(error.source.at(error.node, f"{error.node.name} has no row in {TABLE}"))
    return found


def errors_drawn(tree_root: Path) -> list[str]:
    """Every public error class stands in its folder's `errors.py` and in the tree drawn at its top."""
    found = []
    for error in _errors(tree_root):
        name = error.node.name
        if SIGNALS.get(name) == error.source.path:
            continue
        if not error.source.path.endswith("errors.py") and not name.startswith("_"):
            found.append(error.source.at(error.node, f"{name} belongs into errors.py"))
        elif not re.search(rf"\b{name}\b", ast.get_docstring(error.source.tree) or "") and not name.startswith("_"):
            found.append(error.source.at(error.node, f"{name} is not drawn at the top"))
    return found


def _errors(tree_root: Path) -> list[ErrorClass]:
    """Every class that descends from Exception, through whichever names."""
    classes = [
        ErrorClass(source, node, tuple(ast.unparse(base).rpartition(".")[2] for base in node.bases))
        for source in sources(tree_root, *ROOMS)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
    ]
    known = {"Exception", "BaseException", "ValueError", "RuntimeError", "LookupError", "OSError", "TypeError"}
    while grown := {c.node.name for c in classes if known & set(c.parents)} - known:
        known |= grown
    return [error for error in classes if error.node.name in known]


def _lineage(error: ErrorClass, by_name: dict[str, ErrorClass]) -> Iterator[ErrorClass]:
    yield error
    for parent in error.parents:
        if parent in by_name:
            yield from _lineage(by_name[parent], by_name)


def _rows(tree_root: Path) -> set[str]:
    return {
        ast.unparse(key)
        for source in sources(tree_root, "app")
        if source.path == TABLE
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if key is not None
    }
