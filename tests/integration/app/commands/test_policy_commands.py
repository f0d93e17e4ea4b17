"""Policies from the command line: shown, checked, applied, explained; JSON and YAML."""

import json
from pathlib import Path

import pytest

from tests.integration.app.commands.conftest import Installation

YAML = """
name: mine
rules:
  - name: code to the coder
    when: {task: {in: [code_generation]}}
    then: {candidates: [sandbox/coder-pro], strategy: ordered}
default: {candidates: ["sandbox/*"], strategy: cheapest}
"""
ON_GLOBEX = ("--tenant", "Globex")


def written(tmp_path: Path, text: str, name: str = "policy.yaml") -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_what_is_shown_can_be_applied(installation: Installation, tmp_path: Path) -> None:
    shown = installation.run("policy", "show", *ON_GLOBEX)
    assert "published by the platform" in shown.stderr
    file = written(tmp_path, shown.stdout, "policy.json")
    assert installation.json("policy", "apply", *ON_GLOBEX, "--name", "again", file)["version"] == 1
    in_yaml = written(tmp_path, installation.run("policy", "show", *ON_GLOBEX, "--name", "again", "--yaml").stdout)
    assert installation.json("policy", "apply", *ON_GLOBEX, "--name", "again", in_yaml)["version"] == 2
    document = installation.json("policy", "show", *ON_GLOBEX, "--name", "again")["document"]
    assert document == installation.json("policy", "show", *ON_GLOBEX)["document"]


def test_a_policy_is_applied_and_then_decides(installation: Installation, tmp_path: Path) -> None:
    file = written(tmp_path, YAML)
    assert installation.json("policy", "check", *ON_GLOBEX, file) == {
        "name": "default",
        "is_valid": True,
        "problems": [],
    }
    assert installation.json("policy", "apply", *ON_GLOBEX, file)["version"] == 1
    assert installation.json("policy", "apply", *ON_GLOBEX, "-", stdin=YAML)["version"] == 2
    shown = installation.json("policy", "show", *ON_GLOBEX)
    assert (shown["version"], shown["published_by"], shown["document"]["name"]) == (2, "tenant", "mine")
    assert installation.json("policy", "show", "--tenant", "Initech")["published_by"] == "platform"
    prompt = ("--prompt", "Write a Python function that reverses a list")
    decision = installation.json("policy", "explain", *ON_GLOBEX, *prompt)
    assert (decision["policy_name"], decision["policy_version"]) == ("default", 2)
    assert (decision["rule"], decision["task"]["value"]) == ("code to the coder", "code_generation")
    assert [each["name"] for each in decision["candidates"]] == ["sandbox/coder-pro"]


def test_explain_names_signals_rule_and_every_candidate(installation: Installation, tmp_path: Path) -> None:
    text = YAML.replace("[sandbox/coder-pro]", "[sandbox/deep-large, sandbox/swift-mini]")
    explain = ("policy", "explain", "--tenant", "Initech", written(tmp_path, text), "--prompt")
    shown = installation.run(*explain, "-", "--task", "code_generation", stdin="Hello")
    assert shown.exit_code == 0, shown.output
    assert "the caller's metadata says task code_generation" in shown.stdout
    assert "rule:         code to the coder" in shown.stdout
    assert "tried first" in shown.stdout
    assert "not_in_plan" in shown.stdout  # free has no deep-large
    named = installation.run(*explain, "Hello", "--model", "sandbox/deep-large")
    assert named.exit_code == 1
    assert "does not include the model" in named.stderr
    assert "empty" in installation.refused(*explain, "  ")


def test_explain_knows_the_tenants_budget(installation: Installation, tmp_path: Path) -> None:
    budget = installation.json("budget", "set", "--tenant", "Initech", "--usd", "0", "--period", "month")
    explain = ("policy", "explain", "--tenant", "Initech", "--prompt", "Hello")
    refused = installation.run(*explain, "--json")
    assert refused.exit_code == 1
    assert "over_budget" in {each["excluded"] for each in json.loads(refused.stdout)["candidates"]}
    installation.json("budget", "remove", "--tenant", "Initech", budget["budget_id"])
    assert installation.json(*explain)["candidates"][0]["rank"] == 1


def test_every_problem_is_told_with_its_path(installation: Installation, tmp_path: Path) -> None:
    text = YAML.replace("sandbox/coder-pro", "sandbox/coder-prod").replace("cheapest", "dearest")
    told = installation.refused("policy", "check", *ON_GLOBEX, written(tmp_path, text))
    assert "default.strategy" in told
    text = YAML.replace("[sandbox/coder-pro]", "[sandbox/coder-prod, openai/gpt-9]")
    told = installation.refused("policy", "apply", *ON_GLOBEX, "--name", "other", written(tmp_path, text))
    assert "rules[0].then.candidates[0]: 'sandbox/coder-prod' does not exist; nearest: sandbox/coder-pro" in told
    assert "rules[0].then.candidates[1]" in told
    assert "2 problems" in told
    checked = installation.run("policy", "check", *ON_GLOBEX, written(tmp_path, text), "--json")
    assert checked.exit_code == 1
    assert len(json.loads(checked.stdout)["problems"]) == 2
    assert "No policy is called 'other'" in installation.refused("policy", "show", *ON_GLOBEX, "--name", "other")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("{", "JSON"),
        ('{"name": "a", "name": "b"}', "stands twice"),
        ("- a\n- b\n", "object"),
        ("rules: [", "not a policy in YAML"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("name: a\nname: b\n", "stands twice"),
        ("1: a\n", "is not text"),
        ("name: 2026-12-01\n", "JSON does not have"),
        ("name: .nan\n", "JSON does not have"),
        ("x: !!python/object:os.system {}\n", "YAML"),
        ("[" * 5_000, "nested too deeply"),
        ("\x00", "YAML"),
    ],
)
def test_a_file_that_is_no_policy_is_refused(installation: Installation, tmp_path: Path, text: str, says: str) -> None:
    assert says in installation.refused("policy", "check", *ON_GLOBEX, written(tmp_path, text, "policy"))


def test_a_missing_or_huge_file_is_named(installation: Installation, tmp_path: Path) -> None:
    assert "cannot be read" in installation.refused("policy", "apply", *ON_GLOBEX, str(tmp_path / "none"))
    huge = written(tmp_path, "#" * 300_000)
    assert "262,144 bytes" in installation.refused("policy", "apply", *ON_GLOBEX, huge)
    assert "name is 'No Name'" in installation.refused(
        "policy", "apply", *ON_GLOBEX, "--name", "No Name", written(tmp_path, YAML)
    )


def test_examples_are_added_from_a_file_and_tell_a_task(installation: Installation, tmp_path: Path) -> None:
    lines = [
        {"prompt": "Where is my parcel? It has not come.", "task": "order_status"},
        {"prompt": "My parcel is late, where is it?", "task": "order_status"},
        {"prompt": "Write a limerick about the coffee machine.", "task": "banter"},
    ]
    file = written(tmp_path, "\n".join(map(json.dumps, lines)), "examples.jsonl")
    assert installation.json("policy", "examples", "add", *ON_GLOBEX, file)["examples"] == 3
    explain = ("policy", "explain", "--prompt", "where is my parcel, it is late")
    assert installation.json(*explain, *ON_GLOBEX)["task"]["value"] == "order_status"
    assert installation.json(*explain, "--tenant", "Initech")["task"]["decided_by"] != "example"
    listed = installation.json("policy", "examples", "list", *ON_GLOBEX)
    assert {each["task"] for each in listed} == {"order_status", "banter"}
    first = listed[0]["example_id"]
    assert installation.json("policy", "examples", "remove", *ON_GLOBEX, first)["examples"] == 2
    assert installation.json("policy", "examples", "remove", *ON_GLOBEX, "--all")["examples"] == 0
    assert installation.json(*explain, *ON_GLOBEX)["task"]["decided_by"] != "example"


def test_a_file_with_a_bad_line_adds_nothing(installation: Installation, tmp_path: Path) -> None:
    file = written(tmp_path, '{"prompt": "a", "task": "t"}\n{"prompt": "b"}', "examples.jsonl")
    refused = installation.run("policy", "examples", "add", *ON_GLOBEX, file)
    assert (refused.exit_code, "Line 2 of" in refused.stderr) == (1, True)
    assert installation.json("policy", "examples", "list", *ON_GLOBEX) == []


def test_plain_words_become_a_draft_that_is_applied_only_when_asked(installation: Installation) -> None:
    said = "Route all customer support to swift-mini and legal questions to the best sandbox model."
    before = installation.json("policy", "show", *ON_GLOBEX)["version"]
    draft = installation.json("policy", "write", *ON_GLOBEX, said)
    assert [rule["when"] for rule in draft["understood"]] == [{"task": "customer_support"}, {"domain": "legal"}]
    assert installation.json("policy", "show", *ON_GLOBEX)["version"] == before
    shown = installation.run("policy", "write", *ON_GLOBEX, said)
    assert "+- name: route all customer support to swift mini" in shown.stdout
    assert "Not all of it was understood" in installation.refused(
        "policy", "write", *ON_GLOBEX, "--apply", "poems to Bard"
    )
    assert "is in force" in installation.run("policy", "write", *ON_GLOBEX, "--apply", said).stderr
    decision = installation.json("policy", "explain", *ON_GLOBEX, "--prompt", "x", "--task", "customer_support")
    assert (decision["rule"], decision["candidates"][0]["name"]) == (
        "route all customer support to swift mini",
        "sandbox/swift-mini",
    )
