"""What every version file keeps to, read without running it."""

import ast
import re
from pathlib import Path

import pytest

from migrations import ROLES_SQL

VERSIONS = sorted((Path(__file__).parents[2] / "migrations" / "versions").glob("*.py"))
FILE_NAME = re.compile(r"\d{4}-\d\d-\d\d-\d{4}_[a-z][a-z0-9_]*\.py")
IMPORTS_ALLOWED = {"alembic", "migrations.statements"}


def _assigned(tree: ast.Module, name: str) -> object:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"{name} is not set")


@pytest.mark.parametrize("file", VERSIONS, ids=lambda file: file.stem)
def test_a_version_is_named_by_its_moment_and_imports_no_model(file: Path) -> None:
    assert FILE_NAME.fullmatch(file.name)
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            raise AssertionError(f"imports {ast.unparse(node)}")
        if isinstance(node, ast.ImportFrom):
            assert node.module in IMPORTS_ALLOWED


@pytest.mark.parametrize("file", VERSIONS, ids=lambda file: file.stem)
def test_a_version_asks_for_nothing_that_a_plain_server_lacks(file: Path) -> None:
    statements = file.read_text().upper()
    for refused in ("CREATE EXTENSION", "CONCURRENTLY", "BYPASSRLS", "SUPERUSER", "DISABLE ROW LEVEL SECURITY"):
        assert refused not in statements


def test_the_versions_are_one_line_in_the_order_of_their_names() -> None:
    trees = [ast.parse(file.read_text()) for file in VERSIONS]
    revisions = [_assigned(tree, "revision") for tree in trees]
    assert [_assigned(tree, "down_revision") for tree in trees] == [None, *revisions[:-1]]
    assert len(set(revisions)) == len(revisions)


def test_the_roles_are_made_without_powers() -> None:
    made = re.findall(r"CREATE ROLE %I ([A-Z ]+)'", ROLES_SQL.read_text())
    assert made == ["LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS"]
