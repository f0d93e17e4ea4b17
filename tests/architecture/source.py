"""The tree as the rules read it: every Python file parsed once, every text file by its path.

Called by the rules in `tests/architecture/rules`. Paths are relative to the tree's root and use `/`,
so that a rule says the same of the real tree and of its fixture.
"""

import ast
import functools
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# From the outermost inwards: a folder may import what stands right of it.
ROOMS = ("app", "dashboard", "billing", "tenants")
CODE = (*ROOMS, "migrations", "infra")
TEXT_BYTES_MAX = 2_000_000
FIXTURES = "tests/architecture/fixtures/"
# What .gitignore names, and what git keeps for itself.
NOT_OURS = {
    ".git", ".venv", ".signalbox", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis",
    "build", "dist", "signalbox.egg-info",
}  # fmt: skip


class Source(NamedTuple):
    """One Python file."""

    path: str
    text: str
    tree: ast.Module

    @property
    def folder(self) -> str:
        """The top-level folder."""
        return self.path.partition("/")[0]

    def at(self, node: ast.AST | int, message: str) -> str:
        """One violation, as an editor can open it."""
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return f"{self.path}:{line}: {message}"


def sources(tree_root: Path, *folders: str) -> Iterator[Source]:
    """The Python files of the named folders; of all our own code when none is named."""
    for path in files(tree_root):
        if path.endswith(".py") and path.partition("/")[0] in (folders or CODE):
            yield _parsed(tree_root, path)


def files(tree_root: Path) -> tuple[str, ...]:
    """Every file that could be committed, but the fixtures, which break rules on purpose."""
    return tuple(path for path in _walk(tree_root, "") if not path.startswith(FIXTURES))


def lines(file: Path) -> list[str]:
    """The lines of a text file; none of a file that is missing, binary or too large to be written by hand."""
    if not file.exists() or file.stat().st_size > TEXT_BYTES_MAX:
        return []
    try:
        return file.read_text().splitlines()
    except UnicodeDecodeError:
        return []


def comments(source: Source) -> Iterator[tuple[int, str]]:
    """The comments with their lines; a string that looks like a comment is none."""
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def imports(source: Source) -> Iterator[tuple[ast.stmt, str, str | None]]:
    """Each import as statement, absolute module, and the name taken from it (None for `import x`)."""
    package = source.path.split("/")[:-1]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name, None
        elif isinstance(node, ast.ImportFrom):
            outer = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*outer, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node, module, alias.name


def called_name(call: ast.Call) -> str:
    """The last word of what is called: `commit` of `session.commit()`."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def calls(source: Source, *names: str) -> Iterator[ast.Call]:
    """Every call of a function or method with one of these names."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and called_name(node) in names:
            yield node


def _walk(tree_root: Path, below: str) -> Iterator[str]:
    for entry in sorted((tree_root / below).iterdir()):
        path = f"{below}{entry.name}"
        if entry.name in NOT_OURS or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _walk(tree_root, f"{path}/")
        else:
            yield path


def _parsed(tree_root: Path, path: str) -> Source:
    file = tree_root / path
    return _parse(file, path, file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4_000)
def _parse(file: Path, path: str, _changed_at: int) -> Source:
    text = file.read_text()
    return Source(path, text, ast.parse(text, filename=path))
