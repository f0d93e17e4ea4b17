"""The trail in the database: no change without its event, a chain without gaps, an export that verifies."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tenants import (
    Actor,
    AuditReport,
    CreatedTenant,
    Database,
    NotFound,
    Vault,
    create_project,
    export_audit,
    link_audit,
    list_projects,
    record_audit,
    verify_audit,
)

Events = Callable[[UUID], Awaitable[list[dict[str, object]]]]
WRITERS = 50
CHANGES_EACH = 4
LINKERS = 4


async def _sequences(database: Database, tenant_id: UUID) -> list[int]:
    async with database.tenant(tenant_id) as session:
        return list((await session.execute(text("SELECT sequence FROM audit_link ORDER BY sequence"))).scalars())


async def _export(database: Database, vault: Vault, actor: Actor, tenant_id: UUID, folder: Path) -> AuditReport:
    stream = BytesIO()
    await export_audit(database, vault, actor, tenant_id, stream)
    path = folder / "audit.jsonl"
    path.write_bytes(stream.getvalue())
    return verify_audit(path, public_key=vault.audit_public_key)


async def test_an_event_is_gone_with_its_change(
    database: Database, member: Actor, tenant: CreatedTenant, events: Events
) -> None:
    async def change_that_fails() -> None:
        async with database.tenant(tenant.tenant_id) as session:
            await record_audit(session, tenant.tenant_id, member, "project.created", "project:1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_that_fails()
    assert [event["action"] for event in await events(tenant.tenant_id)] == ["tenant.created"]


async def test_many_writers_and_linkers_leave_one_chain_without_gaps(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, events: Events, tmp_path: Path
) -> None:
    done = asyncio.Event()

    async def write(writer: int) -> None:
        for change in range(CHANGES_EACH):
            await create_project(database, member, tenant.tenant_id, f"project {writer} {change}")

    async def link() -> int:
        linked = 0
        while not done.is_set():
            linked += await link_audit(database, vault)
            await asyncio.sleep(0.01)
        return linked

    linkers = [asyncio.create_task(link()) for _ in range(LINKERS)]
    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    done.set()
    linked = sum(await asyncio.gather(*linkers)) + await link_audit(database, vault)

    expected = WRITERS * CHANGES_EACH + 1
    assert linked == expected
    assert await _sequences(database, tenant.tenant_id) == list(range(1, expected + 1))
    projects = {str(project.project_id) for project in await list_projects(database, tenant.tenant_id)}
    targets = [str(event["target"]) for event in await events(tenant.tenant_id)]
    assert {target.removeprefix("project:") for target in targets[1:]} == projects - {str(tenant.project_id)}
    assert len(targets) == len(set(targets)) == expected
    report = await _export(database, vault, member, tenant.tenant_id, tmp_path)
    assert report.is_intact, report.broken
    assert report.event_count == expected + 1


async def test_an_export_links_first_and_ends_with_itself(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, tmp_path: Path
) -> None:
    await create_project(database, member, tenant.tenant_id, "Büro ✓")
    report = await _export(database, vault, member, tenant.tenant_id, tmp_path)
    assert report.is_intact, report.broken
    assert (report.event_count, report.tenant_name) == (3, "Acme")
    assert await link_audit(database, vault) == 0
    again = await _export(database, vault, member, tenant.tenant_id, tmp_path)
    assert (again.is_intact, again.event_count, again.checkpoint_count) == (True, 4, 2)


async def test_an_export_holds_one_tenants_events(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, other_tenant: CreatedTenant
) -> None:
    await create_project(database, member, other_tenant.tenant_id, "secret project")
    assert await link_audit(database, vault) == 3
    stream = BytesIO()
    await export_audit(database, vault, member, tenant.tenant_id, stream)
    statement = json.loads(json.loads(stream.getvalue().splitlines()[0])["statement"])
    assert (statement["tenant_id"], statement["sequence_max"]) == (str(tenant.tenant_id), 2)
    assert str(other_tenant.tenant_id).encode() not in stream.getvalue()
    async with database.tenant(other_tenant.tenant_id) as session:
        assert len((await session.execute(text("SELECT 1 FROM audit_event"))).all()) == 2


async def test_a_longer_trail_is_exported_in_pages(
    database: Database, vault: Vault, member: Actor, tenant: CreatedTenant, tmp_path: Path
) -> None:
    async with database.tenant(tenant.tenant_id) as session:
        for number in range(1_100):
            await record_audit(session, tenant.tenant_id, member, "project.created", f"project:{number}")
    report = await _export(database, vault, member, tenant.tenant_id, tmp_path)
    assert report.is_intact, report.broken
    assert (report.event_count, report.checkpoint_count) == (1_102, 2)


async def test_an_export_of_no_tenant_is_not_found(database: Database, vault: Vault, member: Actor) -> None:
    with pytest.raises(NotFound):
        await export_audit(database, vault, member, uuid4(), BytesIO())


@pytest.mark.parametrize("table", ["audit_event", "audit_link", "audit_checkpoint", "audit_pending"])
@pytest.mark.parametrize("verb", ["DELETE FROM {}", "UPDATE {} SET tenant_id = tenant_id", "TRUNCATE {}"])
async def test_no_session_can_change_what_was_written(
    database: Database, vault: Vault, tenant: CreatedTenant, table: str, verb: str
) -> None:
    for opened in (database.tenant(tenant.tenant_id), database.across_tenants()):
        with pytest.raises(DBAPIError):
            async with opened as session:
                await session.execute(text(verb.format(table)))


async def test_an_event_for_another_tenant_cannot_be_written(
    database: Database, member: Actor, tenant: CreatedTenant, other_tenant: CreatedTenant
) -> None:
    with pytest.raises(DBAPIError):
        async with database.tenant(tenant.tenant_id) as session:
            await record_audit(session, other_tenant.tenant_id, member, "project.created", "project:1")
