"""Locks on files of the state folder, for processes that share it.

The kernel drops such a lock with its process, so that one that was killed never holds or counts.
"""

import fcntl
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from app.embedded.errors import HomeUnusable


def open_lock(path: Path) -> TextIO:
    """Open a lock file, made if new. Raises HomeUnusable."""
    try:
        return path.open("a")
    except OSError as error:
        raise HomeUnusable(
            f"The file {path} cannot be written: {error.strerror}. "
            "Run Signalbox as the user who owns it, or set SIGNALBOX_HOME to another folder."
        ) from error


def try_lock(file: TextIO, *, is_shared: bool = False) -> bool:
    """Take the lock without waiting; False if another process holds it."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_until(is_so: Callable[[], bool], timeout_s: float, *, poll_s: float = 0.02) -> bool:
    """Ask until the answer is yes; False after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_s)
    return True
