"""`signalbox doctor`: says what is wrong and what to do, and changes nothing."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from app.cli import main
from tests.integration.app.commands.conftest import Installation
from tests.world import World


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def details(result: Result) -> dict[str, tuple[bool, str]]:
    document: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if document["is_healthy"] else 1)
    return {check["name"]: (check["is_ok"], check["detail"]) for check in document["checks"]}


def problems(result: Result) -> set[str]:
    return {name for name, (is_ok, _) in details(result).items() if not is_ok}


def test_a_machine_before_its_first_start_is_well_and_stays_untouched(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings = {"SIGNALBOX_HOME": str(home), "SIGNALBOX_PORT": str(free_port())}
    result = CliRunner().invoke(main, ["doctor"], env=settings)
    assert result.exit_code == 0, result.output
    assert all(line.startswith("ok ") for line in result.stdout.splitlines())
    assert not home.exists()


def test_an_installation_is_looked_at_down_to_its_sandbox(installation: Installation) -> None:
    found = details(installation.run("doctor", "--json", SIGNALBOX_PORT=str(free_port())))
    assert all(is_ok for is_ok, _ in found.values())
    assert found["database"][1] == "PostgreSQL 18, given"
    assert set(found) >= {"settings", "Python", "home", "disk", "master key", "port", "roles", "schema", "stored keys"}
    assert "not running" in found["sandbox"][1]


def test_each_thing_that_is_wrong_is_named(installation: Installation, tmp_path: Path) -> None:
    port = str(free_port())
    (tmp_path / "file").touch()
    for wrong, name, says in (
        ({"SIGNALBOX_PORT": "http"}, "settings", "SIGNALBOX_PORT"),
        ({"SIGNALBOX_UPSTREAM_ALLOW": "nonsense"}, "settings", "SIGNALBOX_UPSTREAM_ALLOW"),
        ({"SIGNALBOX_HOME": str(tmp_path / "file" / "home")}, "home", "SIGNALBOX_HOME"),
        ({"SIGNALBOX_MASTER_KEY": "short"}, "master key", "openssl rand"),
        ({"SIGNALBOX_MASTER_KEY": "A" * 43 + "="}, "stored keys", "belongs to this database"),
        ({"SIGNALBOX_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:9/x"}, "database", "cannot be reached"),
    ):
        result = installation.run("doctor", "--json", **{"SIGNALBOX_PORT": port, **wrong})
        assert problems(result) == {name}
        assert says in details(result)[name][1]
        assert "hunter2" not in result.output


def test_a_database_without_our_schema_says_migrate(installation: Installation, postgres: Any) -> None:
    empty = postgres.url("signalbox_bootstrap", "template1")
    result = installation.run("doctor", "--json", SIGNALBOX_DATABASE_URL=empty, SIGNALBOX_PORT=str(free_port()))
    assert problems(result) == {"schema"}
    assert "signalbox migrate" in details(result)["schema"][1]
    # A login that may become none of the roles.
    lone = postgres.url("signalbox_snapshot", "template1")
    result = installation.run("doctor", "--json", SIGNALBOX_DATABASE_URL=lone, SIGNALBOX_PORT=str(free_port()))
    assert problems(result) == {"roles"}


async def test_the_port_is_free_ours_or_taken(installation: Installation, world: World) -> None:
    ours = world.base_url.rpartition(":")[2]
    result = await asyncio.to_thread(installation.run, "doctor", "--json", SIGNALBOX_PORT=ours)
    assert "running gateway" in details(result)["port"][1]
    # A gateway runs, and the sandbox that is offered does not answer.
    assert problems(result) == {"sandbox"}
    other = str(world.sandbox.port)
    result = await asyncio.to_thread(installation.run, "doctor", "--json", SIGNALBOX_PORT=other)
    assert problems(result) == {"port"}
    assert "SIGNALBOX_PORT" in details(result)["port"][1]
