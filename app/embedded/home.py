"""The state folder: who may enter it, and that one `signalbox up` has it at a time.

Called before anything is kept in it. Invariant: a folder that was there before keeps its owner and mode.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.embedded.account import server_account
from app.embedded.errors import HomeUnusable
from app.embedded.locks import open_lock, try_lock


def prepare_home(home: Path) -> None:
    """Make the folder for its owner alone; through root's, the database's account may pass. Raises HomeUnusable."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700)
        if account := server_account():
            # To pass is not to list: every file in here is closed by its own mode.
            os.chown(home, -1, account.pw_gid)
            home.chmod(0o710)
    except FileExistsError:
        if not home.is_dir():
            raise HomeUnusable(f"The state folder {home} is a file. Set SIGNALBOX_HOME to a folder.") from None
    except OSError as error:
        raise HomeUnusable(
            f"The state folder {home.absolute()} cannot be made: {error.strerror}. "
            "Set SIGNALBOX_HOME to a folder that this user may write."
        ) from error


@contextmanager
def alone_in(home: Path) -> Iterator[None]:
    """Hold the folder against a second `signalbox up`. Raises HomeUnusable."""
    prepare_home(home)
    with open_lock(home / "up.lock") as lock:
        if not try_lock(lock):
            raise HomeUnusable(
                f"`signalbox up` runs already on {home.resolve()}. Stop it, or set SIGNALBOX_HOME to another folder."
            )
        yield
