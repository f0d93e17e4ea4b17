"""Tenants, keys, credentials, budgets and usage from the command line."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from tests.integration.app.commands.conftest import Installation

SECRET = "sk-0123456789abcdefghij"


def test_a_new_tenant_is_told_in_four_fields(installation: Installation) -> None:
    made = installation.json("tenant", "create", "Umbrella & Söhne", "--plan", "enterprise")
    assert set(made) == {"tenant_id", "owner_email", "owner_password", "api_key"}
    assert made["owner_email"] == "owner@umbrella-sohne.example"
    assert made["api_key"].startswith("sbx_live_")
    [row] = [row for row in installation.json("tenant", "list") if row["tenant_id"] == made["tenant_id"]]
    assert (row["name"], row["plan_id"], row["status"]) == ("Umbrella & Söhne", "enterprise", "active")
    assert "owner_password" in installation.run("tenant", "create", "Plain", "--plan", "free").stdout


def test_an_unknown_plan_leaves_no_tenant_behind(installation: Installation) -> None:
    before = len(installation.json("tenant", "list"))
    assert "There are: enterprise, free, pro." in installation.refused("tenant", "create", "Half", "--plan", "gold")
    assert len(installation.json("tenant", "list")) == before


def test_what_a_tenant_cannot_be_called_is_refused(installation: Installation) -> None:
    assert "--email" in installation.refused("tenant", "create", "北京", "--plan", "pro")
    assert "name is ''" in installation.refused("tenant", "create", "", "--plan", "pro", "--email", "a@b.test")
    assert "not an email" in installation.refused("tenant", "create", "X", "--plan", "pro", "--email", "nobody")
    assert installation.run("tenant", "create", "X").exit_code == 2


def test_a_plan_change_stands_in_the_tenants_list(installation: Installation) -> None:
    made = installation.json("tenant", "create", "Mover", "--plan", "free")
    assert installation.json("tenant", "plan", "mover", "pro")["plan_id"] == "pro"
    rows = {row["tenant_id"]: row["plan_id"] for row in installation.json("tenant", "list")}
    assert rows[made["tenant_id"]] == "pro"
    assert "No plan is called" in installation.refused("tenant", "plan", "Mover", "gold")
    assert "No tenant is called 'Nobody'" in installation.refused("tenant", "plan", "Nobody", "pro")


def test_a_name_that_two_tenants_have_asks_for_the_id(installation: Installation) -> None:
    first, _ = [installation.json("tenant", "create", "Twin", "--plan", "free") for _ in range(2)]
    assert "Give the id" in installation.refused("tenant", "plan", "Twin", "pro")
    assert installation.json("tenant", "plan", first["tenant_id"], "pro")["tenant_id"] == first["tenant_id"]


def test_keys_are_shown_once_rotated_and_revoked(installation: Installation) -> None:
    on_globex = ("--tenant", "Globex")
    made = installation.json("key", "create", *on_globex, "--name", "ci", "--expires-days", "3")
    assert made["expires_at"]
    assert installation.json("key", "create", *on_globex, "--management")["api_key"].startswith("sbm_")
    rotated = installation.json("key", "rotate", *on_globex, "ci", "--overlap-hours", "0")
    assert rotated["api_key"] != made["api_key"]
    installation.json("key", "revoke", *on_globex, rotated["api_key_id"])
    listed = installation.run("key", "list", *on_globex, "--json").stdout
    states = {row["api_key_id"]: row["state"] for row in json.loads(listed)}
    assert (states[made["api_key_id"]], states[rotated["api_key_id"]]) == ("expired", "revoked")
    assert made["api_key"] not in listed
    assert "There is no API key 'ci'" in installation.refused("key", "revoke", *on_globex, "ci")
    assert "revoked or expired" in installation.refused("key", "rotate", *on_globex, rotated["api_key_id"])
    assert "There is no project 'x'. There are: default." in installation.refused(
        "key", "create", *on_globex, "--project", "x"
    )
    assert installation.run("key", "create", *on_globex, "--expires-days", "0").exit_code == 2


def test_another_tenants_key_is_not_there(installation: Installation) -> None:
    made = installation.json("key", "create", "--tenant", "Globex", "--name", "ours")
    for verb in ("revoke", "rotate"):
        assert "There is no API key" in installation.refused("key", verb, "--tenant", "Initech", made["api_key_id"])


def test_a_credential_is_read_from_a_file_or_stdin_and_never_shown(installation: Installation, tmp_path: Path) -> None:
    on_globex = ("--tenant", "Globex")
    (tmp_path / "key").write_text(f"{SECRET}\n")
    from_file = ("--key-file", str(tmp_path / "key"))
    added = installation.json("credential", "add", *on_globex, "--provider", "openai", *from_file)
    assert added["last_four"] == "ghij"
    assert added["base_url"] == "https://api.openai.com/v1"
    other = ("--provider", "groq", "--key-file", "-", "--name", "second")
    assert installation.json("credential", "add", *on_globex, *other, stdin=f" {SECRET} ")["name"] == "second"
    assert "already" in installation.refused("credential", "add", *on_globex, "--provider", "openai", *from_file)
    listed = installation.run("credential", "list", *on_globex).stdout
    assert "openai" in listed
    assert SECRET not in listed
    assert "There is no provider credential" in installation.refused(
        "credential", "disable", "--tenant", "Initech", added["credential_id"]
    )
    assert installation.json("credential", "disable", *on_globex, "openai")["state"] == "disabled"


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (("--provider", "opnai"), SECRET, "Known providers: anthropic, baseten"),
        (("--provider", "openai"), "", "holds no key"),
        (("--provider", "openai"), b"\xff\xfe", "holds no key"),
        (("--provider", "openai"), "a\nb", "visible ASCII"),
        (("--provider", "openai"), "x" * 20_000, "holds no key"),
        (("--provider", "openai", "--base-url", "http://10.0.0.1/v1"), SECRET, "https://"),
        (("--provider", "openai", "--base-url", "https://127.0.0.1/v1"), SECRET, "not a public address"),
        (("--provider", "openai", "--base-url", "https://user:hunter2@example.com"), SECRET, "without user"),
        (("--provider", "sandbox", "--base-url", "https://example.com/v1"), SECRET, "only the platform"),
    ],
)
def test_a_credential_that_cannot_be_right_is_refused(
    installation: Installation, arguments: tuple[str, ...], stdin: str | bytes, says: str
) -> None:
    command = ("credential", "add", "--tenant", "Initech", *arguments, "--key-file", "-")
    told = installation.refused(*command, stdin=stdin)
    assert says in told
    assert SECRET not in told
    assert "hunter2" not in told
    assert installation.json("credential", "list", "--tenant", "Initech") == []


def test_the_operator_may_put_the_platforms_sandbox_anywhere(installation: Installation) -> None:
    on_platform = ("--tenant", "Signalbox", "--provider", "sandbox", "--name", "other", "--key-file", "-")
    assert "base address" in installation.refused("credential", "add", *on_platform, stdin="key")
    added = installation.json("credential", "add", *on_platform, "--base-url", "http://127.0.0.1:9/v1", stdin="key")
    assert added["base_url"] == "http://127.0.0.1:9/v1"
    installation.json("credential", "disable", "--tenant", "Signalbox", "other")


def test_budgets_are_exact_and_belong_to_their_tenant(installation: Installation) -> None:
    on_globex = ("--tenant", "Globex")
    made = installation.json("budget", "set", *on_globex, "--usd", "$1,000.000000001", "--period", "month")
    assert made["limit_nano_usd"] == 1_000_000_000_001
    moved = installation.json("budget", "set", *on_globex, "--usd", "0", "--period", "month")
    assert moved["budget_id"] == made["budget_id"]
    project = installation.json("budget", "set", *on_globex, "--usd", "5", "--period", "day", "--project", "DEFAULT")
    assert (project["scope"], project["scope_name"]) == ("project", "default")
    key = installation.json("budget", "set", *on_globex, "--usd", "5", "--period", "total", "--key", "first key")
    assert key["scope"] == "api_key"
    assert "$5.00" in installation.run("budget", "list", *on_globex).stdout
    assert "no budget" in installation.refused("budget", "remove", "--tenant", "Initech", made["budget_id"])
    assert "no budget" in installation.refused("budget", "remove", *on_globex, str(uuid4()))
    assert "not a budget's id" in installation.refused("budget", "remove", *on_globex, "first")
    for budget in (made, project, key):
        installation.json("budget", "remove", *on_globex, budget["budget_id"])
    assert installation.json("budget", "list", *on_globex) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--usd", "ten", "--period", "month"),
        ("--usd", "-1", "--period", "month"),
        ("--usd", "nan", "--period", "month"),
        ("--usd", "1e999999999", "--period", "month"),
        ("--usd", "0.0000000001", "--period", "month"),
        ("--usd", "1.00000000000000000000000000000000000000001", "--period", "month"),
        ("--usd", "2000000000", "--period", "month"),
        ("--usd", "1", "--period", "year"),
        ("--usd", "1"),
        ("--usd", "1", "--period", "month", "--project", "default", "--key", "first key"),
    ],
)
def test_a_budget_that_makes_no_sense_is_a_usage_error(installation: Installation, arguments: tuple[str, ...]) -> None:
    assert installation.run("budget", "set", "--tenant", "Initech", *arguments).exit_code == 2


def test_usage_of_nothing_is_nothing(installation: Installation) -> None:
    on_initech = ("usage", "--tenant", "Initech")
    document = installation.json(*on_initech, "--group-by", "task", "--group-by", "day")
    assert (document["rows"], document["group_by"]) == ([], ["task", "day"])
    assert document["total"]["billed_nano_usd"] == 0
    assert "Nothing was used" in installation.run(*on_initech).stderr
    assert installation.run(*on_initech, "--group-by", "colour").exit_code == 2
    assert installation.run(*on_initech, "--since", "yesterday").exit_code == 2
    assert installation.run(*on_initech, "--since", "2026-12-02", "--until", "2026-12-01").exit_code == 2


def test_a_database_without_an_installation_says_so(
    installation: Installation, database_url: object, tmp_path: Path
) -> None:
    assert callable(database_url)
    result = installation.run("tenant", "list", SIGNALBOX_DATABASE_URL=database_url("signalbox_bootstrap"))
    assert result.exit_code == 1
    assert "Nothing is installed" in result.stderr
    result = installation.run("tenant", "list", SIGNALBOX_MASTER_KEY="A" * 43 + "=")
    assert "does not open the key" in result.stderr
    result = installation.run("tenant", "list", SIGNALBOX_DATABASE_URL="postgresql://u:hunter2@127.0.0.1:9/x")
    assert result.exit_code == 1
    assert "did not answer" in result.stderr
    assert "hunter2" not in result.output


def test_credit_is_granted_and_what_is_left_is_shown(installation: Installation) -> None:
    made = installation.json(
        "credit", "grant", "--tenant", "Initech", "--usd", "5", "--kind", "promotional", "--expires", "2099-01-01",
        "--note", "welcome",
    )  # fmt: skip
    assert (made["amount_nano_usd"], made["kind"], made["note"]) == (5_000_000_000, "promotional", "welcome")
    [state] = installation.json("credit", "list", "--tenant", "Initech")
    assert (state["currency"], state["left_nano_usd"], len(state["grants"])) == ("USD", 5_000_000_000, 1)
    assert "$5.00 USD left" in installation.run("credit", "list", "--tenant", "Initech").stdout
    assert "above $0" in installation.refused("credit", "grant", "--tenant", "Initech", "--usd", "0")
    assert installation.json("budget", "list", "--tenant", "Initech") == []
