"""A tenant's labelled prompts: what is stored of them, and the index of them that the request path reads.

Called by the management API and the command line, which pass in how an index is built: what nearness means is not
known here. Invariant: prompts and index change in one transaction, so an index is always that of the prompts.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from tenants import example_repository as repository
from tenants.audit import record_audit
from tenants.database import Database
from tenants.errors import FieldInvalid, LimitReached, NotFound
from tenants.feedback import EXAMPLE_CHARACTERS_MAX
from tenants.fields import slug_of, text_of
from tenants.limits import EXAMPLE_TASKS_MAX, EXAMPLES_MAX, LISTED_MAX
from tenants.principal import Actor
from tenants.repository import lock_tenant

BuildIndex = Callable[[Sequence[tuple[str, str]]], Awaitable[bytes]]
"""Builds the index of prompts with their tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPrompt:
    """One example."""

    example_id: UUID
    prompt: str
    task: str
    created_by: str
    created_at: datetime


async def add_examples(
    database: Database,
    actor: Actor,
    tenant_id: UUID,
    labelled: Sequence[tuple[str, str]],
    build_index: BuildIndex,
) -> int:
    """Add prompts with their tasks; one that is there already gets the new task. Gives how many there are then.

    Raises FieldInvalid and LimitReached, and then nothing was added.
    """
    if not labelled:
        raise FieldInvalid("examples", "There are no examples. Give at least one prompt with its task.")
    rows = [_row(place, prompt, task) for place, (prompt, task) in enumerate(labelled)]
    async with database.tenant(tenant_id) as session:
        await lock_tenant(session, tenant_id)
        await repository.upsert(session, tenant_id, rows, created_by=actor.name)
        stored = await repository.select_all(session, tenant_id)
        if len(stored) > EXAMPLES_MAX:
            raise LimitReached("examples", EXAMPLES_MAX)
        if len({task for _, task in stored}) > EXAMPLE_TASKS_MAX:
            raise LimitReached("tasks of examples", EXAMPLE_TASKS_MAX)
        await repository.store_index(session, tenant_id, await build_index(stored), len(stored))
        await record_audit(
            session, tenant_id, actor, "examples.added", "examples", after={"added": len(rows), "examples": len(stored)}
        )
    return len(stored)


async def remove_examples(
    database: Database, actor: Actor, tenant_id: UUID, example_ids: Sequence[UUID] | None, build_index: BuildIndex
) -> int:
    """Remove examples, or all with None. Gives how many are left. Raises NotFound where none was there."""
    async with database.tenant(tenant_id) as session:
        await lock_tenant(session, tenant_id)
        removed = await repository.delete(session, tenant_id, example_ids)
        if not removed and example_ids is not None:
            raise NotFound("example", ", ".join(map(str, example_ids)))
        stored = await repository.select_all(session, tenant_id)
        await repository.store_index(session, tenant_id, await build_index(stored), len(stored))
        await record_audit(
            session, tenant_id, actor, "examples.removed", "examples",
            after={"removed": removed, "examples": len(stored)},
        )  # fmt: skip
    return len(stored)


async def list_examples(
    database: Database, tenant_id: UUID, *, limit: int = LISTED_MAX, after: UUID | None = None
) -> tuple[LabelledPrompt, ...]:
    """The tenant's examples, the newest first; `after` is the last of the page before."""
    async with database.tenant(tenant_id) as session:
        rows = await repository.select_page(session, tenant_id, limit=limit, after=after)
    return tuple(LabelledPrompt(**row._mapping) for row in rows)


def _row(place: int, prompt: str, task: str) -> tuple[UUID, str, bytes, str]:
    text = text_of(f"examples[{place}].prompt", prompt, EXAMPLE_CHARACTERS_MAX)
    return uuid7(), text, hashlib.sha256(text.encode()).digest(), slug_of(f"examples[{place}].task", task)
