"""The state folder: closed to others, and one `up` at a time."""

import os
from pathlib import Path

import pytest

from app.embedded import HomeUnusable, alone_in, prepare_home


def test_a_new_home_is_for_its_owner(tmp_path: Path) -> None:
    home = tmp_path / "a" / "home"
    prepare_home(home)
    # Root's database runs as another account, which may pass through and no more.
    assert home.stat().st_mode & 0o777 == (0o710 if os.geteuid() == 0 else 0o700)


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    prepare_home(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o750


def test_a_home_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "home"):
        with pytest.raises(HomeUnusable, match="SIGNALBOX_HOME"):
            prepare_home(home)


def test_two_at_once_are_refused_and_one_after_the_other_are_not(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(HomeUnusable, match="runs already"), alone_in(tmp_path):
        pass
    with alone_in(tmp_path):
        pass
