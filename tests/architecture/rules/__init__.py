"""The rules of the house, each a pure function of a tree: what breaks it, as `path:line: why`."""

from collections.abc import Callable
from pathlib import Path

from tests.architecture.rules import data, direction, documents, errors, hygiene, shape, text

Rule = Callable[[Path], list[str]]

RULES: tuple[Rule, ...] = (
    direction.import_order,
    direction.roots_only,
    direction.wiring,
    direction.outside_packages,
    direction.routing_is_pure,
    data.commits,
    data.sql_home,
    data.money,
    data.aware_time,
    errors.errors_mapped,
    errors.errors_drawn,
    shape.sizes,
    shape.docstrings,
    shape.names,
    shape.typed_values,
    hygiene.open_ends,
    hygiene.output,
    hygiene.broad_catches,
    hygiene.silenced_checks,
    hygiene.honest_tests,
    text.machine_paths,
    text.registries,
    text.foreign_files,
    documents.documented_paths,
    documents.settings_documented,
)
