"""The page "Audit log": the tenant's own events, a chain that is really checked, and an export that verifies."""

import re
from pathlib import Path

import pytest

from dashboard.audit_repository import AUDIT_PAGE_ROWS
from tenants import (
    Database,
    MemberRole,
    Vault,
    create_member,
    create_project,
    link_audit,
    record_audit,
    verify_audit,
)
from tests.integration.dashboard.builders import HOSTILE, MASTER_KEY, OPERATOR, PASSWORD, Customer, signed_in
from tests.integration.dashboard.conftest import Browser

AUDIT = "/console/audit"


async def test_events_are_the_tenants_own_with_their_change_and_are_text(
    member: Browser, database: Database, acme: Customer, globex: Customer
) -> None:
    await create_project(database, OPERATOR, acme.tenant_id, HOSTILE[:60])
    await create_project(database, OPERATOR, globex.tenant_id, "theirs")
    page = (await member.get(AUDIT)).text
    newest = page.partition("<tbody>")[2].partition("</tr>")[0]
    assert "project.created" in newest
    assert OPERATOR.name in newest
    assert "onerror" in newest
    assert "<img src=x" not in page
    assert "theirs" not in page
    assert str(globex.tenant_id) not in page


async def test_what_was_before_and_after_stands_side_by_side(
    member: Browser, database: Database, acme: Customer
) -> None:
    async with database.tenant(acme.tenant_id) as session:
        await record_audit(
            session,
            acme.tenant_id,
            OPERATOR,
            "thing.changed",
            "thing:1",
            before={"kept": 1, "gone": True, "list": ["a", "b"]},
            after={"kept": 1, "list": ["b"], "new": "x"},
        )
    page = (await member.get(AUDIT, params={"kind": "thing"})).text
    cell = page.partition('data-label="Change"')[2].partition("</td>")[0]
    assert "kept" not in cell
    assert "<del>true</del>" in cell
    assert "<del>a, b</del> b" in cell
    assert ">new</span> x" in cell


@pytest.mark.parametrize(
    ("query", "count"),
    [("kind=project", 1), ("actor=OPS@", 1), ("target=project:", 1), ("kind=project&actor=nobody", 0), ("kind=%25", 0)],
)
async def test_a_filter_leaves_what_matches(
    member: Browser, database: Database, acme: Customer, query: str, count: int
) -> None:
    await create_project(database, OPERATOR, acme.tenant_id, "search")
    page = (await member.get(f"{AUDIT}?{query}")).text
    found = page.count("project.created")
    assert found == count
    if count == 0:
        assert "Clear the filters" in page


async def test_the_chain_is_recomputed_when_somebody_looks(member: Browser, database: Database, acme: Customer) -> None:
    assert "No event is in the chain yet" in (await member.get(AUDIT)).text
    await link_audit(database, Vault(MASTER_KEY))
    page = (await member.get(AUDIT)).text
    assert "The chain holds" in page
    assert re.search(r"all \d+ events", page)
    assert ">waits<" not in page
    # Signed with another key, as by somebody who rewrote the trail.
    await create_project(database, OPERATOR, acme.tenant_id, "forged")
    await link_audit(database, Vault(bytes(32)))
    page = (await member.get(AUDIT)).text
    assert "The chain does not hold" in page


async def test_the_export_verifies_offline_and_is_an_event_itself(
    member: Browser, database: Database, acme: Customer, tmp_path: Path
) -> None:
    response = await member.get(f"{AUDIT}/export")
    assert response.status_code == 200
    assert response.headers["content-disposition"].startswith("attachment")
    file = tmp_path / "audit.jsonl"
    file.write_bytes(response.content)
    report = verify_audit(file, public_key=Vault(MASTER_KEY).audit_public_key)
    assert report.is_intact
    assert report.tenant_id == str(acme.tenant_id)
    assert "audit.exported" in (await member.get(AUDIT)).text


async def test_a_page_holds_fifty_and_the_next_goes_on(member: Browser, database: Database, acme: Customer) -> None:
    async with database.tenant(acme.tenant_id) as session:
        for number in range(AUDIT_PAGE_ROWS + 1):
            await record_audit(session, acme.tenant_id, OPERATOR, "thing.made", f"thing:{number}")
    first = (await member.get(AUDIT, params={"kind": "thing"})).text
    address = re.search(r'rel="next" href="([^"]+)"', first)
    assert address is not None
    second = (await member.get(address[1].replace("&amp;", "&"))).text
    assert [page.count('id="event-') for page in (first, second)] == [AUDIT_PAGE_ROWS, 1]


async def test_a_role_without_the_audit_scope_reads_nothing(
    anybody: Browser, database: Database, acme: Customer
) -> None:
    await create_member(
        database, OPERATOR, acme.tenant_id, email="dev@acme.test", role=MemberRole.DEVELOPER, password=PASSWORD
    )
    await signed_in(anybody, "dev@acme.test")
    for path in (AUDIT, f"{AUDIT}/export"):
        assert (await anybody.get(path)).status_code == 403
