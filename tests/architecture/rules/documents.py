"""What documents say of the code: no file that is not there, every setting and no other."""

import ast
import posixpath
import re
from pathlib import Path

from tests.architecture.source import files, lines, sources

# A path in backticks, as documents name it; patterns, templates and what is only planned are not paths.
NAMED_PATH = re.compile(r"`((?:app|billing|dashboard|infra|migrations|tenants|tests)/[\w./-]*)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
SETTINGS = "infra/settings.md"
SETTING = re.compile(r"\bSIGNALBOX_[A-Z0-9_]+\b")


def documented_paths(tree_root: Path) -> list[str]:
    """A document names or links no file or folder that is not there; an empty folder is in no clone."""
    known = files(tree_root)
    there = {f"{folder}/" for path in known for folder in Path(path).parents} | set(known)
    return [
        f"{path}:{number}: {named} is not there"
        for path in known
        if path.endswith(".md")
        for number, line in enumerate(lines(tree_root / path), 1)
        for named in (*NAMED_PATH.findall(line), *_linked(path, line))
        if not {named, f"{named}/"} & there
    ]


def settings_documented(tree_root: Path) -> list[str]:
    """Every setting that the code names is described, and every one described is read by the code."""
    described = {
        name: f"{SETTINGS}:{number}"
        for number, line in enumerate(lines(tree_root / SETTINGS), 1)
        for name in SETTING.findall(line)
    }
    named = {
        name: source.at(node, name)
        for source in sources(tree_root)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for name in SETTING.findall(node.value)
    }
    return [f"{named[name]} is not in {SETTINGS}" for name in sorted(set(named) - set(described))] + [
        f"{described[name]}: {name} is read by nobody" for name in sorted(set(described) - set(named))
    ]


def _linked(path: str, line: str) -> list[str]:
    links = (posixpath.normpath(posixpath.join(posixpath.dirname(path), link)) for link in LINK.findall(line))
    return [link for link in links if not link.startswith("..")]
