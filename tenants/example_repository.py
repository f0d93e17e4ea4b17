"""The SQL of labelled prompts as stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Row, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

# A prompt that is there already gets the new task.
UPSERT: Final = text("""
    INSERT INTO example (tenant_id, example_id, prompt, prompt_sha256, task, created_by)
    VALUES (:tenant_id, :example_id, :prompt, :prompt_sha256, :task, :created_by)
    ON CONFLICT (tenant_id, prompt_sha256)
        DO UPDATE SET task = excluded.task, created_by = excluded.created_by, created_at = now()
""")
SELECT_PAGE: Final = text("""
    SELECT example_id, prompt, task, created_by, created_at FROM example
    WHERE tenant_id = :tenant_id AND (CAST(:after AS uuid) IS NULL OR example_id < :after)
    ORDER BY example_id DESC LIMIT :limit
""")
SELECT_ALL: Final = text("SELECT prompt, task FROM example WHERE tenant_id = :tenant_id ORDER BY prompt_sha256")
DELETE: Final = text("DELETE FROM example WHERE tenant_id = :tenant_id AND example_id IN :example_ids").bindparams(
    bindparam("example_ids", expanding=True)
)
DELETE_ALL: Final = text("DELETE FROM example WHERE tenant_id = :tenant_id")
STORE_INDEX: Final = text("""
    INSERT INTO example_index (tenant_id, built, example_count) VALUES (:tenant_id, :built, :example_count)
    ON CONFLICT (tenant_id)
        DO UPDATE SET built = excluded.built, example_count = excluded.example_count, built_at = now()
""")
SELECT_INDEX: Final = text("SELECT built FROM example_index WHERE tenant_id = :tenant_id")

ExampleRow = Row[UUID, str, str, str, datetime]


async def upsert(
    session: AsyncSession, tenant_id: UUID, rows: Sequence[tuple[UUID, str, bytes, str]], *, created_by: str
) -> None:
    """Store prompts with their hash and task."""
    values = [
        {
            "tenant_id": tenant_id,
            "example_id": example_id,
            "prompt": prompt,
            "prompt_sha256": prompt_sha256,
            "task": task,
            "created_by": created_by,
        }
        for example_id, prompt, prompt_sha256, task in rows
    ]
    if values:
        await session.execute(UPSERT, values)


async def delete(session: AsyncSession, tenant_id: UUID, example_ids: Sequence[UUID] | None) -> int:
    """Delete some of the tenant's examples, or all; how many there were."""
    if example_ids is None:
        result = await session.execute(DELETE_ALL, {"tenant_id": tenant_id})
    else:
        result = await session.execute(DELETE, {"tenant_id": tenant_id, "example_ids": list(example_ids)})
    return int(result.rowcount)  # type: ignore[attr-defined]  # a DELETE gives a cursor


async def select_page(session: AsyncSession, tenant_id: UUID, *, limit: int, after: UUID | None) -> list[ExampleRow]:
    """The tenant's examples, the newest first."""
    return list(await session.execute(SELECT_PAGE, {"tenant_id": tenant_id, "after": after, "limit": limit}))


async def select_all(session: AsyncSession, tenant_id: UUID) -> list[tuple[str, str]]:
    """All prompts with their tasks, in an order that does not depend on when they came."""
    return [(row.prompt, row.task) for row in await session.execute(SELECT_ALL, {"tenant_id": tenant_id})]


async def store_index(session: AsyncSession, tenant_id: UUID, built: bytes, example_count: int) -> None:
    """Put an index in place of the one before."""
    await session.execute(STORE_INDEX, {"tenant_id": tenant_id, "built": built, "example_count": example_count})


async def find_index(session: AsyncSession, tenant_id: UUID) -> bytes | None:
    """The tenant's index as it was built; read by the role `signalbox_snapshot`."""
    built: bytes | None = (await session.execute(SELECT_INDEX, {"tenant_id": tenant_id})).scalar_one_or_none()
    return built
