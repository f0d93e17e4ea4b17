"""`signalbox policy examples`: a tenant's labelled prompts, added from a file, listed and removed.

Invariant: a file is added whole or not at all.
"""

from pathlib import Path
from typing import Final
from uuid import UUID

import click
import msgspec

from app.commands.errors import InputInvalid
from app.commands.named import opened_tenant, tenant_option
from app.commands.output import as_json, command, show
from app.commands.try_prompts import numbered_lines
from app.gateway.example_index import build_example_index
from app.routing import EXAMPLES_MAX
from tenants import LabelledPrompt, add_examples, list_examples, remove_examples

LINE: Final = '{"prompt": "Where is my parcel?", "task": "order_status"}'
PROMPT_CHARACTERS_SHOWN: Final = 60


class _Line(msgspec.Struct):
    prompt: str
    task: str


@click.group()
def examples() -> None:
    """Labelled prompts, by whose nearest a tenant's requests are told a task."""


@examples.command()
@tenant_option
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@as_json
@command
async def add(tenant_name: str, file: Path, is_json: bool) -> None:
    """Add the prompts of FILE, one JSON object a line with `prompt` and `task`. A known prompt gets the new task."""
    labelled = _read(file)
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        count = await add_examples(parts.database, parts.actor, tenant_id, labelled, build_example_index)
    show({"tenant_id": tenant_id, "added": len(labelled), "examples": count}, is_json=is_json)


@examples.command("list")
@tenant_option
@as_json
@command
async def list_them(tenant_name: str, is_json: bool) -> None:
    """List the newest examples."""
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        rows = await list_examples(parts.database, tenant_id)
    if is_json:
        show(rows, is_json=True)
        return
    show([_line(row) for row in rows], is_json=False, columns=("example_id", "task", "prompt"))


@examples.command()
@tenant_option
@click.argument("example_ids", type=click.UUID, nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="Remove every example.")
@as_json
@command
async def remove(tenant_name: str, example_ids: tuple[UUID, ...], is_all: bool, is_json: bool) -> None:
    """Remove the examples with these ids."""
    if is_all == bool(example_ids):
        raise InputInvalid("Give the ids of examples, which `list` shows, or --all.")
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        count = await remove_examples(
            parts.database, parts.actor, tenant_id, None if is_all else example_ids, build_example_index
        )
    show({"tenant_id": tenant_id, "examples": count}, is_json=is_json)


def _line(example: LabelledPrompt) -> dict[str, str]:
    shown = " ".join(example.prompt.split())[:PROMPT_CHARACTERS_SHOWN]
    return {"example_id": str(example.example_id), "task": example.task, "prompt": shown}


def _read(file: Path) -> list[tuple[str, str]]:
    labelled: list[tuple[str, str]] = []
    for number, raw in numbered_lines(file):
        if not raw.strip():
            continue
        if len(labelled) == EXAMPLES_MAX:
            raise InputInvalid(f"{file} has more than {EXAMPLES_MAX:,} examples, as many as a tenant can have.")
        try:
            line = msgspec.json.decode(raw, type=_Line)
        except msgspec.DecodeError as error:
            raise InputInvalid(f"Line {number} of {file} is no example: {error}. A line reads like {LINE}.") from error
        labelled.append((line.prompt, line.task))
    if not labelled:
        raise InputInvalid(f"{file} holds no example. Give one JSON object a line, such as {LINE}.")
    return labelled
