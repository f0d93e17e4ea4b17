"""The master key: read in either spelling, made once, and never shown."""

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tenants import MasterKeyWrong, load_master_key

KEY = bytes(range(32))


@pytest.mark.parametrize("text", [base64.b64encode(KEY).decode(), KEY.hex(), f" {KEY.hex().upper()}\n"])
def test_a_key_is_read_in_either_spelling(text: str, tmp_path: Path) -> None:
    assert load_master_key(text=text) == KEY
    path = tmp_path / "key"
    path.write_text(text)
    assert load_master_key(path=path) == KEY


@pytest.mark.parametrize(
    "text", ["", "hunter22", KEY.hex()[:-2], base64.b64encode(KEY[:-1]).decode(), "é" * 32, "=" * 44]
)
def test_a_malformed_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(MasterKeyWrong) as caught:
        load_master_key(text=text)
    assert not text or text not in str(caught.value)
    assert "32" in str(caught.value)


def test_a_missing_key_says_where_to_put_one(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyWrong, match="SIGNALBOX_MASTER_KEY_FILE"):
        load_master_key()
    with pytest.raises(MasterKeyWrong, match="absent"):
        load_master_key(path=tmp_path / "absent")


def test_a_made_key_is_its_owners_alone_and_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "state" / "master.key"
    made = load_master_key(path=path, is_created=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_master_key(path=path, is_created=True) == made == load_master_key(path=path)
    assert [entry.name for entry in path.parent.iterdir()] == ["master.key"]


def test_starters_that_race_get_one_key(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: load_master_key(path=path, is_created=True), range(16)))
    assert len(set(keys)) == 1


def test_a_key_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MasterKeyWrong, match="made or read"):
        load_master_key(path=tmp_path / "file" / "master.key", is_created=True)
