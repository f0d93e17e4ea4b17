"""`signalbox audit`: hand a tenant its audit trail, and prove an export, offline.

Invariant: `verify` opens no database and no settings; `export` leaves a whole file or none.
"""

import os
import tempfile
from pathlib import Path
from typing import Final

import click

from app.commands.errors import InputInvalid
from app.commands.named import opened_tenant, tenant_option
from app.commands.output import Failed, as_json, command, show
from tenants import export_audit, verify_audit

PUBLIC_KEY_BYTES: Final = 32


@click.group()
def audit() -> None:
    """Export and verify audit trails."""


@audit.command()
@tenant_option
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write."
)
@as_json
@command
async def export(tenant_name: str, output: Path, is_json: bool) -> None:
    """Write the tenant's whole trail, signed. Pass the public key to the verifier by another way than the file."""
    unfinished = _beside(output)
    try:
        async with opened_tenant(tenant_name) as (parts, tenant_id):
            with unfinished.open("wb") as stream:
                byte_count = await export_audit(parts.database, parts.vault, parts.actor, tenant_id, stream)
            public_key = parts.vault.audit_public_key
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
    show({"file": str(output), "bytes": byte_count, "public_key": public_key.hex()}, is_json=is_json)


@audit.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--public-key", help="64 hexadecimal digits, as `audit export` showed them; finds forgeries signed anew.")
@as_json
@command
async def verify(file: Path, public_key: str | None, is_json: bool) -> None:
    """Check an export: every record, the chain and the signatures. Needs nothing but the file."""
    report = verify_audit(file, public_key=_public_key(public_key))
    broken = report.broken
    facts = {
        "is_intact": report.is_intact,
        "tenant_name": report.tenant_name,
        "tenant_id": report.tenant_id,
        "event_count": report.event_count,
        "checkpoint_count": report.checkpoint_count,
        "exported_at": report.exported_at,
        "head_hash": report.head_hash,
        "public_key_id": report.public_key_id,
        "is_key_pinned": report.is_key_pinned,
    }
    if broken is None:
        show(facts, is_json=is_json)
        if not report.is_key_pinned:
            click.echo("The key is the one in the file itself; pin it with --public-key to find forgeries.", err=True)
        return
    if is_json:
        show({**facts, "broken": str(broken), "line": broken.line, "sequence": broken.sequence}, is_json=True)
    raise Failed(f"{file} does not verify. {broken}")


def _beside(output: Path) -> Path:
    """A new file in the same folder, readable by its owner only."""
    try:
        number, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    except OSError as error:
        raise InputInvalid(f"{output} cannot be written: {error.strerror}. Choose another place.") from error
    os.close(number)
    return Path(name)


def _public_key(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != PUBLIC_KEY_BYTES:
        raise click.BadParameter(f"give {2 * PUBLIC_KEY_BYTES} hexadecimal digits.", param_hint="--public-key")
    return key
