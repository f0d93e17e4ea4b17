"""Where data is touched: commits, SQL, money, time."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import ROOMS, Source, called_name, calls, imports, sources

COMMIT_HOMES = ("tenants/database.py", "migrations/upgrade.py")
SQL_FILE = re.compile(r"(^|/)(\w*repository|queries|database)\.py$|^migrations/")
# Upper case, as we write SQL; a sentence that starts with one of these words in capitals is not one of ours.
SQL_TEXT = re.compile(
    r"\s*(SELECT|INSERT INTO|UPDATE [a-z_]+ |DELETE FROM|WITH [a-z_]+ AS|CREATE|ALTER|DROP|GRANT|REVOKE|TRUNCATE|"
    r"COPY|LISTEN|NOTIFY|SET LOCAL|LOCK TABLE|COMMIT|ROLLBACK)\b"
)
SQL_BUILDERS = {
    "text",
    "select",
    "insert",
    "update",
    "delete",
    "func",
    "literal_column",
    "exists",
    "union_all",
    "table",
}
SQL_CALLS = ("execute", "executemany", "fetchrow", "fetchval", "scalars", "copy_records_to_table")

# Not money: percentiles are interpolated between bounds in milliseconds, rates are per time.
FLOATS_ALLOWED = ("billing/histogram.py",)
# Pixels and labels: plotly's coordinates are floats, and a rounded amount is written from a Decimal.
DIVISION_ALLOWED = ("dashboard/figures.py", "dashboard/formats.py")


def commits(tree_root: Path) -> list[str]:
    """A transaction is opened and committed by the tenant-scoped session and nowhere else."""
    return [
        source.at(call, f"{called_name(call)} belongs to tenants/database.py")
        for source in sources(tree_root)
        if source.path not in COMMIT_HOMES
        for call in calls(source, "commit", "rollback")
    ]


def sql_home(tree_root: Path) -> list[str]:
    """SQL, as text or as expressions, stands in *repository.py, queries.py, database.py and migrations."""
    found = []
    for source in sources(tree_root):
        if SQL_FILE.search(source.path):
            continue
        found += [source.at(node, "SQL outside a repository") for node in _sql_strings(source)]
        found += [source.at(call, "runs SQL outside a repository") for call in calls(source, *SQL_CALLS)]
        found += [
            source.at(node, f"builds SQL outside a repository: {name or module}")
            for node, module, name in imports(source)
            if module.startswith("sqlalchemy") and (name is None or name in SQL_BUILDERS)
        ]
    return found


def money(tree_root: Path) -> list[str]:
    """Money is integer nano-USD: no float and no true division in billing, nor on nano-USD elsewhere."""
    found = []
    for source in sources(tree_root, *ROOMS):
        for node in ast.walk(source.tree):
            if source.folder == "billing" and source.path not in FLOATS_ALLOWED and _is_float(node):
                found.append(source.at(node, "a float in billing"))
            if _is_division(node) and source.path not in (*FLOATS_ALLOWED, *DIVISION_ALLOWED):
                if source.folder == "billing":
                    found.append(source.at(node, "true division in billing"))
                elif "nano_usd" in ast.unparse(node):
                    found.append(source.at(node, "true division of nano-USD"))
    return found


def aware_time(tree_root: Path) -> list[str]:
    """Time is UTC and aware: no `utcnow`, no `now()` or `fromtimestamp()` without a zone."""
    found = []
    for source in sources(tree_root):
        found += [source.at(call, "utcnow is naive") for call in calls(source, "utcnow", "utcfromtimestamp")]
        for call in calls(source, "now", "fromtimestamp"):
            is_datetime = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value).endswith("datetime")
            zones = len(call.args) + len(call.keywords) - (called_name(call) == "fromtimestamp")
            if is_datetime and zones < 1:
                found.append(source.at(call, "a time without a zone"))
    return found


def _is_float(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=float()):
            return True
        case ast.Call(func=ast.Name(id="float")):
            return True
    return False


def _is_division(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)


def _sql_strings(source: Source) -> Iterator[ast.Constant]:
    docstrings = {id(node.value) for node in ast.walk(source.tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(source.tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings and SQL_TEXT.match(text):
                yield node
