"""`signalbox credential`: the provider keys of a tenant, or of the platform for everyone.

Invariant: a key is read from a file or standard input, never from the command line, where others see it.
"""

from typing import BinaryIO, Final

import click

from app.commands.errors import InputInvalid
from app.commands.named import credential_id_of, opened_tenant, tenant_option
from app.commands.output import as_json, command, show
from app.providers import AllowList, check_address, check_offer, vendor_of
from app.routing import Domain, Region
from app.settings import Settings
from tenants import (
    PLATFORM_TENANT_ID,
    CheckAddress,
    Contract,
    add_credential,
    declare_contract,
    disable_credential,
    list_credentials,
)

KEY_BYTES_MAX: Final = 16_384
COLUMNS: Final = (
    "credential_id",
    "provider_name",
    "name",
    "base_url",
    "weight",
    "last_four",
    "created_at",
    "disabled_at",
)


@click.group()
def credential() -> None:
    """Add, list and disable provider credentials."""


@credential.command()
@tenant_option
@click.option("--provider", "provider_name", required=True, help="The provider's name, such as openai.")
@click.option("--base-url", help="Its address.  [default: the provider's own]")
@click.option(
    "--key-file", type=click.File("rb"), required=True, help="File that holds the key; - reads it from stdin."
)
@click.option("--name", help="What people call it.  [default: the provider's name]")
@click.option("--weight", default=1, show_default=True, help="Its share of the calls, beside others of the provider.")
@as_json
@command
async def add(
    tenant_name: str,
    provider_name: str,
    base_url: str | None,
    key_file: BinaryIO,
    name: str | None,
    weight: int,
    is_json: bool,
) -> None:
    """Store a provider's key, sealed under the tenant's own."""
    vendor = vendor_of(provider_name)
    secret = _read_key(key_file)
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        is_platform = tenant_id == PLATFORM_TENANT_ID
        check_offer(vendor, base_url, is_platform=is_platform)
        added = await add_credential(
            parts.database,
            parts.vault,
            parts.actor,
            tenant_id,
            provider_name=vendor.name,
            name=name or vendor.name,
            secret=secret,
            base_url=base_url,
            weight=weight,
            check_address=_anything if is_platform else _checked(parts.settings),
        )
    show(
        {
            "credential_id": added.credential_id,
            "provider_name": added.provider_name,
            "name": added.name,
            "base_url": added.base_url or vendor.base_url,
            "weight": added.weight,
            "last_four": added.last_four,
        },
        is_json=is_json,
    )


@credential.command("list")
@tenant_option
@as_json
@command
async def list_them(tenant_name: str, is_json: bool) -> None:
    """List the credentials, oldest first, with those that are disabled. No key is ever shown."""
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        rows = list(await list_credentials(parts.database, tenant_id))
    show(rows, is_json=is_json, columns=COLUMNS)


@credential.command()
@tenant_option
@click.argument("credential_name", metavar="CREDENTIAL")
@as_json
@command
async def disable(tenant_name: str, credential_name: str, is_json: bool) -> None:
    """Use CREDENTIAL (an id or a name) no more."""
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        credential_id = await credential_id_of(parts, tenant_id, credential_name)
        await disable_credential(parts.database, parts.actor, tenant_id, credential_id)
    show({"credential_id": credential_id, "state": "disabled"}, is_json=is_json)


@credential.command()
@tenant_option
@click.argument("credential_name", metavar="CREDENTIAL")
@click.option(
    "--region", "regions", multiple=True, type=click.Choice(list(Region)), help="Where content may go; several."
)
@click.option("--zero-retention", is_flag=True, help="Nothing of a request is stored.")
@click.option("--baa", is_flag=True, help="A business associate agreement (HIPAA) covers it.")
@click.option("--certified-for", "domains", multiple=True, type=click.Choice(list(Domain)), help="A domain; several.")
@click.option("--reference", help="Where the agreement is found: its number, date or address.")
@click.option("--withdraw", is_flag=True, help="Declare nothing any more.")
@as_json
@command
async def contract(
    tenant_name: str,
    credential_name: str,
    regions: tuple[str, ...],
    zero_retention: bool,
    baa: bool,
    domains: tuple[str, ...],
    reference: str | None,
    withdraw: bool,
    is_json: bool,
) -> None:
    """Declare what is agreed with the provider for CREDENTIAL, in place of what was declared. It is audited."""
    declared = None
    if not withdraw:
        if not reference:
            raise InputInvalid("No agreement is named. Say where it is found with --reference, or use --withdraw.")
        declared = Contract(
            regions=regions, zero_retention=zero_retention, baa=baa, certified_for=domains, reference=reference
        )
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        credential_id = await credential_id_of(parts, tenant_id, credential_name)
        await declare_contract(parts.database, parts.actor, tenant_id, credential_id, declared)
    show({"credential_id": credential_id, "contract": declared}, is_json=is_json)


def _read_key(key_file: BinaryIO) -> str:
    raw = key_file.read(KEY_BYTES_MAX + 1)
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(raw) > KEY_BYTES_MAX:
        raise InputInvalid(f"The key file holds no key. Give a text file of one line, at most {KEY_BYTES_MAX:,} bytes.")
    return text


def _checked(settings: Settings) -> CheckAddress:
    allow = AllowList.parse(settings.upstream_allow)

    async def check(base_url: str) -> None:
        await check_address(base_url, allow)

    return check


async def _anything(_: str) -> None:
    """The platform's rows are its operator's own: exact hosts and ports, on whichever network."""
