"""Every rule finds each thing its fixture tree does wrong, and nothing in the real tree."""

from pathlib import Path

import pytest

from tests.architecture.rules import RULES, Rule

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
# Trees whose words may stand in no committed file: put together when the test runs.
GROWN = {
    "machine_paths": {
        "README.md": "See /{}/notes.\n".format("root"),
        "infra/run.sh": "cd /{}/main\n".format("work"),
        "app/state.py": '"""State."""\n\nHOME = "/{}/state"\n'.format("tmp"),
        "tests/unit/test_state.py": '"""May use a scratch path."""\n\nHOME = "/{}/state"\n'.format("tmp"),
    },
    "registries": {
        "requirements.lock": "--{}-url https://example.org/\n".format("index"),
        "package.json": '"{}": "https://{}.{}.org/x"\n'.format("resolved", "registry", "npmjs"),
    },
    "foreign_files": {"{}.lock".format("uv"): "", "dashboard/static/chart.{}.js".format("min"): ""},
}
FOUND_IN_GROWN = {
    "machine_paths": [
        "README.md:1: a path of one machine",
        "app/state.py:3: a scratch path; take it from tempfile",
        "infra/run.sh:1: a path of one machine",
    ],
    "registries": [
        "package.json:1: names a package registry",
        "requirements.lock:1: names a package registry",
    ],
    "foreign_files": [f"{path}:1: does not belong into the tree" for path in sorted(GROWN["foreign_files"])],
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_finds_what_its_fixture_breaks_and_nothing_else(rule: Rule, tmp_path: Path) -> None:
    name = rule.__name__
    if name in GROWN:
        _grow(tmp_path, GROWN[name])
        tree_root, expected = tmp_path, FOUND_IN_GROWN[name]
    else:
        tree_root = HERE / "fixtures" / name
        expected = (tree_root / "found.txt").read_text().splitlines()
    assert expected
    assert sorted(rule(tree_root)) == sorted(expected)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_project_keeps_the_rule(rule: Rule) -> None:
    found = rule(PROJECT)
    assert not found, f"{rule.__doc__}\n" + "\n".join(found)


def test_every_fixture_tree_belongs_to_a_rule() -> None:
    trees = {found.parent.name for found in (HERE / "fixtures").glob("*/found.txt")}
    assert trees | set(GROWN) == {rule.__name__ for rule in RULES}


def _grow(tree_root: Path, tree: dict[str, str]) -> None:
    for path, text in tree.items():
        tree_root.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
        tree_root.joinpath(path).write_text(text)
