"""The audit trail handed out and proven offline, from the command line."""

import json
import os
from pathlib import Path

import pytest

from tests.integration.app.commands.conftest import Installation


@pytest.fixture
def exported(installation: Installation, tmp_path: Path) -> tuple[Path, str]:
    file = tmp_path / "trail.jsonl"
    told = installation.json("audit", "export", "--tenant", "Globex", "-o", str(file))
    assert told["bytes"] == file.stat().st_size
    assert file.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == [file]
    return file, told["public_key"]


def test_an_export_verifies_without_a_database(installation: Installation, exported: tuple[Path, str]) -> None:
    file, public_key = exported
    # Settings that no command could start with: the verifier reads none.
    nothing = {"SIGNALBOX_DATABASE_URL": "mysql://x", "SIGNALBOX_MASTER_KEY": "wrong"}
    result = installation.run("audit", "verify", str(file), "--public-key", public_key, "--json", **nothing)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["is_intact"], report["is_key_pinned"], report["tenant_name"]) == (True, True, "Globex")
    assert report["event_count"] > 1
    assert "pin it with --public-key" in installation.run("audit", "verify", str(file)).stderr


def test_one_changed_byte_names_the_record(installation: Installation, exported: tuple[Path, str]) -> None:
    file, _ = exported
    lines = file.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"A", b"B", 1)
    file.write_bytes(b"".join(lines))
    assert "Line 3" in installation.refused("audit", "verify", str(file))
    result = installation.run("audit", "verify", str(file), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["line"] == 3


def test_another_key_is_not_believed(installation: Installation, exported: tuple[Path, str]) -> None:
    file, _ = exported
    assert "not with the expected" in installation.refused("audit", "verify", str(file), "--public-key", "ab" * 32)
    assert installation.run("audit", "verify", str(file), "--public-key", "ab").exit_code == 2


def test_what_cannot_be_read_or_written_is_named(installation: Installation, tmp_path: Path) -> None:
    assert "cannot be read" in installation.refused("audit", "verify", str(tmp_path / "none"))
    (tmp_path / "empty").touch()
    assert "does not verify" in installation.refused("audit", "verify", str(tmp_path / "empty"))
    missing = str(tmp_path / "none" / "x")
    assert "cannot be written" in installation.refused("audit", "export", "--tenant", "Globex", "-o", missing)
    half = str(tmp_path / "half")
    assert "No tenant" in installation.refused("audit", "export", "--tenant", "Nobody", "-o", half)
    assert os.listdir(tmp_path) == ["empty"]
