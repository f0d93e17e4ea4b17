"""What is said in passing: open ends, output, swallowed errors, silenced checks, tests that look away."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import CODE, Source, called_name, calls, comments, imports, sources

OPEN_END = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
OWNED = re.compile(r"\b(TODO|FIXME)\([a-z][\w-]*\): .*\b(when|once|after|until|if|before)\b")
SILENCED = re.compile(r"#\s*(noqa|type:\s*ignore)(?P<rest>.*)")
# A linter's codes, a dash or `#`, and the reason; mypy takes nothing but a second `#` after its code.
NAMED = re.compile(r":\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*\s*[-–#]+\s*\w+|\[[a-z, -]+\]\s*#\s*\w+")

OUTPUT_HOMES = ("app/cli.py", "app/commands/", "app/__main__.py")
# The edges where an unknown error ends: a request, a command, a job's turn.
EDGES = ("app/worker.py", "app/cli.py", "app/commands/", "app/http/")


def open_ends(tree_root: Path) -> list[str]:
    """An open end names its owner and the condition that closes it: `TODO(ada): drop when PostgreSQL 15 is gone`."""
    return [
        source.at(line, "an open end without owner and condition")
        for source in sources(tree_root, *CODE, "tests")
        for line, comment in comments(source)
        if OPEN_END.search(comment) and not OWNED.search(comment)
    ]


def output(tree_root: Path) -> list[str]:
    """Only commands write to the terminal."""
    return [
        source.at(call, "print belongs to commands")
        for source in sources(tree_root)
        if not source.path.startswith(OUTPUT_HOMES)
        for call in calls(source, "print", "pprint")
    ]


def broad_catches(tree_root: Path) -> list[str]:
    """`except Exception` stands at an edge and says why."""
    found = []
    for source in sources(tree_root):
        said = {line for line, _ in comments(source)}
        for node in _broad(source):
            if not source.path.startswith(EDGES):
                found.append(source.at(node, "catches everything away from an edge"))
            if not said & {node.lineno - 1, node.lineno, node.lineno + 1}:
                found.append(source.at(node, "catches everything and does not say why"))
    return found


def silenced_checks(tree_root: Path) -> list[str]:
    """Every ignore names its code and its reason."""
    return [
        source.at(line, "an ignore without code and reason")
        for source in sources(tree_root, *CODE, "tests")
        for line, comment in comments(source)
        if (match := SILENCED.match(comment)) and not NAMED.match(match["rest"])
    ]


def honest_tests(tree_root: Path) -> list[str]:
    """No mocks, no skip without cause, no expected failure, no sleeping for luck."""
    found = []
    for source in sources(tree_root, "tests"):
        found += [
            source.at(node, "use a builder, a twin or a fake server")
            for node, module, name in imports(source)
            if module.startswith("unittest.mock") or (module == "unittest" and name == "mock")
        ]
        found += [source.at(node, f"{node.attr} has no place to say why") for node in _marks_without_cause(source)]
        for call in calls(source, "skip", "skipif", "importorskip"):
            if not any(keyword.arg == "reason" for keyword in call.keywords) and not _has_message(call):
                found.append(source.at(call, "a skip without cause"))
    return found


def _has_message(call: ast.Call) -> bool:
    return called_name(call) == "skip" and bool(call.args)


def _marks_without_cause(source: Source) -> Iterator[ast.Attribute]:
    """`mark.skip` that is not called says nothing; `mark.xfail` is a bug that somebody got used to."""
    called = {id(node.func) for node in ast.walk(source.tree) if isinstance(node, ast.Call)}
    for node in ast.walk(source.tree):
        match node:
            case ast.Attribute(attr="xfail" | "skip", value=ast.Attribute(attr="mark")):
                if node.attr == "xfail" or id(node) not in called:
                    yield node


def _broad(source: Source) -> Iterator[ast.ExceptHandler | ast.Call]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "BaseException"
            # What is raised again was not swallowed: the record of a failed request is written this way.
            is_raised_again = isinstance(node.body[-1], ast.Raise)
            if re.search(r"\b(Exception|BaseException)\b", caught) and not is_raised_again:
                yield node
    for call in calls(source, "suppress"):
        if any(ast.unparse(argument) in {"Exception", "BaseException"} for argument in call.args):
            yield call
