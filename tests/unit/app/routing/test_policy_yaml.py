"""One tree in two spellings: what YAML says is what JSON says, and back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing import PolicyInvalid, json_of_yaml, load_default_policy, yaml_of
from app.routing.policy_reader import read_policy

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=30).filter(lambda text: text.isprintable())
TREES = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(tree=st.dictionaries(TEXTS, TREES, max_size=4))
def test_what_is_written_is_read_back(tree: dict[str, Any]) -> None:
    assert json.loads(json_of_yaml(yaml_of(json.dumps(tree).encode()).encode())) == tree


def test_the_default_policy_goes_to_yaml_and_back() -> None:
    there_and_back = json_of_yaml(yaml_of(load_default_policy()).encode())
    assert json.loads(there_and_back) == json.loads(load_default_policy())
    assert read_policy(there_and_back) == read_policy(load_default_policy())


@pytest.mark.parametrize("text", ["yes", "on", "1.0", "null", "2026-12-01", "~", "0x10", "a: b", "- a", "1e3", "é#"])
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    document = json.dumps({"name": text}).encode()
    assert json.loads(json_of_yaml(yaml_of(document).encode())) == {"name": text}


def test_a_problem_has_the_same_path_in_both() -> None:
    written = "default:\n  candidates: ['*']\n  strategy: ordered\nrules:\n  - {name: a, when: {task: nothing}}\n"
    _, problems = read_policy(json_of_yaml(written.encode()))
    assert [problem.split(":")[0] for problem in problems] == ["rules[0].then", "rules[0].when.task.is"]


def test_what_is_no_yaml_is_told_with_its_line() -> None:
    with pytest.raises(PolicyInvalid, match="in line 2"):
        json_of_yaml(b"rules: []\nrules: []\n")
