"""`signalbox reconcile` reads a file, tells what became of it, and names the line that does not hold."""

import json
from datetime import UTC, datetime
from pathlib import Path

from tests.integration.app.commands.conftest import Installation

HEAD = "provider_name,started_at,model,cost_usd,response_id\n"


def test_a_statement_of_strangers_calls_is_counted_and_changes_nothing(
    installation: Installation, tmp_path: Path
) -> None:
    statement = tmp_path / "november.csv"
    statement.write_text(HEAD + "openai,2026-10-24T10:00:00Z,gpt-4o,0.25,resp_1\n", encoding="utf-8-sig")
    told = installation.json("reconcile", str(statement))
    assert (told["line_count"], told["unmatched_count"], told["unmatched_nano_usd"]) == (1, 1, 250_000_000)
    assert told["adjusted_count"] == 0
    assert "unmatched: $0.25" in installation.run("reconcile", str(statement)).stdout


def test_a_line_that_does_not_hold_is_named_and_nothing_is_read(installation: Installation, tmp_path: Path) -> None:
    statement = tmp_path / "broken.csv"
    statement.write_text(HEAD + "openai,2026-11-24T10:00:00Z,gpt-4o,0.25,r1\nopenai,yesterday,gpt-4o,0.25,r2\n")
    assert "Line 3 of the statement" in installation.refused("reconcile", str(statement))
    statement.write_text(HEAD)
    assert "holds no call" in installation.refused("reconcile", str(statement))


def test_check_tells_whether_the_books_agree(installation: Installation, tmp_path: Path) -> None:
    statement = tmp_path / "today.csv"
    assert "agree" in installation.run("reconcile", "--check", "--days", "1").stdout
    moment = datetime.now(UTC).isoformat()
    statement.write_text(HEAD + f"groq,{moment},llama,0.5,nobodys\n")
    installation.json("reconcile", str(statement))
    checked = installation.run("reconcile", "--check", "--days", "1", "--json")
    assert checked.exit_code == 1
    [drift] = [drift for drift in json.loads(checked.stdout) if drift["provider_name"] == "groq"]
    assert (drift["comparison"], drift["expected"], drift["found"]) == ("statements and records", 500_000_000, 0)
    assert installation.run("reconcile").exit_code == 2
    assert installation.run("reconcile", str(statement), "--check").exit_code == 2
