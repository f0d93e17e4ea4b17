"""An installation that the commands of a module share: a database of its own, migrated by `signalbox migrate`."""

import asyncio
import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.commands.opened import opened
from app.commands.preparation import prepare_sandbox
from app.embedded import EmbeddedPostgres
from app.embedded.postgres import SUPERUSER
from app.settings import read_settings
from tests.conftest import MIGRATED, copied_database


@dataclass(frozen=True, slots=True)
class Installation:
    """Runs commands against it."""

    environment: dict[str, str] = field(repr=False)

    def run(self, *arguments: str, stdin: str | bytes | None = None, **environment: str) -> Result:
        """Run a command in this process."""
        return CliRunner().invoke(main, arguments, input=stdin, env=self.environment | environment)

    def json(self, *arguments: str, stdin: str | bytes | None = None) -> Any:
        """The document of a command that must succeed."""
        result = self.run(*arguments, "--json", stdin=stdin)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def refused(self, *arguments: str, stdin: str | bytes | None = None) -> str:
        """The one line of a command that must fail by name."""
        result = self.run(*arguments, stdin=stdin)
        assert result.exit_code == 1, result.output
        assert result.stderr.splitlines()[-1].startswith("signalbox: "), result.output
        assert isinstance(result.exception, SystemExit), result.exception
        return result.stderr


@pytest.fixture(scope="module")
def installation(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """With plans, prices, the platform, the sandbox's credential, and two tenants: Globex (pro) and Initech (free)."""
    with asyncio.Runner() as runner:
        copy = copied_database(postgres, MIGRATED)
        url_of = runner.run(copy.__aenter__())
        home: Path = tmp_path_factory.mktemp("home")
        environment = {
            "SIGNALBOX_HOME": str(home),
            "SIGNALBOX_DATABASE_URL": url_of(SUPERUSER),
            "SIGNALBOX_MASTER_KEY": base64.b64encode(os.urandom(32)).decode(),
        }
        made = Installation(environment)
        made.json("migrate")
        runner.run(_add_sandbox(environment))
        made.json("tenant", "create", "Globex", "--plan", "pro")
        made.json("tenant", "create", "Initech", "--plan", "free", "--email", "bill@initech.test")
        yield made
        runner.run(copy.__aexit__(None, None, None))


async def _add_sandbox(environment: dict[str, str]) -> None:
    async with opened(read_settings(environment)) as parts:
        await prepare_sandbox(parts, "http://127.0.0.1:9/v1", "sandbox-key")
