"""What a file looks like: its size, its docstrings, its names, the types between functions."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import CODE, sources

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
VERSIONS = "migrations/versions/"
FORBIDDEN_WORDS = {
    "manager", "managers", "handler", "handlers", "helper", "helpers", "util", "utils", "misc", "org", "orgs",
    "workspace", "workspaces",
}  # fmt: skip
# Where bytes of foreign shapes are read and written, a dict of anything is what there is.
DIALECTS = re.compile(r"^app/(providers|http|sandbox|commands)/|^app/routing/policy|_document\.py$")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def sizes(tree_root: Path) -> list[str]:
    """No file above 400 lines, no function above 60; a version file is as long as its concern."""
    found = []
    for source in sources(tree_root, *CODE, "tests"):
        if source.path.startswith(VERSIONS):
            continue
        lines = source.text.count("\n") + 1
        if lines - 1 > FILE_LINES_MAX:
            found.append(source.at(1, f"{lines - 1} lines; split it by meaning at {FILE_LINES_MAX}"))
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    found.append(source.at(node, f"{node.name} has {length} lines of {FUNCTION_LINES_MAX}"))
    return found


def docstrings(tree_root: Path) -> list[str]:
    """Every file with code, and every public class, function and method, says what it is."""
    found = []
    for source in sources(tree_root, *CODE, "tests"):
        if source.tree.body and ast.get_docstring(source.tree) is None:
            found.append(source.at(1, "the file has no docstring"))
        if source.folder == "tests" or source.path.startswith(VERSIONS):
            continue
        found += [
            source.at(node, f"{node.name} has no docstring")
            for node in _public(source.tree.body)
            if ast.get_docstring(node) is None
        ]
    return found


def names(tree_root: Path) -> list[str]:
    """A name says what a thing is: nothing is a manager, handler, helper, util or misc."""
    found = []
    for source in sources(tree_root, *CODE, "tests"):
        for part in source.path.removesuffix(".py").split("/"):
            found += [source.at(1, f"'{word}' in the path says nothing") for word in _words(part) & FORBIDDEN_WORDS]
        for node in ast.walk(source.tree):
            if isinstance(node, Definition):
                found += [source.at(node, f"'{word}' in {node.name}") for word in _words(node.name) & FORBIDDEN_WORDS]
    return found


def typed_values(tree_root: Path) -> list[str]:
    """No `dict[str, Any]` and no bare `dict` between functions outside dialects."""
    found = []
    for source in sources(tree_root):
        if DIALECTS.search(source.path):
            continue
        found += [
            source.at(node, f"{node.name} passes {annotation}")
            for node in ast.walk(source.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for annotation in _annotations(node)
            if _is_untyped(annotation)
        ]
    return found


def _annotations(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    for annotation in (function.returns, *(argument.annotation for argument in arguments)):
        if annotation is not None:
            yield ast.unparse(annotation)


def _is_untyped(annotation: str) -> bool:
    return bool(re.search(r"\b(dict|Mapping|MutableMapping)\[str, (\w+\.)?Any\]", annotation)) or annotation == "dict"


def _public(body: list[ast.stmt]) -> Iterator[Definition]:
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_") and not _repeats(node):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body)


def _repeats(node: Definition) -> bool:
    """A setter or an overload repeats a name whose docstring stands already."""
    return any(ast.unparse(decorator).endswith((".setter", "overload")) for decorator in node.decorator_list)


def _words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
