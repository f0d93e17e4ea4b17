"""The PostgreSQL that distributions ship, started for a test run beside the embedded one."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
COMMAND_TIMEOUT_S = 60


@contextmanager
def postgres_15() -> Iterator[Path]:
    """A server without durability in a folder of its own; yields the folder of its socket."""
    folder = Path(tempfile.mkdtemp(prefix="sbx15"))
    data = folder / "data"
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "nobody")
    try:
        _run("initdb", "-N", "-A", "trust", "-U", "signalbox_bootstrap", "-E", "UTF8", "--locale=C.UTF-8", "-D", data)
        options = f"-c listen_addresses='' -k {folder} -c fsync=off -c full_page_writes=off"
        _run("pg_ctl", "-w", "-D", data, "-l", folder / "log", "-o", options, "start")
        try:
            yield folder
        finally:
            _run("pg_ctl", "-w", "-m", "immediate", "-D", data, "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(program: str, *arguments: str | Path) -> None:
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    subprocess.run(
        [POSTGRES_15 / program, *arguments],
        check=True, timeout=COMMAND_TIMEOUT_S, user=user, cwd="/", stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
