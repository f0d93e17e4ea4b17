"""What no file may hold, whatever its kind: paths of a machine, registries, other people's bundles."""

import re
from pathlib import Path

from tests.architecture.source import files, lines

# Written as patterns, so that this file does not match itself.
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(root|work|home/\w+|Users/\w+)/")
SCRATCH_PATH = re.compile(r"(?<![\w.$}])/tmp/")
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs|npmjs\.org|--(extra-)?index-url|://registry\.|/simple/?[\"' ]"
)
FOREIGN = re.compile(r"(^|/)(uv\.lock|poetry\.lock|[^/]+\.min\.(js|css)|node_modules/.*)$")


def machine_paths(tree_root: Path) -> list[str]:
    """The project says nothing of the machine it was written on."""
    return _matching(tree_root, MACHINE_PATH, "a path of one machine") + [
        violation
        for violation in _matching(tree_root, SCRATCH_PATH, "a scratch path; take it from tempfile")
        if not violation.startswith("tests/")
    ]


def registries(tree_root: Path) -> list[str]:
    """Where packages come from is the installing machine's setting."""
    return _matching(tree_root, REGISTRY, "names a package registry")


def foreign_files(tree_root: Path) -> list[str]:
    """The lock is requirements.lock; third-party scripts come from installed packages."""
    return [f"{path}:1: does not belong into the tree" for path in files(tree_root) if FOREIGN.search(path)]


def _matching(tree_root: Path, pattern: re.Pattern[str], message: str) -> list[str]:
    return [
        f"{path}:{number}: {message}"
        for path in files(tree_root)
        for number, line in enumerate(lines(tree_root / path), 1)
        if pattern.search(line)
    ]
