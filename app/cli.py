"""The command line: `signalbox`. Puts the commands of `app/commands/` together and does nothing else."""

import click

from app.commands.audit import audit
from app.commands.budget import budget
from app.commands.credential import credential
from app.commands.credit import credit
from app.commands.doctor import doctor
from app.commands.eval_file import eval_file
from app.commands.gateway import migrate, sandbox, serve, worker
from app.commands.key import key
from app.commands.limit import limit
from app.commands.policy import policy
from app.commands.reconcile import reconcile
from app.commands.tenant import tenant
from app.commands.try_file import try_file
from app.commands.up import up
from app.commands.usage import usage


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="signalbox")
def main() -> None:
    """Signalbox, a multi-tenant LLM gateway. Settings come from SIGNALBOX_* variables (infra/settings.md)."""


PROCESSES = (up, serve, worker, migrate, sandbox)
TENANCY = (tenant, key, credential, policy, budget, limit, usage, audit, credit, reconcile)

BESIDE = (doctor, try_file, eval_file)

for each in (*PROCESSES, *TENANCY, *BESIDE):
    main.add_command(each)


if __name__ == "__main__":
    main()
