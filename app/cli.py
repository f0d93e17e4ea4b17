"""The command line: `signalbox`. Puts the commands of `app/commands/` together and does nothing else."""

import click

from app.commands.gateway import migrate, sandbox, serve, worker
from app.commands.up import up


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="signalbox")
def main() -> None:
    """Signalbox, a multi-tenant LLM gateway. Settings come from SIGNALBOX_* variables (infra/settings.md)."""


for each in (up, serve, worker, migrate, sandbox):
    main.add_command(each)


if __name__ == "__main__":
    main()
